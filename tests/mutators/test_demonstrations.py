"""Which demonstrations are drawn, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from promptfront.mutators import demonstrations
from promptfront.search.contracts import (
    Example,
    Prompt,
    Structure,
    Task,
)
from tests.mutators.any_task import context, make, make_task


def test_balanced_demonstrations_are_balanced() -> None:
    """Every label is shown equally often."""
    task = make_task([f"text {i}" for i in range(30)], ("a", "b", "c"), "")
    for seed in range(10):
        shown = (
            make("balanced-demonstrations").mutate(task.start, context(task, seed)).demonstrations
        )
        counts = [sum(e.target == label for e in shown) for label in task.labels]
        assert len(set(counts)) == 1
        assert counts[0] >= 1


def test_balanced_demonstrations_of_many_labels_stay_few() -> None:
    """Of fifty labels not all can be shown in one prompt."""
    task = make_task([f"text {i}" for i in range(200)], tuple(f"l{i}" for i in range(50)), "")
    shown = make("balanced-demonstrations").mutate(task.start, context(task, 0)).demonstrations
    assert len({e.target for e in shown}) == len(shown) == 16


def test_diverse_demonstrations_come_from_different_clusters() -> None:
    """Of a train with two kinds of text, both are shown."""
    task = make_task(
        [f"film {i} camera actor" for i in range(20)] + [f"汤{i}很好喝面也好吃" for i in range(20)],
        ("a", "b"),
        "",
    )
    shown = make("diverse-demonstrations").mutate(task.start, context(task, 3)).demonstrations
    assert {True, False} == {"film" in e.inputs[0][1] for e in shown}


def test_diverse_demonstrations_embed_train_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedding of a train is kept for as long as the task is the same."""
    calls = list[int]()
    embed = demonstrations._embed

    def counted(train: Sequence[Example]) -> Any:
        calls.append(len(train))
        return embed(train)

    monkeypatch.setattr(demonstrations, "_embed", counted)
    mutator, task = (
        make("diverse-demonstrations"),
        make_task([f"film {i} was long" for i in range(20)], ("a", "b"), ""),
    )
    for seed in range(4):
        mutator.mutate(task.start, context(task, seed))
    other = make_task([f"book {i} was short" for i in range(9)], ("a", "b"), "")
    mutator.mutate(other.start, context(other, 0))
    assert calls == [20, 9]


def test_hard_demonstrations_are_hard_but_not_the_hardest() -> None:
    """They come from the upper third of losses, without the extremes that are often mislabelled."""
    task = make_task(["x" * n for n in range(1, 17)], ("a", "b"), "")
    lengths = [
        len(e.inputs[0][1])
        for e in make("hard-demonstrations").mutate(task.start, context(task, 0)).demonstrations
    ]
    assert min(lengths) >= 10
    assert max(lengths) <= 15


def test_hard_demonstrations_show_every_label_of_a_biased_prompt() -> None:
    """A prompt that fails on one label alone still gets examples of both."""
    task = make_task(["x" * n for n in range(1, 33)], ("a", "b"), "")
    biased = replace(
        context(task, 0), losses=lambda _, rows: [9.0 * (e.target == "a") for e in rows]
    )
    shown = make("hard-demonstrations").mutate(task.start, biased).demonstrations
    assert {e.target for e in shown} == {"a", "b"}


def test_a_demonstration_is_added_of_the_label_shown_least() -> None:
    """Growing a set by one keeps its labels as even as they can be."""
    train = tuple(Example((("text", f"text {i}"),), ("bad", "good")[i % 2]) for i in range(20))
    task = Task(
        "t",
        "here",
        Prompt("Rate.", Structure(("Text",), "Label")),
        ("text",),
        "label",
        ("bad", "good"),
        train,
        (),
        (),
    )
    prompt = replace(task.start, demonstrations=(train[0], train[2], train[1]))
    grown = make("add-demonstration").mutate(prompt, context(task, 0))
    assert ["bad", "bad", "good", "good"] == sorted(
        example.target for example in grown.demonstrations
    )
    assert set(prompt.demonstrations) < set(grown.demonstrations)
