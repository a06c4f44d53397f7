"""Scorers, which rate answers by their log-likelihood or by the model's reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .backends import LikelihoodRequest

if TYPE_CHECKING:
    from .data import Example, Prompt, Task, Unscored

Likelihoods = Callable[[Sequence[LikelihoodRequest]], Sequence["tuple[float, ...] | Unscored"]]
"""A model that a scorer may use; it has the signature of `Backend.loglikelihoods`."""


class Score(float):
    """A number with the reason for it, such as ``Score(0.0, "the unit is missing")``.

    The model that writes new instructions sees the reason.
    """

    feedback: str

    def __new__(cls, value: float, feedback: str = "") -> Score:
        """Make a score."""
        score = super().__new__(cls, value)
        score.feedback = str(feedback)
        return score

    def __reduce__(self) -> tuple[type[Score], tuple[float, str]]:
        """Return how to make a copy."""
        return Score, (float(self), self.feedback)


def feedback_of(score: float | None) -> str:
    """Return the reason for a score; empty if there is none."""
    return score.feedback if isinstance(score, Score) else ""


@runtime_checkable
class LikelihoodScorer(Protocol):
    """Scores answers by their log-likelihoods.

    Only `answers`, `fit` and `score` are required; the rest has defaults.
    """

    @property
    def labelled(self) -> bool:
        """Whether the answers are the task's labels, so that a missing score means a tie."""
        return True

    @property
    def is_accuracy(self) -> bool:
        """Whether it gives 1 for the right label and 0 for any other.

        Only then can labels also be read from replies.
        """
        return False

    @property
    def asks_model(self) -> bool:
        """Whether it uses the ``judge`` that `prepare` gets."""
        return False

    def prepare(self, task: Task, judge: Likelihoods) -> LikelihoodScorer:  # noqa: ARG002
        """Return the scorer for a task, with a model to ask."""
        return self

    def answers(self, prompt: Prompt, task: Task, example: Example) -> tuple[str, ...]:
        """Return the answers to score, in the words of the prompt."""
        ...

    def fit(self, prompt: Prompt, outputs: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        """Return the offset to subtract from each answer's log-likelihood; empty for none.

        It is fitted to outputs on dev inputs without their labels, fixed before the test split is
        scored, and exported with the prompt.
        """
        ...

    def score(
        self,
        task: Task,
        examples: Sequence[Example],
        outputs: Sequence[tuple[float, ...]],
        offsets: tuple[float, ...],
    ) -> Sequence[float | None]:
        """Return the metric of each example, in [0, 1] and in order; None if there is none."""
        ...

    def choose(
        self,
        task: Task,  # noqa: ARG002
        outputs: Sequence[tuple[float, ...]],  # noqa: ARG002
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[str]:
        """Return the label chosen for each example, empty for none.

        The report computes macro-F1 and Matthews' coefficient from them, unless the list is empty.
        """
        return []


@runtime_checkable
class ReplyScorer(Protocol):
    """Scores answers by the model's replies.

    If it needs only a number for each reply, a plain function ``metric(reply, example)`` is enough.
    The number may be a `Score`. A class requires only `score_replies`; the rest has defaults.
    """

    @property
    def labelled(self) -> bool:
        """Whether it scores the task's labels; replies are free text."""
        return False

    @property
    def asks_model(self) -> bool:
        """Whether it uses the ``judge`` that `prepare` gets."""
        return False

    @property
    def samples(self) -> int:
        """Number of replies per example; more than one are drawn at random."""
        return 1

    def prepare(self, task: Task, judge: Likelihoods) -> ReplyScorer:  # noqa: ARG002
        """Return the scorer for a task, with a model to ask.

        The model is the proposer, which may differ from the scored model.
        """
        return self

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the metric of each reply, in [0, 1] and in order; None if there is none."""
        ...

    def combine(self, values: Sequence[float]) -> float:
        """Return one value for all replies to an example, such as pass@k."""
        return values[0]
