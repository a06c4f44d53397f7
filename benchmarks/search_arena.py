"""What every optimizer in benchmarks/search.py plays in: the same rows, model, rule and budget.

The budget is in evaluations, each one prompt on one example; one that was made before costs nothing
the second time. Every optimizer decides as the task says - by the most likely label, or by the
label that the reply says - and is told the score of each example; nobody sees a test row.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from promptfront.search.contracts import Unscored
from promptfront.search.prompts.reading import said_label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from promptfront.search.contracts import Backend, Example, Outputs, Prompt, Text
    from promptfront.search.evaluation.evaluator import Evaluator


class BudgetSpentError(Exception):
    """The next call would pass the budget; nothing of it was scored."""


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The prompt an optimizer would return at a point of its run."""

    evaluations: int
    seconds: float
    prompt: Prompt
    quality: float


class Answer(NamedTuple):
    """What the model answers to an example, and the label read in it, if there is one.

    Of free text that is the whole reply, and no label.
    """

    reply: str
    label: str | None


class Meter:
    """Counts the tokens that a backend reads and writes, each prompt in full, as a server would.

    It counts what is asked from now on. An answer that is scored, not written, writes nothing.
    """

    def __init__(self, backend: Backend) -> None:
        self.read = 0
        self.written = 0
        self._count = backend.count_tokens
        for name in ("loglikelihoods", "greedy"):
            if hasattr(backend, name):
                setattr(backend, name, self._scoring(getattr(backend, name)))
        setattr(backend, "generate", self._writing(backend.generate))  # noqa: B010

    def _scoring(self, score: Callable[..., Any]) -> Callable[..., Any]:
        def counted(requests: Sequence[Any]) -> Any:  # noqa: ANN401
            self.read += sum(self._count([request.prompt for request in requests]))
            return score(requests)

        return counted

    def _writing(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counted(prompts: Sequence[Text], **options: object) -> Any:  # noqa: ANN401
            self.read += sum(self._count(list(prompts)))
            replies = write(prompts, **options)
            self.written += sum(self._count([r for r in replies if isinstance(r, str)]))
            return replies

        return counted


class Arena:
    """Scores and writes for one optimizer on one task, and keeps its accounts.

    Parameters
    ----------
    evaluator
        The scoring engine, with the task.
    instructions
        The instructions everyone starts from; the first is the task's starting instruction.
    evaluations
        The budget.
    seed
        Decides everything random in the optimizer.
    hand
        Prompts that a person wrote, for the baseline.
    seconds
        When a peer is ended.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        instructions: Sequence[str],
        evaluations: int,
        seed: int,
        hand: Sequence[Prompt] = (),
        seconds: float = inf,
    ) -> None:
        self.evaluator = evaluator
        self.task = evaluator.task
        self.instructions = tuple(instructions)
        self.evaluations = evaluations
        self.seed = seed
        self.hand = tuple(hand)
        self.seconds = seconds
        self.spent = 0
        self.proposer_calls = 0
        self.proposer_seconds = 0.0
        self.incumbents: list[Incumbent] = []
        self.front: list[Prompt] = []
        """What the optimizer leaves to choose from: a Pareto front, or every prompt it held."""
        self._seen: set[tuple[Prompt, Example]] = set()
        self._started = time.perf_counter()

    def score(self, prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[list[float]]:
        """Return each prompt's score of each example.

        Raises
        ------
        BudgetSpentError
            If there is not enough budget left for all of them.
        """
        new = {(p, e) for p in prompts for e in examples} - self._seen
        if self.spent + len(new) > self.evaluations:
            raise BudgetSpentError
        self.spent += len(new)
        self._seen |= new
        self.evaluator.measure(prompts, examples)
        return [list(self.evaluator.evaluate(prompt, examples).values) for prompt in prompts]

    def generate(
        self, prompts: Sequence[Text], *, max_tokens: int, temperature: float = 0.8
    ) -> list[str]:
        """Return the proposer's reply to each prompt."""
        started = time.perf_counter()
        seed = self.seed * 100_003 + self.proposer_calls
        replies = self.evaluator.backend.generate(
            prompts, max_tokens=max_tokens, temperature=temperature, seed=seed
        )
        self.proposer_calls += len(prompts)
        self.proposer_seconds += time.perf_counter() - started
        return ["" if isinstance(reply, Unscored) else reply for reply in replies]

    def answers(self, prompt: Prompt, examples: Sequence[Example]) -> list[Answer]:
        """Return what the model answers to examples that the prompt was scored on."""
        outputs = self.evaluator.measure([prompt], examples)[0]
        return [answer(prompt, self.task.labels, output) for output in outputs]

    def prompt(self, instruction: str, demonstrations: Sequence[Example] = ()) -> Prompt:
        """Return an instruction with demonstrations in the layout that every peer uses."""
        return replace(
            self.task.start, instruction=instruction, demonstrations=tuple(demonstrations)
        )

    def hold(self, prompt: Prompt, quality: float) -> None:
        """Note the prompt that would now be returned, and what its optimizer thinks it scores."""
        if (
            not self.incumbents
            or self.incumbents[-1].prompt != prompt
            or self.incumbents[-1].quality != quality
        ):
            self.incumbents.append(
                Incumbent(self.spent, time.perf_counter() - self._started, prompt, quality)
            )


def answer(prompt: Prompt, labels: Sequence[str], output: Outputs) -> Answer:
    """Return what an output says: the likeliest label, or the one that the reply says."""
    if isinstance(output, Unscored):
        return Answer("", None)
    if isinstance(output, tuple):
        label = labels[output.index(max(output))]
        return Answer(label, label)
    reply = output if isinstance(output, str) else output.reply
    if not labels:
        return Answer(reply, None)
    said = said_label(prompt.structure, labels, reply)
    return Answer(reply, None if isinstance(said, Unscored) else labels[said])
