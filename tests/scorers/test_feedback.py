"""Scores that say why: numbers to everything else, sentences to who writes instructions."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from promptfront.scorers.answers import exact_match, key_phrases, number, token_f1
from promptfront.scorers.code_tests import failure
from promptfront.scorers.constraints import ConstraintsMet
from promptfront.scorers.overlap import rouge_l
from promptfront.search.contracts import Constraint, Example, Score, feedback_of
from promptfront.search.errors import InputError
from promptfront.search.scoring import Metric, Part, Weighted


def example(target: str) -> Example:
    """Return an example with that answer."""
    return Example((("text", "?"),), target)


def test_a_score_is_a_number() -> None:
    """It is compared, summed, copied and written as one, and keeps its sentence in a copy."""
    score = Score(0.25, "the unit is missing")
    assert score == 0.25
    assert score + 0.75 == 1
    assert json.dumps([score]) == "[0.25]"
    for copied in (copy.deepcopy(score), pickle.loads(pickle.dumps(score))):  # noqa: S301
        assert feedback_of(copied) == "the unit is missing"
    assert feedback_of(0.25) == feedback_of(None) == feedback_of(Score(1.0)) == ""


def test_built_in_scorers_say_what_they_know() -> None:
    """And nothing of what is right."""
    assert (
        feedback_of(exact_match("It is Paris.", example("Paris"))) == "it says more than the answer"
    )
    assert feedback_of(exact_match("Rome", example("Paris"))) == ""
    assert feedback_of(number("It costs 1,200 or so", example("15"))) == "its last number is 1200"
    assert feedback_of(number("no idea", example("15"))) == "it has no number"
    long = token_f1(
        "the river and all the very many other things there are", example("a blue river")
    )
    assert feedback_of(long) == "it lacks blue; it has 11 words, the answer 3"
    assert feedback_of(rouge_l("上海很大", example("北京很大"))) == "it lacks 北, 京"
    phrases = key_phrases("cats, bird", example("cat, dogs"))
    assert feedback_of(phrases) == "it lacks dog; it adds bird"
    assert phrases == 0.5
    for right in (number("15", example("15")), exact_match("a Paris", example("Paris"))):
        assert right == 1
        assert feedback_of(right) == ""


def test_broken_constraints_are_named() -> None:
    """Those alone that a reply breaks."""
    short = Constraint("length", "Use at most {limit} words.", 2, "max_words")
    kept = Constraint("word", "Say please.", rule="include", words=("please",))
    (score,) = ConstraintsMet((short, kept)).score_replies([example("")], ["please do not run"])
    assert score == 0.5
    assert feedback_of(score) == "it breaks: Use at most 2 words."


def test_weighted_scorers_say_whose_sentence_it_is() -> None:
    """Each under its name; a function's sentence is kept too."""
    part = Metric("polite", lambda reply, _: Score(float("please" in reply), "no please"))
    both = Weighted((Part(1, "number", Metric("number", number)), Part(1, "polite", part)))
    (score,) = both.score_replies([example("15")], ["14"])
    assert score == 0
    assert feedback_of(score) == "number: its last number is 14; polite: no please"


def test_a_failed_test_is_named() -> None:
    """With what went wrong on its line, cut to what can be read."""
    try:
        failed = failure("def add(a, b): return a - b", "add", "", "assert add(1, 1) == 2")
    except InputError as error:
        pytest.skip(str(error))
    assert failed == "assert add(1, 1) == 2 -> AssertionError"
    raised = failure("def add(a, b): return a[0]", "add", "", "x = 1\nassert add(1, 1) == 2")
    assert raised == "assert add(1, 1) == 2 -> TypeError"
    flooded = failure("def add(a, b): return 'x' * 9999", "add", "", "raise ValueError(add(1, 1))")
    assert len(flooded) == 200
    assert "does not run" in failure("def add(a, b) return a", "add", "", "assert add(1, 1) == 2")
