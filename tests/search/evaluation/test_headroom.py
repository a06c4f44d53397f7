"""The early word on what there is to gain, on a made-up model of known prompts."""

from __future__ import annotations

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.headroom import Ahead, headroom
from promptfront.search.records.verdict import headroom_line
from tests.search.evaluation.test_racing import ROWS, START, TASK, KnownModel, prompt


def ahead(*accuracies: int, rows: int = 160) -> Ahead:
    """Return what is seen of prompts of known accuracy; the start has 50."""
    prompts = {prompt(accuracy, i): rows for i, accuracy in enumerate(accuracies, start=1)}
    found = headroom(Evaluator(TASK, KnownModel(), LabelScorer()), prompts, ())
    assert found is not None
    return found


def test_a_prompt_that_is_better_is_seen() -> None:
    """The one that leads is compared with the start; how far prompts differ is told besides."""
    found, leader, _ = ahead(40, 50, 80)
    assert prompt(80, 3) == leader
    assert found.seen
    assert found.gain == pytest.approx(0.3, abs=0.1)
    assert found.spread == pytest.approx(0.2, abs=0.08)
    assert headroom_line(found).startswith("headroom   prompts differ by about")


def test_prompts_that_are_worse_are_no_hope() -> None:
    """However much prompts differ, nothing is to be gained where the start is the best."""
    found = ahead(20, 30, 40).headroom
    assert not found.seen
    assert found.spread > 0.05
    assert "nothing to gain seen" in headroom_line(found)


def test_a_lucky_prompt_loses_on_confirmation_rows() -> None:
    """They count as dev rows do, and the gain that is told is that of both."""
    evaluator = Evaluator(TASK, KnownModel(), LabelScorer())
    start = evaluator.evaluate(START, ROWS[:20]).quality
    even = [prompt(50, i) for i in range(1, 200)]
    lucky = max(even, key=lambda one: evaluator.evaluate(one, ROWS[:20]).quality)
    assert evaluator.evaluate(lucky, ROWS[:20]).quality > start + 0.25
    few = headroom(evaluator, {lucky: 20}, ())
    more = headroom(evaluator, {lucky: 20}, ROWS[20:])
    assert few is not None
    assert more is not None
    assert (20, 160) == (few.headroom.rows, more.headroom.rows)
    assert few.headroom.seen
    assert not more.headroom.seen


def test_without_a_candidate_nothing_is_said() -> None:
    """The start is not compared with itself, and a prompt that is stopped is compared as it is."""
    evaluator = Evaluator(TASK, KnownModel(), LabelScorer())
    assert headroom(evaluator, {}, ROWS) is None
    assert headroom(evaluator, {START: 160}, ROWS) is None
    found = ahead(50, 50, 50, rows=40).headroom
    assert (4, 40) == (found.prompts, found.rows)
