"""What mutators cost and brought."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace

import pytest

from promptfront.search.cli.mutator_table import mutator_lines
from promptfront.search.contracts import Gene, MutationContext, Prompt, Usage
from promptfront.search.proposals.bandit import choose_mutator
from promptfront.search.proposals.metered import Metered
from promptfront.search.records.efforts import (
    Effort,
    efforts_from_json,
    efforts_to_json,
    summed,
    worths,
)
from tests.records import trial
from tests.search.proposals.made_up import START, context, told


class Asking:
    """A mutator that calls the proposer and now and then changes something."""

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def __init__(self, *, finds: bool) -> None:
        self._finds = finds

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Ask, and change the prompt or not."""
        context.propose(["a", "b"], 4)
        return replace(prompt, instruction="New.") if self._finds else prompt


class Failing(Asking):
    """A mutator that asks and raises."""

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Ask, and break."""
        super().mutate(prompt, context)
        raise ValueError("broken")


def measured(mutator: Asking) -> Effort:
    """Return what asking a mutator once took."""
    spent, efforts = Effort(), list[Effort]()

    def propose(prompts: object, _: int) -> list[str]:
        nonlocal spent
        assert prompts == ["a", "b"]
        spent += Effort(calls=2, tokens=30)
        return ["", ""]

    metered = Metered(mutator, lambda: spent, efforts.append)
    assert metered.usage.asks_model
    given = replace(context(random.Random(0)), propose=propose)
    with suppress(ValueError):
        metered.mutate(START, given)
    asked, took = efforts
    assert asked == Effort(asked=1)
    return asked + took


def test_what_asking_took_is_taken_down() -> None:
    """Whether or not it brought something, or raised."""
    found = Effort(asked=1, brought=1, calls=2, tokens=30)
    wasted = Effort(asked=1, wasted=1, calls=2, tokens=30)
    assert measured(Asking(finds=True)) == found
    assert measured(Asking(finds=False)) == wasted == measured(Failing(finds=True))
    both = summed([{"a": found}, {"a": wasted, "b": wasted}])
    assert both == {"a": Effort(2, 1, 1, 4, 60), "b": wasted}
    assert efforts_from_json(efforts_to_json(both)) == both


def test_gains_are_over_the_prompt_that_was_changed() -> None:
    """The best of them, and how many were better; the start has no parent and counts for none."""
    other, third = (replace(START, instruction=text) for text in ("A or b?", "b or a?"))
    told_trials = [
        trial(0, START, 0.5, 10),
        trial(1, other, 0.6, 9, parents=(0,), mutators=("a", "b")),
        trial(2, third, 0.55, 9, parents=(1,), mutators=("a",)),
    ]
    spent = {"a": Effort(3, 2, 1, 6, 90, 5, 1.25), "c": Effort(1, 0, 0)}
    found = worths(spent, told_trials)
    assert [(one.mutator, one.candidates, one.accepted) for one in found] == [
        ("a", 2, 1),
        ("b", 1, 1),
        ("c", 0, 0),
    ]
    assert found[0].gain == pytest.approx(0.1)
    assert found[2].gain is None
    assert "seconds" not in found[0].to_dict()
    lines = mutator_lines(found)
    assert [line.split() for line in lines[1:-1]] == [
        ["a", "3", "2", "1", "+10.0", "6", "90", "5", "1.2"],
        ["b", "0", "1", "1", "+10.0", "0", "0", "0", "0.0"],
    ]
    assert not mutator_lines(found[2:])


def test_what_wastes_is_asked_rarely() -> None:
    """After thirty tries that cost something and brought nothing; others of its gene are not."""
    mutators = {"good": Asking(finds=True), "bad": Asking(finds=False)}

    def share(wasted: dict[str, int]) -> float:
        rng = random.Random(0)
        chosen = [choose_mutator(mutators, (), told(), rng, wasted) for _ in range(1000)]
        return chosen.count("bad") / 1000

    assert 0.4 < share({}) < 0.6
    assert share({"bad": 30}) < 0.1
