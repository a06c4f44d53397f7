"""Classification by log-likelihood: the most likely label is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..search.contracts import LikelihoodScorer
from ..search.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..search.contracts import Example, Prompt, Task

_TIE = 1e-9
"""Nats that labels are apart by rounding alone."""


class LabelScorer(LikelihoodScorer):
    """Accuracy over the task's labels, with optional batch calibration.

    Batch calibration (Zhou et al. 2023, arXiv 2309.17249) subtracts from each label's
    log-likelihood its mean over a batch of inputs; it needs no gold labels. Where several labels
    are the most likely, none is chosen and nothing scored.
    """

    is_accuracy = True

    def answers(
        self,
        prompt: Prompt,
        task: Task,
        example: Example,  # noqa: ARG002 (the same for every example)
    ) -> tuple[str, ...]:
        """Return the text of each label, in the order of ``task.labels``."""
        texts = tuple(prompt.structure.verbalize(label) for label in task.labels)
        if len({text.strip() for text in texts}) < len(texts) or not all(
            text.strip() for text in texts
        ):
            raise InputError(
                f"expected a different text for each label, found verbalizers {', '.join(texts)}"
            )
        return texts

    def fit(self, prompt: Prompt, outputs: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        """Return each label's mean log-likelihood; nothing where the prompt is not calibrated."""
        if prompt.structure.calibration == "none":
            return ()
        logs = np.asarray(outputs, dtype=np.float64)
        if np.isfinite(logs).all():
            return tuple(float(mean) for mean in np.mean(logs, axis=0))
        return tuple(_finite_mean(column) for column in logs.T)

    def score(
        self,
        task: Task,
        examples: Sequence[Example],
        outputs: Sequence[tuple[float, ...]],
        offsets: tuple[float, ...],
    ) -> list[float | None]:
        """Return 1 where the gold label is the most likely, 0 where another is.

        None where none is.
        """
        chosen = self.choose(task, outputs, offsets)
        return [
            float(label == example.target) if label else None
            for label, example in zip(chosen, examples, strict=True)
        ]

    def choose(
        self, task: Task, outputs: Sequence[tuple[float, ...]], offsets: tuple[float, ...]
    ) -> list[str]:
        """Return the most likely label of each example; empty where that is not one alone."""
        logs = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), len(task.labels))
        logs = logs - np.asarray(offsets) if offsets else logs
        return [
            task.labels[i] if clear else ""
            for i, clear in zip(logs.argmax(axis=1), _decided(logs), strict=True)
        ]


def _decided(logs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows have one largest value; what is not a number decides nothing."""
    most = np.sort(logs, axis=1)[:, -2:]
    with np.errstate(invalid="ignore"):
        decided: NDArray[np.bool_] = most[:, -1] - most[:, 0] > _TIE
    return decided


def _finite_mean(logs: NDArray[np.float64]) -> float:
    """Return the mean of the finite values: an impossible label takes nothing from other rows."""
    finite = logs[np.isfinite(logs)]
    return float(finite.mean()) if finite.size else 0.0
