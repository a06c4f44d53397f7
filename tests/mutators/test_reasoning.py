"""Reasoning is asked for, and shown in demonstrations that the prompt itself got right."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from promptfront.mutators.reasoning import BootstrapRationales, Reasoning
from promptfront.search.contracts import Answer, Example, MutationContext, Prompt, Structure, Task
from promptfront.search.proposals.apply import mutate
from promptfront.search.proposals.inventory import load_mutators, reasoning_mutators, suited
from tests.mutators.any_task import make_task

ROWS = tuple(Example((("q", f"{i} + {i}"),), str(2 * i)) for i in range(20))
OTHERS = tuple(Example((("q", f"{i} - {i}"),), "0") for i in range(4))
START = Prompt("Add.", Structure(("Sum",), "Answer", layout="chat"))
TASK = Task("sums", "made up", START, ("q",), "answer", (), ROWS, OTHERS, ())
ASKING = replace(START, structure=replace(START.structure, reasoning="Think; then {marker}"))


def context(rationale: str = "Twice {}.") -> MutationContext:
    """Return a context whose model is right on even rows."""

    def answers(_: Prompt, rows: Sequence[Example]) -> list[Answer]:
        return [
            Answer(
                row, row.target, float(int(row.target) % 4 == 0), "", rationale.format(row.target)
            )
            for row in rows
        ]

    return MutationContext(
        TASK,
        (),
        random.Random(0),
        lambda asked, _: [""] * len(asked),
        lambda _, __: [],
        answers=answers,
    )


def test_reasoning_is_switched_on_off_and_reworded() -> None:
    """Each sentence names the marker; nothing else changes."""
    given, prompt, seen = context(), START, set[str]()
    for _ in range(40):
        changed = mutate(Reasoning(), prompt, given)
        assert changed.structure.reasoning != prompt.structure.reasoning
        assert replace(changed, structure=prompt.structure) == prompt
        seen.add(changed.structure.reasoning)
        prompt = changed
    assert len(seen) == 4
    assert all("{marker}" in sentence for sentence in seen if sentence)


def test_rationales_are_those_that_led_to_the_right_answer() -> None:
    """Four at most, of training rows, each its own; none of a prompt that does not reason."""
    changed = mutate(BootstrapRationales(), ASKING, context())
    assert 1 <= len(changed.demonstrations) <= 4
    for example in changed.demonstrations:
        assert int(example.target) % 4 == 0
        assert example.rationale == f"Twice {example.target}."
        assert replace(example, rationale="") in ROWS
    assert mutate(BootstrapRationales(), START, context()) == START
    assert mutate(BootstrapRationales(), ASKING, context("")) == ASKING
    assert mutate(BootstrapRationales(), ASKING, context("word " * 200)) == ASKING


def test_only_free_text_is_reasoned_about() -> None:
    """Labels and likelihoods are read off at once."""
    mutators = load_mutators(())
    names = set(reasoning_mutators(mutators))
    assert names == {"reasoning", "rationales"}
    assert names <= suited(mutators, TASK, by_reply=True).keys()
    assert not names & suited(mutators, TASK).keys()
    own = replace(TASK, start=replace(START, structure=replace(START.structure, own=True)))
    kept = {n for n, one in suited(mutators, own, by_reply=True).items() if one.gene == "structure"}
    assert kept == {"reasoning", "longer-replies", "calibration"}
    labelled = make_task(["a", "b"], ("x", "y"), "X or y?")
    assert not names & suited(mutators, labelled).keys()
