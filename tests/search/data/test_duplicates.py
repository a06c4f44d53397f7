"""Rows of the same input: dropped, or joined to one of several answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptfront.search.data.load_task import load_task
from promptfront.search.errors import InputError
from tests.search.data.labelled import rows, write


def test_references_in_rows_of_their_own_are_answers_of_one(tmp_path: Path) -> None:
    """For free text, rows of one input are one row with several accepted answers."""
    answers = [
        (f"Text {i}" if j else f"text  {i}", f"phrase {i} {j}")
        for i in range(10)
        for j in (0, 1, 1)
    ]
    task = load_task(data=write(tmp_path / "a.csv", answers), scorer="chrf")
    assert 10 == len(task.dev)
    assert all(e.inputs[0][1].startswith("text  ") for e in task.dev)
    assert all(
        e.golds == (f"phrase {n} 0", f"phrase {n} 1")
        for e in task.dev
        for n in [e.inputs[0][1].split()[1]]
    )
    assert (
        f"{tmp_path}/a.csv: 30 rows that repeat inputs with different answers merged into 10"
        == task.notes[0]
    )
    alone = load_task(data=write(tmp_path / "b.csv", answers[::3]), scorer="chrf")
    assert [(e.target, e.references) for e in alone.dev] == [(e.target, ()) for e in task.dev]


def test_contradictions_that_leave_no_rows_are_told(tmp_path: Path) -> None:
    """Where labels of the same inputs differ, the sentence says so."""
    data = write(
        tmp_path / "a.csv", [(text, label) for text, _ in rows(20) for label in ("good", "bad")]
    )
    with pytest.raises(
        InputError,
        match=r"found 0 \(40 rows dropped because .* different targets\); give each input one",
    ):
        load_task(data=data)
