"""The end of a search.

Confirmation rows decide between finalists whose dev scores are partly luck.
"""

from __future__ import annotations

from dataclasses import replace

from promptfront.search.contracts import Example, Prompt, Structure
from promptfront.search.records.results import (
    FINALISTS,
    ConfirmationScore,
    Entry,
    Frontier,
    finalists,
)
from tests.records import config, entry, trial

START = Prompt("Rate.", Structure(("Text",), "Label"))


def entries(*scores: tuple[float, float | None]) -> list[Entry]:
    """Return prompts that grow longer, with dev scores and scores on 100 confirmation rows."""
    return [
        Entry(
            trial(i, replace(START, instruction=str(i)), dev, i),
            confirmation=None if more is None else ConfirmationScore(more, 100),
        )
        for i, (dev, more) in enumerate(scores)
    ]


def frontier(*scores: tuple[float, float | None]) -> Frontier:
    """Return the front of such prompts."""
    return Frontier.of(config(100), entries(*scores), study="s", trials=9, evaluations=9)


def test_dev_and_confirmation_rows_together_choose_the_best() -> None:
    """A lucky dev score loses to a prompt that does as well on rows no race has seen."""
    assert frontier((0.5, None), (0.8, 0.8), (0.9, 0.6)).best.number == 1
    assert frontier((0.5, None), (0.8, 0.6), (0.9, 0.6)).best.number == 2


def test_without_confirmation_rows_dev_decides() -> None:
    """While a search runs, nothing is confirmed yet."""
    assert frontier((0.5, None), (0.8, None), (0.9, None)).best.number == 2


def test_what_confirmation_rows_say_is_worse_than_the_start_is_not_returned() -> None:
    """It loses to the next finalist that held up, and at last to the start."""
    start, better, luckier = entries((0.5, 0.5), (0.8, 0.52), (0.9, 0.49))

    def best(gain: float) -> int:
        known = [(start, 0.0), (better, gain), (luckier, -0.01)]
        told = [
            replace(one, confirmation=replace(one.confirmation, gain=gain))
            for one, gain in known
            if one.confirmation
        ]
        return Frontier.of(config(100), told, study="s", trials=9, evaluations=9).best.number

    assert [1, 1, 0] == [best(0.02), best(0.0), best(-0.02)]


def test_the_best_of_the_front_are_finalists() -> None:
    """They are told by their dev scores; dominated prompts are none."""
    found = finalists(frontier((0.5, None), (0.6, None), (0.7, None), (0.4, None), (0.9, None)))
    assert [4, 2, 1] == [one.number for one in found]
    assert len(found) == FINALISTS


def test_confirmation_rows_are_kept_from_mutators() -> None:
    """A shown row cannot confirm a finalist, and a third of train is shown to no mutator."""
    from promptfront.scorers.labels import LabelScorer
    from promptfront.search.contracts import Task
    from promptfront.search.evaluation.evaluator import Evaluator
    from promptfront.search.evaluation.holdout import (
        confirm,
        confirmation_rows,
        train_rows,
        unshown,
    )
    from tests.search.evaluation.test_racing import KnownModel

    train = tuple(Example((("text", f"{i} train"),), "ab"[i % 2]) for i in range(12))
    dev = tuple(Example((("text", f"{i} dev"),), "ab"[i % 2]) for i in range(20))
    task = Task("t", "here", START, ("text",), "label", ("a", "b"), train, dev, ())
    shown = entry(1, Prompt("60", START.structure, train[-2:]), 0.6, 5)
    start = entry(0, replace(START, instruction="50"), 0.5, 1)
    entries = [start, shown, entry(2, replace(START, instruction="70"), 0.7, 1)]
    found = confirm(Evaluator(task, KnownModel(), LabelScorer()), entries, unshown(task, entries))
    assert {"0": 2, "1": 2, "2": 2} == {trial: score["n"] for trial, score in found.items()}
    gains = {trial: score["score"] - found["0"]["score"] for trial, score in found.items()}
    assert gains == {trial: score["gain"] for trial, score in found.items()}
    assert (train[:8], train[8:]) == (train_rows(task), confirmation_rows(task))
