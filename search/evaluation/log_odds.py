"""What the log-likelihoods of labels tell of prompts beyond the rows that they were scored on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..contracts import GreedyReader
from .estimates import Estimate, estimate, label_shares
from .scores import logs_of
from .statistics import scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Example, Outputs, Prompt
    from .evaluator import Evaluation, Evaluator


class LogOdds:
    """Reads the log-likelihoods of labels, where there are any."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def known(self, prompt: Prompt) -> bool:
        """Whether labels have log-likelihoods, from which the prompt's score is estimated.

        They have none where the model is to reason first.
        """
        task, backend = self._evaluator.task, self._evaluator.backend
        if prompt.structure.reasoning:
            return False
        if not task.labels or task.answers != "written":
            return bool(task.labels)
        return isinstance(backend, GreedyReader) and backend.reads_greedily

    def estimates(self, seen: Mapping[Prompt, int]) -> dict[Prompt, Estimate]:
        """Return what each prompt would score on all dev examples; only where they are `known`.

        Written, that is what it would score by the likeliest label, times the share of that which
        it also writes.

        Parameters
        ----------
        seen
            On how many of the dev examples each prompt is read; what was not scored yet is.
        """
        task = self._evaluator.task
        gold = [task.labels.index(example.target) for example in task.dev]
        outputs: list[list[list[float] | None]] = []
        shares: list[float] = []
        for prompt, rows in seen.items():
            measured = self._evaluator.measure([prompt], task.dev[:rows])[0]
            evaluation = self._evaluator.evaluate(prompt, task.dev[:rows])
            outputs.append(_calibrated(measured, evaluation))
            shares.append(_share_written(outputs[-1], gold, evaluation.values))
        estimates = estimate(outputs, gold, self._evaluator.weights(task.dev))
        if task.answers != "written":
            return dict(zip(seen, estimates, strict=True))
        parts = zip(estimates, shares, strict=True)
        written = [Estimate(*(min(1.0, s * value) for value in one)) for one, s in parts]
        return dict(zip(seen, written, strict=True))

    def label_shares(self, prompt: Prompt, examples: Sequence[Example]) -> list[float]:
        """Return the right label's share of each example's probability; NaN where there is none.

        It is as if all prompts were equally sharp: their log-odds are divided by what these vary.
        """
        labels = self._evaluator.task.labels
        if not self.known(prompt):
            return [math.nan] * len(examples)
        outputs = self._evaluator.measure([prompt], examples)[0]
        logs = _calibrated(outputs, self._evaluator.evaluate(prompt, examples))
        return label_shares(logs, [labels.index(example.target) for example in examples])


def _calibrated(outputs: Sequence[Outputs], evaluation: Evaluation) -> list[list[float] | None]:
    """Return log-likelihoods less the prompt's offsets; none for examples without a score."""
    calibrated: list[list[float] | None] = []
    for output, value in zip(outputs, evaluation.values, strict=True):
        if math.isnan(value):
            calibrated.append(None)
            continue
        logs = logs_of(output)
        offsets = evaluation.offsets or (0.0,) * len(logs)
        calibrated.append([log - offset for log, offset in zip(logs, offsets, strict=True)])
    return calibrated


def _share_written(
    outputs: Sequence[Sequence[float] | None], gold: Sequence[int], values: Sequence[float]
) -> float:
    """Return how many right answers are written for one that is the likeliest of the labels.

    As if one more were both.
    """
    likeliest = sum(
        max(range(len(logs)), key=logs.__getitem__) == label
        for logs, label in zip(outputs, gold, strict=False)
        if logs
    )
    return (sum(scored(values)) + 1) / (likeliest + 1)
