"""What scoring by likelihood and by reply have in common: the questions of an evaluator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from ..contracts import Written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..contracts import (
        Backend,
        Example,
        LikelihoodRequest,
        Outputs,
        Prompt,
        Reason,
        Task,
    )
    from .cached_model import Asked


class Scores(NamedTuple):
    """Of each example its score or why it has none, and the offsets that outputs were read with."""

    values: list[float | Reason]
    offsets: tuple[float, ...] = ()


class Said(NamedTuple):
    """An answer, empty where there is none, a sentence on it, and the reasoning that led to it.

    Each is empty where there is none.
    """

    text: str
    feedback: str = ""
    rationale: str = ""


class Scoring(ABC):
    """What a scorer wants to know about a prompt and an example, and what the answer is worth."""

    @abstractmethod
    def request(self, task: Task, prompt: Prompt, example: Example) -> Asked:
        """Return what the model is asked."""

    @abstractmethod
    def gold(self, task: Task, prompt: Prompt, example: Example) -> tuple[LikelihoodRequest, int]:
        """Return a request that asks for the gold answer, and the answer's position in it."""

    @abstractmethod
    def score(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...] | None,
    ) -> Scores:
        """Return the scores of outputs, read with ``offsets`` or with those fitted to them."""

    @property
    def reads_labels(self) -> bool:
        """Whether a reply that says the right label is right, and one that says another is not."""
        return False

    def check(self, task: Task, prompt: Prompt, backend: Backend) -> None:  # noqa: B027
        """Refuse a prompt whose answers cannot be scored; by default none."""

    def chosen(
        self,
        task: Task,  # noqa: ARG002
        prompt: Prompt,  # noqa: ARG002
        outputs: Sequence[Outputs],  # noqa: ARG002
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[str]:
        """Return the label that each example is given; nothing where none is chosen."""
        return []

    def answered(
        self,
        task: Task,  # noqa: ARG002
        prompt: Prompt,  # noqa: ARG002
        examples: Sequence[Example],
        outputs: Sequence[Outputs],  # noqa: ARG002
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[Said]:
        """Return what the model answered to each example, and what there is to say of it."""
        return [Said("")] * len(examples)

    def cut_off(
        self,
        task: Task,  # noqa: ARG002
        prompt: Prompt,  # noqa: ARG002
        outputs: Sequence[Outputs],  # noqa: ARG002
        count_tokens: Callable[[Sequence[str]], Sequence[int]],  # noqa: ARG002
    ) -> int:
        """Return how many replies are as long as they may be; 0 where replies are labels."""
        return 0

    def replies(self, outputs: Sequence[Outputs]) -> list[str]:  # noqa: ARG002
        """Return what the model wrote, all of it; nothing where it wrote nothing."""
        return []

    def unread(
        self,
        task: Task,  # noqa: ARG002
        prompt: Prompt,  # noqa: ARG002
        outputs: Sequence[Outputs],  # noqa: ARG002
    ) -> list[str]:
        """Return the replies that are to say a label and say none, or several."""
        return []

    def constraints_met(
        self,
        prompt: Prompt,  # noqa: ARG002
        examples: Sequence[Example],  # noqa: ARG002
        outputs: Sequence[Outputs],  # noqa: ARG002
    ) -> float | None:
        """Return the share of the prompt's constraints that replies meet; None without replies."""
        return None

    def parts(
        self,
        task: Task,  # noqa: ARG002
        prompt: Prompt,  # noqa: ARG002
        examples: Sequence[Example],  # noqa: ARG002
        outputs: Sequence[Outputs],  # noqa: ARG002
    ) -> dict[str, float]:
        """Return the mean score of each of several scorers with weights; nothing of one alone."""
        return {}


def shown(prompt: Prompt, examples: Sequence[Example]) -> list[bool]:
    """Return which examples are among the prompt's demonstrations."""
    inputs = {example.inputs for example in prompt.demonstrations}
    return [example.inputs in inputs for example in examples]


def numbers(outputs: Sequence[Outputs]) -> list[tuple[float, ...]]:
    """Return the log-likelihoods of those outputs that have any."""
    return [logs for output in outputs if (logs := logs_of(output))]


def logs_of(output: Outputs) -> tuple[float, ...]:
    """Return the log-likelihoods of an output; nothing where it has none."""
    if isinstance(output, Written):
        return output.logs
    return output if isinstance(output, tuple) else ()
