"""The likelihood of the gold answer as a score."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from promptfront.scorers.likelihood import TargetLikelihood
from promptfront.search import optimize
from promptfront.search.evaluation.evaluator import Evaluator

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Task


def test_the_answer_s_likelihood_is_a_score(
    reviews: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """A search on free text without a reply; each score is the bytes' geometric mean."""
    task = replace(
        reviews,
        labels=(),
        scorer="likelihood",
        train=reviews.train[:12],
        dev=reviews.dev[:10],
        test=reviews.test[:8],
    )
    front = optimize(
        task,
        backend=backend,
        budget=3,
        storage=f"sqlite:///{tmp_path}/a.db",
        without=("induce", "paraphrase"),
    )
    evaluator = Evaluator(task, backend, TargetLikelihood())
    (logs,) = evaluator.measure([task.start], task.dev[:1])[0]
    expected = math.exp(logs[0] / len(task.dev[0].target))  # type: ignore[index, operator]
    assert evaluator.evaluate(task.start, task.dev[:1]).values[0] == pytest.approx(expected)
    assert 0 < front.start.quality <= front.best.quality <= 1
