"""Accuracy by log-likelihood, with and without calibration."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.contracts import Example, Prompt, Structure, Task
from promptfront.search.errors import InputError

_PROMPT = Prompt("", Structure(("Text",), "Label"))
_ROWS = tuple(
    Example((("text", str(i)),), label) for i, label in enumerate(["no", "yes", "yes", "no"])
)
_TASK = Task("t", "here", _PROMPT, ("text",), "label", ("no", "yes"), (), _ROWS, ())
_OUTPUTS = [(-1.0, -3.0), (-1.0, -1.5), (-1.0, -1.4), (-1.0, -4.0)]


def test_the_most_likely_label_is_the_answer() -> None:
    """Without calibration the bias towards one label decides."""
    scorer = LabelScorer()
    scores = scorer.score(_TASK, _ROWS, _OUTPUTS, scorer.fit(_PROMPT, _OUTPUTS))
    assert scores == [1.0, 0.0, 0.0, 1.0]


def test_batch_calibration_removes_the_bias() -> None:
    """Subtracting each label's mean needs no gold label and makes all four right."""
    scorer = LabelScorer()
    calibrated = replace(_PROMPT, structure=replace(_PROMPT.structure, calibration="batch"))
    offsets = scorer.fit(calibrated, _OUTPUTS)
    assert offsets == pytest.approx((-1.0, -2.475))
    assert scorer.score(_TASK, _ROWS, _OUTPUTS, offsets) == [1.0] * 4


@pytest.mark.parametrize(
    "logs",
    [
        (-1.0, -1.0, -2.0),
        (-1.0, -1.0, -1.0),
        (-math.inf, -math.inf, -math.inf),
        (-1.0, -2.0, math.nan),
        (math.nan, math.nan, math.nan),
    ],
)
def test_what_ties_is_not_scored(logs: tuple[float, ...]) -> None:
    """Where no label alone is the most likely, nothing was answered, right or wrong."""
    three = replace(_TASK, labels=("no", "yes", "maybe"))
    assert LabelScorer().score(three, _ROWS[:2], [logs] * 2, ()) == [None, None]
    assert LabelScorer().choose(three, [logs] * 2, ()) == ["", ""]


def test_a_tie_for_the_second_place_is_none() -> None:
    """Also where the others are impossible."""
    three = replace(_TASK, labels=("no", "yes", "maybe"))
    outputs = [(-1.0, -2.0, -2.0), (-9.0, -math.inf, -math.inf)]
    assert LabelScorer().choose(three, outputs, ()) == ["no", "no"]


def test_calibration_can_tie() -> None:
    """Of rows that are all alike it leaves nothing but rounding, which decides nothing."""
    calibrated = replace(_PROMPT, structure=replace(_PROMPT.structure, calibration="batch"))
    outputs = [(-0.1, -2.3)] * 3
    offsets = LabelScorer().fit(calibrated, outputs)
    assert LabelScorer().score(_TASK, _ROWS[:3], outputs, offsets) == [None] * 3


def test_an_impossible_label_does_not_spoil_calibration() -> None:
    """Its row counts for the other labels alone, and every offset is a number."""
    calibrated = replace(_PROMPT, structure=replace(_PROMPT.structure, calibration="batch"))
    outputs = [(-1.0, -math.inf), (-3.0, -2.0)]
    assert LabelScorer().fit(calibrated, outputs) == (-2.0, -2.0)
    assert LabelScorer().fit(calibrated, [(-1.0, -math.inf)]) == (-1.0, 0.0)
    assert LabelScorer().choose(_TASK, outputs, (-2.0, -2.0)) == ["no", "yes"]


@pytest.mark.parametrize("texts", [("a", "a"), ("a", " "), (" a", "a")])
def test_labels_need_different_texts(texts: tuple[str, str]) -> None:
    """Verbalizers that cannot be told apart are refused."""
    structure = replace(
        _PROMPT.structure, verbalizers=tuple(zip(("no", "yes"), texts, strict=True))
    )
    with pytest.raises(InputError, match="expected a different text for each label"):
        LabelScorer().answers(replace(_PROMPT, structure=structure), _TASK, _ROWS[0])
