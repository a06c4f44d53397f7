"""What a study remembers of its finished trials."""

from __future__ import annotations

from dataclasses import replace

from promptfront.search.contracts import Prompt, Structure
from promptfront.search.storage.trials import ToldTrials, to_optuna
from tests.records import trial

START = Prompt("Rate.", Structure(("Text",), "Label"))


def waited(*scores: float, **fields: object) -> int:
    """Return how many of the candidates, with these dev scores, came after the last gain."""
    told = ToldTrials()
    for i, score in enumerate(scores):
        candidate = trial(i, replace(START, instruction=str(i)), score, 5, rows=40)
        told.add(to_optuna(replace(candidate, **fields), "000000", i, None))  # type: ignore[arg-type]
    return told.waited


def test_candidates_since_the_last_gain_are_counted() -> None:
    """As good as the best is no gain, and a prompt that was stopped or lost rows is none either."""
    assert 0 == waited(0.5, 0.6)
    assert 2 == waited(0.5, 0.6, 0.6, 0.4)
    assert 3 == waited(0.5, 0.6, 0.7, stopped="stopped after 10 rows")
    assert 2 == waited(0.5, 0.6, reasons={"empty": 9})
