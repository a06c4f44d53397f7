"""What says how good an answer is: by its log-likelihood, or by the reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .backends import LikelihoodRequest

if TYPE_CHECKING:
    from .data import Example, Prompt, Task, Unscored

Likelihoods = Callable[[Sequence[LikelihoodRequest]], Sequence["tuple[float, ...] | Unscored"]]
"""A model that a scorer may ask; it answers as `Backend.loglikelihoods` does."""


class Score(float):
    """A score with a sentence on why: ``Score(0.0, "the unit is missing")``; it counts as a number.

    The sentence is shown to the model that writes new instructions.
    """

    feedback: str

    def __new__(cls, value: float, feedback: str = "") -> Score:
        """Make a number of it."""
        score = super().__new__(cls, value)
        score.feedback = str(feedback)
        return score

    def __reduce__(self) -> tuple[type[Score], tuple[float, str]]:
        """Return what a copy is made of."""
        return Score, (float(self), self.feedback)


def feedback_of(score: float | None) -> str:
    """Return the sentence on why a score is what it is; empty where there is none."""
    return score.feedback if isinstance(score, Score) else ""


@runtime_checkable
class LikelihoodScorer(Protocol):
    """Says what a good answer is, by the log-likelihoods of answers.

    `answers`, `fit` and `score` are all there has to be; what else is here has a default.
    """

    @property
    def labelled(self) -> bool:
        """Whether the answers are the task's labels, and an answer without a score is a tie."""
        return True

    @property
    def is_accuracy(self) -> bool:
        """Whether it gives 1 for the right label and 0 for another.

        Then a label may also be read off a reply.
        """
        return False

    @property
    def asks_model(self) -> bool:
        """Whether it asks the ``judge`` of `prepare`."""
        return False

    def prepare(self, task: Task, judge: Likelihoods) -> LikelihoodScorer:  # noqa: ARG002
        """Return the scorer for a task, with a model to ask."""
        return self

    def answers(self, prompt: Prompt, task: Task, example: Example) -> tuple[str, ...]:
        """Return the answers whose log-likelihoods are wanted, as the prompt would write them."""
        ...

    def fit(self, prompt: Prompt, outputs: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        """Return the offset to subtract from each answer's log-likelihood; empty for none.

        It is learnt from outputs on dev inputs, without their labels, frozen before the test split
        is scored, and exported with the prompt.
        """
        ...

    def score(
        self,
        task: Task,
        examples: Sequence[Example],
        outputs: Sequence[tuple[float, ...]],
        offsets: tuple[float, ...],
    ) -> Sequence[float | None]:
        """Return the metric of each example, in [0, 1] and in order; None where there is none."""
        ...

    def choose(
        self,
        task: Task,  # noqa: ARG002
        outputs: Sequence[tuple[float, ...]],  # noqa: ARG002
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[str]:
        """Return the label chosen for each example, empty for none.

        From these macro-F1 and Matthews' coefficient are reported; of an empty list neither is.
        """
        return []


@runtime_checkable
class ReplyScorer(Protocol):
    """Says what a good answer is, by what the model writes.

    Where one number for each reply is all there is to it, a plain function
    ``metric(reply, example)`` does as well. A number may be a `Score`. Of a class
    `score_replies` is all there has to be; what else is here has a default.
    """

    @property
    def labelled(self) -> bool:
        """Whether it scores the task's labels; replies are free text."""
        return False

    @property
    def asks_model(self) -> bool:
        """Whether it asks the ``judge`` of `prepare`."""
        return False

    @property
    def samples(self) -> int:
        """How many replies are wanted of each example; several are drawn at random."""
        return 1

    def prepare(self, task: Task, judge: Likelihoods) -> ReplyScorer:  # noqa: ARG002
        """Return the scorer for a task, with a model to ask.

        That is the model that writes proposals, which is another than the scored one on demand.
        """
        return self

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the metric of each reply, in [0, 1] and in order; None where there is none."""
        ...

    def combine(self, values: Sequence[float]) -> float:
        """Return what the values of an example's replies make together, such as pass@k."""
        return values[0]
