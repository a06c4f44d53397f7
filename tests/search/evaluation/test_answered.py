"""What a prompt's model answers to training rows, as a mutator is told of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from promptfront.search.contracts import LikelihoodRequest, Score, Unscored
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.scoring import Metric
from tests.search.evaluation.test_written import ROWS, START, TASK, Writer, evaluator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import Backend, Text


def test_what_is_written_is_shown_as_it_is() -> None:
    """With a word on replies that say no label; what is no reply has no score."""
    found = evaluator(
        Writer(replies=("no", " Yes. ", "blah", Unscored("filtered")))
    ).probes.answers(START, ROWS[:4])
    assert [answer.example for answer in found] == list(ROWS[:4])
    assert [answer.text for answer in found] == ["no", "Yes.", "blah", ""]
    assert [answer.score for answer in found[:3]] == [1.0, 1.0, 0.0]
    assert math.isnan(found[3].score)
    assert [bool(answer.feedback) for answer in found] == [False, False, True, False]


def test_the_likeliest_label_is_shown_in_the_words_of_the_prompt() -> None:
    """Where answers are not written."""

    class Likely(Writer):
        def loglikelihoods(
            self, requests: Sequence[LikelihoodRequest]
        ) -> list[tuple[float, ...] | Unscored]:
            """Find "no" the likelier always; the last request has no number."""
            return [*((-0.1, -2.0) for _ in requests[1:]), Unscored("filtered")]

    words = replace(START.structure, verbalizers=(("no", "never"), ("yes", "always")))
    found = evaluator(Likely(), "likelihood").probes.answers(
        replace(START, structure=words), ROWS[:3]
    )
    assert [answer.text for answer in found] == ["never", "never", ""]
    assert [answer.score for answer in found[:2]] == [1.0, 0.0]


@dataclass
class Talker(Writer):
    """Writes free text."""

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str | Unscored]:
        """Say how long the prompt is; to the last one nothing."""
        return ["12 pounds"] * (len(prompts) - 1) + [Unscored("cut")]


def test_a_reply_is_shown_with_what_its_scorer_says() -> None:
    """And one that was cut off with that."""
    scorer = Metric("unit", lambda reply, _: Score(0.25, "the unit is wrong"))
    task = replace(TASK, labels=(), scorer="unit", answers=None)
    scored = Evaluator(task, cast("Backend", Talker()), scorer)
    first, last = scored.probes.answers(START, ROWS[:2])
    assert (first.text, first.score, first.feedback) == ("12 pounds", 0.25, "the unit is wrong")
    assert (last.text, last.feedback) == ("", "reply cut off before its answer")
    assert math.isnan(last.score)


def test_answers_are_counted_and_end_with_the_allowance() -> None:
    """Each is an evaluation, asked before or not."""
    asked = evaluator(Writer())
    asked.probes.allowance.grant(6)
    assert asked.probes.answers(START, ROWS[:4])
    assert not asked.probes.answers(START, ROWS[:4])
    assert asked.probes.answers(START, ROWS[:2])
    assert asked.probes.allowance.spent == 6
