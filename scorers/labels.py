"""Classification by log-likelihood: the label whose text the model finds most likely is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..search.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Example, Prompt, Task


class LabelScorer:
    """Accuracy over the task's labels, with optional batch calibration.

    Batch calibration (Zhou et al. 2023, arXiv 2309.17249) subtracts from each label's log-likelihood its mean over a
    batch of inputs; it needs no gold labels. Ties go to the label listed first; where all labels tie, none is chosen.
    """

    def answers(self, prompt: Prompt, task: Task, example: Example) -> tuple[str, ...]:  # noqa: ARG002 (the same for every example)
        """Return the text of each label, in the order of ``task.labels``."""
        texts = tuple(prompt.structure.verbalize(label) for label in task.labels)
        if len({text.strip() for text in texts}) < len(texts) or not all(text.strip() for text in texts):
            raise InputError(f"every label needs a text of its own, but the verbalizers give {', '.join(texts)}")
        return texts

    def fit(self, prompt: Prompt, outputs: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        """Return the mean log-likelihood of each label, or nothing where the prompt is not calibrated."""
        if prompt.structure.calibration == "none":
            return ()
        return tuple(float(mean) for mean in np.mean(np.asarray(outputs), axis=0))

    def score(
        self,
        task: Task,
        examples: Sequence[Example],
        outputs: Sequence[tuple[float, ...]],
        offsets: tuple[float, ...],
    ) -> list[float]:
        """Return 1 for each example whose gold label is the most likely, and 0 for the others."""
        chosen = self.choose(task, outputs, offsets)
        return [float(label == example.target) for label, example in zip(chosen, examples, strict=True)]

    def choose(self, task: Task, outputs: Sequence[tuple[float, ...]], offsets: tuple[float, ...]) -> list[str]:
        """Return the most likely label of each example; empty where all are as likely."""
        logs = np.asarray(outputs, dtype=np.float64).reshape(len(outputs), len(task.labels))
        logs = logs - np.asarray(offsets) if offsets else logs
        decided, likeliest = logs.max(axis=1) > logs.min(axis=1), logs.argmax(axis=1)
        return [task.labels[i] if clear else "" for i, clear in zip(likeliest, decided, strict=True)]
