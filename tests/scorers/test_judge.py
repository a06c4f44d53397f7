"""A model as judge, and fluency, by tiny models but where it takes one that knows language."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from promptfront.scorers.fluency import Fluency
from promptfront.scorers.judge import Judge
from promptfront.search.contracts import (
    Example,
    LikelihoodRequest,
    Prompt,
    Structure,
    Task,
    Unscored,
)
from promptfront.search.errors import InputError
from promptfront.search.evaluation.cached_model import CachedModel
from promptfront.search.scoring import load_scorer
from promptfront.search.storage.database import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from promptfront.backends.hf import HFBackend

ROW = Example((("question", "What is the capital of France?"),), "Paris is the capital of France.")
TASK = Task("t", "", Prompt("", Structure(("Q",), "A")), ("question",), "a", (), (), (), ())
CHINESE = Example((("question", "法国的首都是哪里？"),), "巴黎")


def test_the_gold_answer_is_as_good_as_itself(backend: HFBackend) -> None:
    """Whatever place the model prefers; an empty reply is not worth asking about."""
    judge = Judge(likelihoods=backend.loglikelihoods)
    ours, nothing, chinese = judge.score_replies([ROW, ROW, CHINESE], [ROW.target, "  ", "巴黎"])
    assert (ours, chinese) == pytest.approx((0.5, 0.5))
    assert nothing is None


def test_a_place_that_is_preferred_does_not_count() -> None:
    """A judge that always leans to the first answer by three nats finds what a fair one finds."""

    def score(label_bias: float) -> float | None:
        def likelihoods(requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
            return [
                (label_bias + ("\n\nAnswer A: good" in str(request.prompt)), 0.0)
                for request in requests
            ]

        return Judge(likelihoods=likelihoods).score_replies([ROW], ["good"])[0]

    assert score(0.0) == pytest.approx(score(3.0))
    assert (score(0.0) or 0) > 0.5


def test_a_verdict_is_asked_for_once(backend: HFBackend, tmp_path: Path) -> None:
    """A second judge on the same store has no question left."""
    store = Store(f"sqlite:///{tmp_path}/s.db")
    found = Judge(likelihoods=CachedModel(backend, store).likelihoods).score_replies(
        [ROW], ["It is Lyon."]
    )
    silent = CachedModel(backend, store)
    silent._ask = None  # type: ignore[method-assign, assignment]
    assert Judge(likelihoods=silent.likelihoods).score_replies([ROW], ["It is Lyon."]) == found


def test_language_is_more_fluent_than_noise(default_backend: HFBackend) -> None:
    """Also as a part of a weighted score; nothing is neither."""
    replies = ["The cat sat on the mat and slept.", "mat the slept on cat and sat The", ""]
    fluent = Fluency(likelihoods=default_backend.loglikelihoods)
    well, badly, nothing = fluent.score_replies([ROW] * 3, replies)
    assert well is not None
    assert badly is not None
    assert 1 > well > badly > 0
    assert nothing is None
    both = load_scorer("1*fluency+1*exact-match").prepare(TASK, default_backend.loglikelihoods)
    assert both.score_replies([ROW] * 3, replies)[0] == pytest.approx(well / 2)  # type: ignore[union-attr]


def test_a_question_without_an_answer_is_no_verdict() -> None:
    """The other replies keep their own verdicts, in their places."""

    def likelihoods(requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...] | Unscored]:
        return [
            Unscored("filtered") if "bad" in str(request) else (-1.0,) * len(request.continuations)
            for request in requests
        ]

    replies = ["good", "bad", "fine"]
    assert Judge(likelihoods=likelihoods).score_replies([ROW] * 3, replies) == [0.5, None, 0.5]
    first, second, third = Fluency(likelihoods=likelihoods).score_replies([ROW] * 3, replies)
    assert second is None
    assert first == third == pytest.approx(math.exp(-1 / 4))


def test_without_a_model_nothing_is_judged() -> None:
    """The sentence says what is missing."""
    for scorer in (Judge(), Fluency()):
        with pytest.raises(InputError, match="needs a model"):
            scorer.score_replies([ROW], ["x"])
