"""What every mutator promises, checked on every built-in one."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.contracts import (
    GENES,
)
from promptfront.search.plugins import available
from promptfront.search.prompts.render import render
from tests.mutators.any_task import CHINESE, ENGLISH, context, full_prompt, make, make_task

NAMES = sorted(
    name
    for name, point in available("promptfront.mutators").items()
    if "promptfront." in point.value
)


# Repeated, empty and merely blank texts occur in real data.
_TEXTS = st.lists(
    st.one_of(st.text(max_size=40), st.sampled_from(["", " ", "a", "A"])), min_size=1, max_size=12
)


_LABELS = st.sampled_from(
    [
        ("negative", "positive"),
        ("a", "b", "c"),
        ("正面", "负面"),
        ("0", "1"),
        ("{x}", "y"),
        ("only",),
        (),
    ]
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    texts=_TEXTS,
    labels=_LABELS,
    instruction=st.sampled_from(["", ENGLISH, CHINESE, "{x} {{y}}\n%s"]),
    seed=st.integers(0, 99),
)
def test_every_mutator_keeps_its_promises(
    name: str, texts: list[str], labels: tuple[str, ...], instruction: str, seed: int
) -> None:
    """Only its own gene changes, by its generator alone; demonstrations are train rows."""
    task = make_task(texts, labels, instruction)
    for prompt in (task.start, full_prompt(task)):
        changed = make(name).mutate(prompt, context(task, seed))
        assert changed == make(name).mutate(prompt, context(task, seed))
        assert [
            g for g in GENES if g != make(name).gene and getattr(changed, g) != getattr(prompt, g)
        ] == []
        assert {replace(one, rationale="") for one in changed.demonstrations} <= set(task.train)
        assert len({e.inputs for e in changed.demonstrations}) == len(changed.demonstrations)
        assert len({c.name for c in changed.constraints}) == len(changed.constraints)
        texts_of_labels = [changed.structure.verbalize(label) for label in labels]
        assert len(set(texts_of_labels)) == len(labels)
        assert render(changed, {"text": "{x}"})


@pytest.mark.parametrize("name", NAMES)
def test_every_mutator_finds_something_new(name: str) -> None:
    """On an ordinary prompt each of them has a change to propose."""
    task = make_task(
        [f"review number {i} is rather long" for i in range(40)], ("negative", "positive"), ENGLISH
    )
    prompt = full_prompt(task)
    assert any(make(name).mutate(prompt, context(task, seed)) != prompt for seed in range(8))


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_no_mutator_needs_a_large_train_split(name: str, size: int) -> None:
    """With hardly any rows, or none, there is less to propose, but nothing breaks."""
    for labels in (("negative", "positive"), ()):
        task = make_task(["fine", "poor"][:size], labels, ENGLISH)
        changed = make(name).mutate(full_prompt(task), context(task, 1))
        assert set(changed.demonstrations) <= set(task.train)


def test_every_class_the_packaging_names_is_a_mutator() -> None:
    """The entry points of pyproject.toml are all there, whatever was installed before."""
    root = Path(__file__).parents[2]
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"][
        "promptfront.mutators"
    ]
    for value in points.values():
        module, _, cls = value.partition(":")
        assert getattr(importlib.import_module(module), cls)().gene in GENES
