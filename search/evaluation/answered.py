"""What the start, the best prompt and the front answered to the rows they were tested on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..records.answered import AnsweredRows, Answers
from .holdout import held_out, tested_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Example, Prompt
    from ..records.results import Frontier
    from .evaluator import Evaluator


def answered_rows(evaluator: Evaluator, frontier: Frontier) -> AnsweredRows:
    """Return the rows and the answers; all of them are scored already."""
    task = evaluator.task
    rows = task.test or task.dev
    entries = {entry.number: entry for entry in (frontier.start, frontier.best, *frontier.front)}
    given = {
        number: answers(
            evaluator, entry.prompt, entry.trial.offsets, tested_rows(evaluator, frontier, entry)
        )
        for number, entry in entries.items()
    }
    return AnsweredRows(
        "test" if task.test else "dev",
        tuple(row.inputs for row in rows),
        tuple(row.target for row in rows),
        given,
    )


def answers(
    evaluator: Evaluator, prompt: Prompt, offsets: tuple[float, ...], rows: Sequence[Example]
) -> Answers:
    """Return what the model answers to rows with a prompt, and what that scores."""
    task = evaluator.task
    values = held_out(evaluator, prompt, offsets, rows).values
    outputs = evaluator.measure([prompt], rows)[0]
    said = evaluator.scoring.answered(task, prompt, rows, outputs, offsets)
    scored = [row for row, value in zip(rows, values, strict=True) if not math.isnan(value)]
    chosen = dict(zip(scored, evaluator.chosen(prompt, scored, offsets), strict=False))
    return Answers(
        tuple(None if math.isnan(value) else value for value in values),
        tuple(one.text for one in said),
        tuple(chosen.get(row, "") for row in rows) if chosen else (),
    )
