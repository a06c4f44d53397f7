"""Mutators, which make new prompts: the Protocol, its context, and what a mutator declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from .backends import NextTokens

if TYPE_CHECKING:
    import random

    from .data import Candidate, Example, Gene, Prompt, Task, Text

INSTRUCTION_TOKENS = 400
"""Maximum tokens of an instruction, by default."""


class Answer(NamedTuple):
    """The model's answer to an example with a prompt.

    Parameters
    ----------
    example
        The example.
    text
        The answer in the prompt's words; empty if there is none.
    score
        Its score by the task's metric, in [0, 1]; NaN if there is none.
    feedback
        A sentence about the score, if the scorer gives one.
    rationale
        The reasoning before it, if the prompt asks for reasoning.
    """

    example: Example
    text: str
    score: float
    feedback: str = ""
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class MutationContext:
    """What a mutator may use.

    Parameters
    ----------
    task
        The task without the confirmation rows; take demonstrations from ``task.train`` only.
    front
        The Pareto front so far, sorted by tokens; not empty once the starting prompt is evaluated.
    rng
        The only source of randomness that a mutator may use.
    propose
        ``propose(prompts, max_tokens) -> replies``: samples one reply per prompt from the proposer
        model. It answers only a few calls per batch of candidates; further replies are empty. A
        model without a chat template gets turns as plain text.
    losses
        ``losses(prompt, examples) -> floats``: negative log-likelihood of each gold answer in nats;
        NaN if the model gives none. Costs evaluations; empty if mutators have none left.
    label_bias
        ``label_bias(prompt) -> floats``: how much more likely than the others the prompt makes each
        label, whatever the input, in nats and in the order of the task's labels. It is empty for
        free text and for a prompt that does not ``fit``. Costs evaluations if the prompt was not
        scored before; empty if mutators have none left.
    next_tokens
        ``next_tokens(prompt, examples) -> NextTokens``: the words that the model would write after
        the prompt, without its demonstrations, for each example. Costs evaluations if the prompt
        was not read before; empty if mutators have none left, or if the backend is no
        `NextTokenReader`.
    answers
        ``answers(prompt, examples) -> answers``: the model's answers to a few examples with the
        prompt, and their scores. Costs evaluations; empty if mutators have none left.
    instruction_tokens
        Maximum tokens of an instruction; longer ones are not accepted.
    evaluated
        The latest fully evaluated prompts, whether or not they are on the front.
    cut_off
        ``cut_off(prompt) -> share``: the share of the prompt's replies that reached the token
        limit, in [0, 1]; 0 if the prompt is not fully evaluated. Costs nothing.
    fit
        ``fit(prompt) -> prompt``: the prompt with as many of its first demonstrations as
        ``max_prompt_tokens`` allows; None if the prompt or its instruction is still too long. The
        search fits what a mutator returns; a mutator that asks the model about a prompt fits it
        first.
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
    """How a directed mutator is used: it has a goal, whereas others vary the prompt at random.

    A few candidates of each batch may be directed. Thompson sampling over past gains chooses which
    directed mutator makes such a candidate, or whether an undirected one does.

    Parameters
    ----------
    base
        The prompts that it gets: ``"front"``, those on the Pareto front, or ``"potential"``, the
        uncalibrated ones that would be best without their label bias.
    fewest_labels, most_labels
        The numbers of labels for which it is useful.
    prior
        Gains and losses of its Beta prior, before it has made a candidate.
    once_a_batch
        Whether it makes at most one candidate per batch.
    reads_next_tokens
        Whether it calls `MutationContext.next_tokens`, which costs more than racing a candidate. It
        then gets a new instruction only while verbalizers that it made are on the front.
    preceded_by, precede_rate
        Name of another mutator, if installed, that changes the prompt first, and how often.
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
        """Whether it is useful for a task with this number of labels."""
        return labels >= self.fewest_labels and labels <= (self.most_labels or labels)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a mutator needs and how to use it; a mutator declares ``usage = Usage(...)``.

    Parameters
    ----------
    asks_model
        It calls `MutationContext.propose`; off if the proposer cannot generate text.
    needs_unshown_rows
        It learns from rows that are not used for scoring; off if train and dev are the same rows.
    needs_likelihood
        Its prompts work only with answers by likelihood, because it calibrates or replaces labels
        by words that the prompt does not name; off otherwise.
    needs_replies
        It concerns free-text replies; off if answers are labels or likelihoods.
    reasons
        It makes the model reason before it answers; off if answers are chosen by likelihood,
        without generated text, and if reasoning is not wanted.
    at_first
        Its change of the starting prompt is among the first candidates.
    rereads
        It only changes how outputs are read, so each fully evaluated prompt is also tried with it
        without new evaluations.
    direction
        How it is used as a directed mutator; None if it is not one.
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
    """Makes new values for one gene.

    ``mutate`` returns ``prompt`` with this gene changed and no other. An unchanged prompt means "no
    proposal", and the search asks another mutator. So does a proposal that changes what the user
    wants to keep: given texts and, in the user's own prompt (``structure.own``), the structure (but
    for ``calibration``, ``reasoning`` and ``reply_factor``) and the placeholders and turns of the
    instruction. A mutator must not use global random state. If it raises, the candidate is recorded
    as failed and the run continues. It may declare what it needs as ``usage``, a `Usage`, which
    `usage_of` reads.
    """

    @property
    def gene(self) -> Gene:
        """The gene it changes."""
        ...

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return a new prompt that differs from ``prompt`` in ``gene`` alone."""
        ...


def usage_of(mutator: Mutator) -> Usage:
    """Return the usage that a mutator declares; the default one if it declares none."""
    usage: Usage = getattr(mutator, "usage", _NO_USAGE)
    return usage


_NO_USAGE = Usage()
