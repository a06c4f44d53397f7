"""What invents prompts: a mutator, what it may look at, and what it declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from .backends import NextTokens

if TYPE_CHECKING:
    import random

    from .data import Candidate, Example, Gene, Prompt, Task, Text

INSTRUCTION_TOKENS = 400
"""Tokens of an instruction at most, by default."""


class Answer(NamedTuple):
    """What a prompt's model answered to an example.

    Parameters
    ----------
    example
        The example.
    text
        The answer in the prompt's words; empty where there is none.
    score
        The task's metric of it, in [0, 1]; NaN where there is none.
    feedback
        A sentence on the score, where the scorer gives one.
    rationale
        The reasoning that led to it, where the prompt asks for any.
    """

    example: Example
    text: str
    score: float
    feedback: str = ""
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class MutationContext:
    """What a mutator may look at.

    Parameters
    ----------
    task
        The task, less the training rows kept back for the end; take demonstrations from
        ``task.train`` only.
    front
        The Pareto front so far, in order of tokens; never empty once the starting prompt is
        evaluated.
    rng
        The only source of randomness a mutator may use.
    propose
        ``propose(prompts, max_tokens) -> replies``: the proposer model, sampled, one reply per
        prompt. It answers few calls in a batch of candidates; after that its replies are empty. A
        model without a chat template gets turns as plain text.
    losses
        ``losses(prompt, examples) -> floats``: minus the log-likelihood of each gold answer, in
        nats; NaN where the model gives none. Costs evaluations; empty where none are left for
        mutators.
    label_bias
        ``label_bias(prompt) -> floats``: how much more likely than the others the prompt makes each
        label, whatever the input, in nats and in the order of the task's labels; empty for free
        text and of a prompt that does not ``fit``. Costs evaluations where the prompt was not
        scored; empty where none are left for mutators.
    next_tokens
        ``next_tokens(prompt, examples) -> NextTokens``: which words the model would write after
        the prompt, without its demonstrations, with each example. Costs evaluations where the
        prompt was not read before; empty where none are left for mutators, and from backends that
        are no `NextTokenReader`.
    answers
        ``answers(prompt, examples) -> answers``: what the prompt's model answers to each of a few
        examples, and how good that is. Costs evaluations; empty where none are left for mutators.
    instruction_tokens
        Tokens of an instruction at most; a longer one is no proposal.
    evaluated
        The latest fully evaluated prompts, on the front or not.
    cut_off
        ``cut_off(prompt) -> share``: of a fully evaluated prompt, how many of its replies were as
        long as they may be, in [0, 1]; 0 of any other. Costs nothing.
    fit
        ``fit(prompt) -> prompt``: with as many of its demonstrations, the first ones, as
        ``max_prompt_tokens`` lets it show; None where it, or its instruction, is too long. What a
        mutator returns is fitted like this; one that asks the model about a prompt fits it before.
    """

    task: Task
    front: tuple[Candidate, ...]
    rng: random.Random
    propose: Callable[[Sequence[Text], int], list[str]]
    losses: Callable[[Prompt, Sequence[Example]], list[float]]
    label_bias: Callable[[Prompt], tuple[float, ...]] = lambda _: ()
    next_tokens: Callable[[Prompt, Sequence[Example]], NextTokens] = lambda _, __: NextTokens(
        (), []
    )
    fit: Callable[[Prompt], Prompt | None] = lambda prompt: prompt
    answers: Callable[[Prompt, Sequence[Example]], list[Answer]] = lambda _, __: []
    instruction_tokens: int = INSTRUCTION_TOKENS
    evaluated: tuple[Candidate, ...] = ()
    cut_off: Callable[[Prompt], float] = lambda _: 0.0


@dataclass(frozen=True, slots=True)
class Direction:
    """How a directed mutator is used: one that knows what it is after, where others just try.

    A few candidates of each batch may be directed. Which directed mutator makes one, or whether the
    others do, is drawn from what each was worth so far (Thompson sampling).

    Parameters
    ----------
    base
        The prompts it may be given: ``"front"``, those of the Pareto front, or ``"potential"``,
        those that would be best without their label bias, uncalibrated.
    fewest_labels, most_labels
        The tasks it is of use for.
    prior
        Gains and losses it begins with (a Beta distribution), before any candidate of its own.
    once_a_batch
        Whether a batch has one candidate of its making at most.
    reads_next_tokens
        Whether it calls `MutationContext.next_tokens`, which costs more than racing a candidate. It
        is then given another instruction than before only while verbalizers of its making are on
        the front.
    preceded_by, precede_rate
        Name of another mutator that changes the prompt first, where it is installed, and how often.
    """

    base: Literal["front", "potential"] = "front"
    fewest_labels: int = 0
    most_labels: int | None = None
    prior: tuple[float, float] = (3.0, 1.0)
    once_a_batch: bool = False
    reads_next_tokens: bool = False
    preceded_by: str = ""
    precede_rate: float = 0.0

    def suits(self, labels: int) -> bool:
        """Whether it is of use for a task with so many labels."""
        return labels >= self.fewest_labels and labels <= (self.most_labels or labels)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a mutator needs and how it is best used, which it declares as ``usage = Usage(...)``.

    Parameters
    ----------
    asks_model
        It calls `MutationContext.propose`: left out where the proposer cannot write.
    needs_unshown_rows
        It learns from rows that must not judge it: left out where train and dev are the same rows.
    needs_likelihood
        Its prompts are right only where answers are had by likelihood: it calibrates, or has labels
        stand for words that the prompt does not name. Left out otherwise.
    needs_replies
        It is about replies in free text: left out where answers are labels or likelihoods.
    reasons
        It has the model reason before it answers: left out where the answer is chosen by
        likelihoods, which are read off at once, and where no reasoning is wanted.
    at_first
        What it makes of the starting prompt is among the first candidates.
    rereads
        It only changes how outputs are read: each fully evaluated prompt is also tried with it,
        which costs no new evaluation.
    direction
        How it is used where it is directed; None for a mutator that just tries.
    """

    asks_model: bool = False
    needs_unshown_rows: bool = False
    needs_likelihood: bool = False
    needs_replies: bool = False
    reasons: bool = False
    at_first: bool = False
    rereads: bool = False
    direction: Direction | None = None


class Mutator(Protocol):
    """Invents new values for one gene.

    ``mutate`` returns ``prompt`` with that gene changed (never any other). Returning the prompt
    unchanged means "nothing to propose here": another mutator is asked. A proposal counts as that
    too where it breaks what the user wants kept: texts and, of a prompt of the user's own
    (``structure.own``), the structure, and the placeholders and turns in its instruction. It must
    not touch global random state. If it raises, the candidate is recorded as failed and the run
    goes on. One that needs anything, or is after something, also declares a ``usage``, a `Usage`;
    `usage_of` reads it.
    """

    @property
    def gene(self) -> Gene:
        """The gene it changes."""
        ...

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return a new prompt that differs from ``prompt`` in ``gene`` alone."""
        ...


def usage_of(mutator: Mutator) -> Usage:
    """Return what a mutator declares of itself; nothing special where it declares nothing."""
    usage: Usage = getattr(mutator, "usage", _NO_USAGE)
    return usage


_NO_USAGE = Usage()
