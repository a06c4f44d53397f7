"""Demonstrations rid of their label bias."""

from __future__ import annotations

from dataclasses import replace

from promptfront.search.contracts import (
    Prompt,
)
from tests.mutators.any_task import context, make, make_task


def test_demonstrations_are_debiased() -> None:
    """A bias to labels seen most and last is removed in a few measurements, of 2 and 4 labels."""
    for labels in (("a", "b"), ("a", "b", "c", "d")):
        task = make_task([f"text {i}" for i in range(80)], labels, "")
        measured = list[Prompt]()

        def label_bias(
            prompt: Prompt, labels: tuple[str, ...] = labels, measured: list[Prompt] = measured
        ) -> tuple[float, ...]:
            measured.append(prompt)
            shown = prompt.demonstrations
            raw = [
                sum((1 + i) / len(shown) for i, e in enumerate(shown) if e.target == x) / 2
                for x in labels
            ]
            raw[0] += 1.0
            return tuple(value - sum(raw) / len(raw) for value in raw)

        for seed in range(6):
            prompt = replace(task.start, demonstrations=task.train[:12])
            measured.clear()
            found = make("debias-demonstrations").mutate(
                prompt, replace(context(task, seed), label_bias=label_bias)
            )
            assert len(measured) <= 7
            assert max(map(abs, label_bias(found))) <= 0.7 * max(map(abs, label_bias(prompt)))
            untold = replace(context(task, seed), label_bias=lambda _: ())
            assert prompt == make("debias-demonstrations").mutate(prompt, untold)
