"""Which words of an input decide its answer: each is left out in turn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..prompts.cjk import word_spans
from ..records.explanation import RowExplanation, WordEffect
from .scores import logs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..contracts import Example, Prompt
    from .evaluator import Evaluator

_MOST = 80
"""Pieces of an input at most: in a longer one several words are left out together."""


def word_effects(
    evaluator: Evaluator,
    prompt: Prompt,
    row: Example,
    number: int,
    offsets: tuple[float, ...] = (),
) -> RowExplanation:
    """Return what changes without each word of a row's input.

    Parameters
    ----------
    evaluator, prompt, offsets
        What answers, and the prompt's calibration.
    row, number
        The row, and what it is called.
    """
    pieces = [*_pieces(row)]
    examples = [row, *(_without(row, field, span) for field, span in pieces)]
    whole, *values = _numbers(evaluator, prompt, examples, offsets)
    outputs = evaluator.measure([prompt], examples)[0]
    said = evaluator.scoring.answered(evaluator.task, prompt, examples, outputs, offsets)
    answer, *answers = [one.text for one in said]
    words = []
    for (field, span), value, other in zip(pieces, values, answers, strict=True):
        name, text = row.inputs[field]
        words.append(WordEffect(name, text[slice(*span)], _difference(whole, value), other))
    return RowExplanation(number, row.target, answer, tuple(words))


def _pieces(row: Example) -> Iterator[tuple[int, tuple[int, int]]]:
    """Return the number of a field and where a piece of it stands, for each piece."""
    spans = [(i, span) for i, (_, text) in enumerate(row.inputs) for span in word_spans(text)]
    size = math.ceil(len(spans) / _MOST) or 1
    for field in range(len(row.inputs)):
        here = [span for i, span in spans if i == field]
        for start in range(0, len(here), size):
            group = here[start : start + size]
            yield field, (group[0][0], group[-1][1])


def _without(row: Example, field: int, span: tuple[int, int]) -> Example:
    """Return the row without a piece of one of its fields."""
    name, text = row.inputs[field]
    before, after = text[: span[0]], text[span[1] :]
    left = before + (after.lstrip() if before[-1:].isspace() or not before else after)
    inputs = (*row.inputs[:field], (name, left), *row.inputs[field + 1 :])
    return replace(row, inputs=inputs)


def _numbers(
    evaluator: Evaluator, prompt: Prompt, examples: Sequence[Example], offsets: tuple[float, ...]
) -> list[float | None]:
    """Return of each the probability of the first one's answer, or the score in free text."""
    labels = evaluator.task.labels
    outputs = evaluator.measure([prompt], examples)[0]
    logs = [logs_of(one) for one in outputs]
    if not labels or not all(logs):
        values = evaluator.evaluate(prompt, examples, offsets).values
        return [None if math.isnan(value) else value for value in values]
    if offsets:
        logs = [tuple(log - o for log, o in zip(one, offsets, strict=True)) for one in logs]
    answer = max(range(len(labels)), key=lambda i: logs[0][i])
    return [math.exp(one[answer] - _log_sum(one)) for one in logs]


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + math.log(math.fsum(math.exp(log - most) for log in logs))


def _difference(with_it: float | None, without: float | None) -> float | None:
    return None if with_it is None or without is None else with_it - without
