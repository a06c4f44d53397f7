"""Every built-in task: real rows, and a metric for which a gold answer is right and an empty one is not."""

from __future__ import annotations

import math
from statistics import fmean

import pytest

from promptfront.search.contracts import ReplyScorer, Task
from promptfront.search.metric import load_scorer
from promptfront.search.plugins import available
from promptfront.search.task import load_task


@pytest.fixture(params=sorted(available("promptfront.tasks")))
def task(request: pytest.FixtureRequest) -> Task:
    """Return a task by its name."""
    return load_task(request.param)


def test_rows_are_clean_and_apart(task: Task) -> None:
    """No text is empty, and no input is in two splits."""
    rows = (*task.pool, *task.dev, *task.test)
    assert min(len(task.pool), len(task.dev), len(task.test)) >= 15
    assert all(text.strip() == text and text for row in rows for _, text in (*row.inputs, ("", row.target)))
    assert len({row.id for row in rows}) == len(rows)
    assert {tuple(name for name, _ in row.inputs) for row in rows} == {task.input_fields}
    assert len(task.start.structure.input_labels) == len(task.input_fields)
    assert all(row.target in task.labels for row in rows) or not task.labels


def test_gold_is_one_and_nothing_is_zero(task: Task) -> None:
    """Of a label task every label occurs."""
    scorer = load_scorer(task.scorer)
    if not isinstance(scorer, ReplyScorer):
        assert {*task.labels} == {row.target for row in task.pool}
        return
    rows = task.test[:100]
    values = scorer.score_replies(rows, [row.target for row in rows])
    assert math.isclose(fmean(value or 0.0 for value in values), 1)
    assert {0.0} == {*scorer.score_replies(rows, [""] * len(rows))}
