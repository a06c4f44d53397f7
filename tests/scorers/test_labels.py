"""Accuracy by log-likelihood, with and without calibration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.contracts import Example, Prompt, Structure, Task
from promptfront.search.errors import InputError

_PROMPT = Prompt("", Structure(("Text",), "Label"))
_ROWS = tuple(Example((("text", str(i)),), label) for i, label in enumerate(["no", "yes", "yes", "no"]))
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


def test_ties_go_to_the_first_label() -> None:
    """A tie is broken the same way every time; where all labels tie, nothing was answered."""
    three = replace(_TASK, labels=("no", "yes", "maybe"))
    assert LabelScorer().score(three, _ROWS[:2], [(-1.0, -1.0, -2.0)] * 2, ()) == [1.0, 0.0]
    assert LabelScorer().score(_TASK, _ROWS[:2], [(-1.0, -1.0)] * 2, ()) == [0.0, 0.0]


@pytest.mark.parametrize("texts", [("a", "a"), ("a", " "), (" a", "a")])
def test_labels_need_different_texts(texts: tuple[str, str]) -> None:
    """Verbalizers that cannot be told apart are refused."""
    structure = replace(_PROMPT.structure, verbalizers=tuple(zip(("no", "yes"), texts, strict=True)))
    with pytest.raises(InputError, match="a text of its own"):
        LabelScorer().answers(replace(_PROMPT, structure=structure), _TASK, _ROWS[0])
