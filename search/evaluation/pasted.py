"""What a prompt scores when it is pasted: the model writes its reply, and the label is read off."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ..contracts import GenerateRequest
from ..prompts.reading import label_limits, said_label
from ..prompts.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Example, Prompt
    from .evaluator import Evaluator

PASTED_ROWS = 200
"""Test rows that replies are written to."""


class Pasted(NamedTuple):
    """The share of replies that say the right label, of ``n``."""

    score: float
    n: int


def pasted(evaluator: Evaluator, prompt: Prompt, rows: Sequence[Example]) -> Pasted | None:
    """Return what a prompt scores on the first rows when its replies are really written.

    Whatever the score rests on (log-likelihoods, offsets), here it is the prompt's text alone.
    There is nothing of free text, which is written anyway, and of models that cannot write.
    """
    task, structure = evaluator.task, prompt.structure
    if not evaluator.scoring.reads_labels or not evaluator.backend.writes:
        return None
    most, stop, _ = label_limits(structure, task.labels)
    rows = rows[:PASTED_ROWS]
    asked = [GenerateRequest(render(prompt, row.inputs), most, stop) for row in rows]
    values: list[float] = []
    for row, reply in zip(rows, evaluator.model.outputs(asked), strict=True):
        if isinstance(reply, str):
            label = said_label(structure, task.labels, reply)
            values.append(float(label == task.labels.index(row.target)))
    return Pasted(fmean(values), len(values)) if values else None
