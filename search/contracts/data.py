"""What flows through promptfront: examples, prompts with their four genes, tasks, outputs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Gene = Literal["instruction", "demonstrations", "constraints", "structure"]
GENES: tuple[Gene, ...] = ("instruction", "demonstrations", "constraints", "structure")


Rule = Literal[
    "", "max_words", "max_lines", "avoid", "include", "choice", "regex", "json", "language"
]
RULES: tuple[Rule, ...] = (
    "max_words",
    "max_lines",
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


@dataclass(frozen=True, slots=True)
class Written:
    """What a model writes where it is to answer with a label.

    Parameters
    ----------
    reply
        The text that it writes, the most likely token each time.
    logs
        The log-likelihood of each answer in nats; empty where only the reply is known.
    """

    reply: str
    logs: tuple[float, ...] = ()


Outputs = tuple[float, ...] | str | Written | Unscored
"""What a backend answers about an example: the log-likelihood of each answer, or a reply (several
as a JSON list), or both, or why there is none."""

Answers = Literal["written", "choice", "likelihood"]
"""How the answer to a task with labels is had from the model, and so what makes it right.

``"written"``: the reply, read as a program would read it, says the label. ``"choice"``: the label
is the likeliest of the labels. ``"likelihood"``: the same after calibration, and with words for
labels that the prompt need not name."""
ANSWERS: tuple[Answers, ...] = ("written", "choice", "likelihood")


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
    rationale
        Of a demonstration: what leads to the answer, shown where a prompt asks for reasoning.
    """

    inputs: tuple[tuple[str, str], ...]
    target: str
    references: tuple[str, ...] = field(default=(), compare=False)
    hidden: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    rationale: str = ""

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
        How a reply is measured, and where it can be made to comply: at most ``limit`` words
        (``"max_words"``; characters in Chinese) or lines (``"max_lines"``), none (``"avoid"``), all
        (``"include"``) or one and no more (``"choice"``) of ``words``, a ``"regex"`` or ``"json"``
        value of that ``pattern``, the ``"language"`` of the input. Empty: it is text alone.
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
    own
        Whether the instruction is a whole prompt of the user's own, with places for inputs in it
        (see `prompts.own`). The labels then stand in demonstrations alone.
    reasoning
        The sentence that asks for reasoning before the answer, in which ``{marker}`` stands for the
        target label; empty for none. Replies are then read after their last marker.
    reply_factor
        How many times the task's ``max_tokens`` a reply in free text may have.
    """

    input_labels: tuple[str, ...]
    target_label: str
    layout: Literal["plain", "chat"] = "plain"
    field_separator: str = "\n"
    block_separator: str = "\n\n"
    question: str = ""
    verbalizers: tuple[tuple[str, str], ...] = ()
    calibration: Literal["none", "batch"] = "none"
    own: bool = False
    reasoning: str = ""
    reply_factor: int = 1

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


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Where a prompt of the user's own comes from: enough to write it back in the same form.

    Parameters
    ----------
    path, text
        The file, and what it holds.
    kind
        Plain text, or a format that holds the prompt as text or as a list of messages.
    place
        The keys that lead to it in such a file.
    style
        ``"jinja"``: fields stand as ``{{ field }}``. ``"format"``: as ``{field}``, and double
        braces are literal ones. ``"braces"``: as ``{field}``, and other braces are literal.
    spellings
        ``(field, text)`` pairs: how a field stands in the file.
    instruction
        The prompt as the search holds it.
    """

    path: str
    text: str
    kind: Literal["text", "json", "yaml"]
    place: tuple[str | int, ...]
    style: Literal["jinja", "format", "braces"]
    spellings: tuple[tuple[str, str], ...]
    instruction: str


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be solved: the data, split once by the seed, and the prompt to start from.

    Demonstrations and proposals come from ``train``; ``dev`` guides the search; ``test`` is scored
    once, at the end. No input is in two splits - or, where rows are few, all of them are train and
    dev at once and ``test`` is empty. ``instructions`` are others than the starting prompt's, tried
    first, and so are whole prompts of the user's own in ``starts``; ``sources`` are the files of
    these. The texts in ``keep`` stand in every candidate's instruction. A task without ``labels``
    asks for free text: replies of at most ``max_tokens`` tokens, each up to the first of ``stop``.
    ``answers`` says how a label is had from the model; without it, as the scorer and the model
    allow: written, or else by likelihood.
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
    answers: Answers | None = None
    starts: tuple[Prompt, ...] = ()
    sources: tuple[PromptSource, ...] = ()
    keep: tuple[str, ...] = ()

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
        """Whether rows are train and dev at once: each may be shown, and each is scored."""
        return not {row.inputs for row in self.train}.isdisjoint(row.inputs for row in self.dev)


class Candidate(NamedTuple):
    """A fully evaluated prompt: mean dev quality and prompt tokens."""

    prompt: Prompt
    quality: float
    tokens: int
