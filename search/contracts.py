"""The types that flow through promptfront and the Protocols a plugin implements.

Read this file first: it imports nothing from the rest of the project and is all a plugin author
needs. Quality is always "higher is better"; cost is always prompt tokens, lower is better.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import random

Gene = Literal["instruction", "demonstrations", "constraints", "structure"]
GENES: tuple[Gene, ...] = ("instruction", "demonstrations", "constraints", "structure")


Rule = Literal["", "words", "lines", "avoid", "include", "choice", "regex", "json", "language"]
RULES: tuple[Rule, ...] = (
    "words",
    "lines",
    "avoid",
    "include",
    "choice",
    "regex",
    "json",
    "language",
)


class Message(NamedTuple):
    """One turn of a chat prompt. ``content`` is data: control tokens in it are literal text."""

    role: Literal["system", "user", "assistant"]
    content: str


Text = str | tuple[Message, ...]
"""A rendered prompt: plain text, or chat turns for the model's chat template."""


Reason = Literal[
    "empty", "cut", "refused", "filtered", "no label", "several labels", "tie", "no number"
]
REASONS: dict[Reason, str] = {
    "empty": "empty reply",
    "cut": "reply cut off before its answer",
    "refused": "the model refuses",
    "filtered": "refused by a content filter",
    "no label": "no label in the reply",
    "several labels": "several labels in the reply",
    "tie": "labels are equally likely",
    "no number": "the scorer gives no number",
}
"""Why an example can have no score, and how a person reads it."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """What stands for an answer that cannot be scored. It counts neither as right nor as wrong.

    Parameters
    ----------
    reason
        One of `REASONS`.
    """

    reason: Reason


Outputs = tuple[float, ...] | str | Unscored
"""What a backend answers about an example: the log-likelihood of each answer, or a reply (several
as a JSON list), or why there is none."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a data set.

    Parameters
    ----------
    inputs
        ``(field name, text)`` pairs in the order of the task's input fields.
    target
        The gold answer; for a label task, one of its labels.
    references
        Further answers that are as good.
    hidden
        ``(name, text)`` pairs for the scorer alone, such as tests that a program must pass; no
        prompt shows them.
    """

    inputs: tuple[tuple[str, str], ...]
    target: str
    references: tuple[str, ...] = field(default=(), compare=False)
    hidden: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def golds(self) -> tuple[str, ...]:
        """All accepted answers."""
        return (self.target, *self.references)

    @property
    def id(self) -> str:
        """A short hash of the inputs: equal inputs are the same example, whatever their target."""
        text = json.dumps(self.inputs, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule the prompt states about its answer, such as "Use at most {limit} words" with limit 4.

    Parameters
    ----------
    name
        Identifies the rule: a prompt holds at most one constraint of a name.
    template
        The sentence. Where ``limit`` is set, the characters ``{limit}`` stand for its value.
    limit
        Its parameter, if it has one; smaller is tighter.
    rule
        How a reply is measured, and where it can be made to comply: at most ``limit`` ``"words"``
        (characters in Chinese) or ``"lines"``, none (``"avoid"``), all (``"include"``) or one and
        no more (``"choice"``) of ``words``, a ``"regex"`` or ``"json"`` value of that ``pattern``,
        the ``"language"`` of the input. Empty: it is text alone.
    words
        Of the rules that have any.
    pattern
        A regular expression, or a JSON schema as text; of ``"json"`` it may be empty.
    """

    name: str
    template: str
    limit: int | None = None
    rule: Rule = ""
    words: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def text(self) -> str:
        """The sentence as it appears in the prompt."""
        return (
            self.template
            if self.limit is None
            else self.template.replace("{limit}", str(self.limit))
        )


@dataclass(frozen=True, slots=True)
class Structure:
    """How a prompt is laid out and how its answer is read.

    Parameters
    ----------
    input_labels
        The label written before each input field, in the order of the task's input fields; an empty
        label writes the text alone.
    target_label
        The label the answer follows ("Sentiment"); empty for none.
    layout
        ``"plain"`` text, or ``"chat"`` turns for the model's chat template.
    field_separator
        Written between the fields of one example.
    block_separator
        Written between instruction, demonstrations and the query.
    question
        A question asked of every example between its inputs and its answer (the QA form); empty for
        none.
    verbalizers
        ``(label, text)`` pairs: the text that stands for a label. A label without one stands for
        itself.
    calibration
        ``"none"``: a label's score is its log-likelihood. ``"batch"``: minus the label's mean over
        a batch of inputs (Zhou et al. 2023, arXiv 2309.17249).
    """

    input_labels: tuple[str, ...]
    target_label: str
    layout: Literal["plain", "chat"] = "plain"
    field_separator: str = "\n"
    block_separator: str = "\n\n"
    question: str = ""
    verbalizers: tuple[tuple[str, str], ...] = ()
    calibration: Literal["none", "batch"] = "none"

    def verbalize(self, label: str) -> str:
        """Return the text that stands for ``label``."""
        return dict(self.verbalizers).get(label, label)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The four genes of a candidate. Immutable: change one with ``dataclasses.replace``."""

    instruction: str
    structure: Structure
    demonstrations: tuple[Example, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    def with_gene(self, gene: Gene, donor: Prompt) -> Prompt:
        """Return this prompt with one gene taken from ``donor``."""
        return replace(self, **{gene: getattr(donor, gene)})


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be solved: the data, split once by the seed, and the prompt to start from.

    Demonstrations and proposals come from ``train``; ``dev`` guides the search; ``test`` is scored
    once, at the end. No input is in two splits - or, where rows are few, all of them are train and
    dev at once and ``test`` is empty. ``instructions`` are others than the starting prompt's, tried
    first. A task without ``labels`` asks for free text: replies of at most ``max_tokens`` tokens,
    each up to the first of ``stop``.
    """

    name: str
    source: str
    start: Prompt
    input_fields: tuple[str, ...]
    target_field: str
    labels: tuple[str, ...]
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    scorer: str = "labels"
    constraints: tuple[Constraint, ...] = ()
    instructions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    max_tokens: int = 128
    stop: tuple[str, ...] = ()

    @property
    def data_hash(self) -> str:
        """Identifies the rows of all three splits, in order."""
        rows = [
            [(e.inputs, e.golds, e.hidden) for e in split]
            for split in (self.train, self.dev, self.test)
        ]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    @property
    def shared(self) -> bool:
        """Whether the rows for showing are also those for judging."""
        return not {row.inputs for row in self.train}.isdisjoint(row.inputs for row in self.dev)


class Candidate(NamedTuple):
    """A fully evaluated prompt: mean dev quality and prompt tokens."""

    prompt: Prompt
    quality: float
    tokens: int


class NextTokens(NamedTuple):
    """Words of one token, and their log-probabilities after prompts: ``(prompts, words)``."""

    texts: tuple[str, ...]
    logprobs: list[tuple[float, ...]]


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
        nats; NaN where the model gives none. Costs pairs; empty where none are left for mutators.
    label_bias
        ``label_bias(prompt) -> floats``: how much more likely than the others the prompt makes each
        label, whatever the input, in nats and in the order of the task's labels; empty for free
        text. Costs pairs where the prompt was not scored; empty where none are left for mutators.
    next_tokens
        ``next_tokens(prompt, examples) -> NextTokens``: which words the model would write after
        the prompt, without its demonstrations, with each example. Costs evaluations where the
        prompt was not read before; empty where none are left for mutators, and from backends that
        are no `NextTokenReader`.
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
    rereads
        It only changes how outputs are read: each fully evaluated prompt is also tried with it,
        which costs no new evaluation.
    direction
        How it is used where it is directed; None for a mutator that just tries.
    """

    asks_model: bool = False
    needs_unshown_rows: bool = False
    rereads: bool = False
    direction: Direction | None = None


class Mutator(Protocol):
    """Invents new values for one gene.

    ``mutate`` returns ``prompt`` with that gene changed (never any other). Returning the prompt
    unchanged means "nothing to propose here": another mutator is asked. It must not touch global
    random state. If it raises, the candidate is recorded as failed and the run goes on. One that
    needs anything, or is after something, also declares a ``usage``, a `Usage`; `usage_of` reads
    it.
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


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
    """A prompt and the continuations whose log-likelihoods are wanted.

    A continuation is scored exactly as written, so it carries its own leading space in plain
    layouts.

    Parameters
    ----------
    prompt, continuations
        The texts.
    whole
        Whether a continuation is to be the whole answer: one whose tokens begin another's ("1" and
        "10") has the probability that it is written and does not go on as the other.
    """

    prompt: Text
    continuations: tuple[str, ...]
    whole: bool = False


class Form(NamedTuple):
    """What decoding holds a reply to.

    A regular expression, a JSON schema (empty: any JSON), or a JSON list of choices.
    """

    kind: Literal["regex", "json", "choice"]
    pattern: str


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A prompt whose most likely completion is wanted, of ``max_tokens`` at most.

    It ends before the first of ``stop``.

    Its ``form`` is for backends that can hold to one (`FormWriter`); others write what they will.
    With more than one of ``samples`` so many completions are wanted, drawn at random.
    """

    prompt: Text
    max_tokens: int
    stop: tuple[str, ...] = ()
    form: Form | None = None
    samples: int = 1


class Backend(Protocol):
    """A language model. Its methods are batched and keep order: one result per request.

    What it may do besides has Protocols of its own: `NextTokenReader`, `TokenReader`, `Dated`,
    `FormWriter`.
    """

    @property
    def model(self) -> str:
        """The model as the user named it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies what decides numbers: weights, tokenizer, chat template, dtype, device."""
        ...

    @property
    def revision(self) -> str:
        """The model's published revision (a commit or version); empty where it has none."""
        ...

    @property
    def scoring(self) -> str:
        """How log-likelihoods are obtained, for the plan and for exports."""
        ...

    @property
    def max_context(self) -> int:
        """The longest prompt and continuation, in tokens."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it can generate; a masked model cannot."""
        ...

    def loglikelihoods(
        self, requests: Sequence[LikelihoodRequest]
    ) -> Sequence[tuple[float, ...] | Unscored]:
        """Return log P(continuation | prompt) in nats of each continuation of each request.

        Or why there is none.
        """
        ...

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
    ) -> Sequence[str | Unscored]:
        """Return a completion per prompt, up to the first of ``stop``, or why there is none."""
        ...

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        ...

    def close(self) -> None:
        """Give back what it holds: called when the run ends, on a backend that promptfront made."""
        ...


@runtime_checkable
class NextTokenReader(Protocol):
    """What a backend may do besides: say which words its model would write next."""

    def next_tokens(self, prompts: Sequence[Text], lead: str, most: int) -> NextTokens:
        """Return the ``most`` likely words of one token that follow the prompts and ``lead``."""
        ...


class AnswerTokens(NamedTuple):
    """How a model reads an answer: its tokens, and whether the vocabulary has them all."""

    tokens: tuple[str, ...]
    known: bool


@runtime_checkable
class TokenReader(Protocol):
    """What a backend may do besides: show how its model reads answers.

    Those that it cannot tell apart are refused.
    """

    def answer_tokens(self, request: LikelihoodRequest) -> list[AnswerTokens]:
        """Return how each continuation of a request is read.

        Nothing where the tokenizer is not at hand.
        """
        ...


@runtime_checkable
class Dated(Protocol):
    """What a backend may do besides: fix the day that its model's chat template writes.

    A study keeps its day: what is scored on another day is given the same prompts. Only where
    ``writes_date`` is true has the backend's ``fingerprint`` the day in it.
    """

    date: str
    """The day (YYYY-MM-DD); at first today."""

    @property
    def writes_date(self) -> bool:
        """Whether the chat template writes the day."""
        ...


@runtime_checkable
class FormWriter(Protocol):
    """What a backend may do besides: hold replies to a form (structured outputs)."""

    @property
    def holds_to_form(self) -> bool:
        """Whether it can; a server may not."""
        ...

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
        form: Form | None = None,
    ) -> Sequence[str | Unscored]:
        """Return one completion per prompt, each of the form."""
        ...


Likelihoods = Callable[[Sequence[LikelihoodRequest]], Sequence["tuple[float, ...] | Unscored"]]
"""A model that a scorer may ask; it answers as `Backend.loglikelihoods` does."""


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
    ``metric(reply, example)`` does as well. Of a class `score_replies` is all there has to be; what
    else is here has a default.
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
