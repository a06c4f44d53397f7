"""The data of promptfront: examples, prompts with their four genes, tasks, outputs."""

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
"""Why an example has no score, with the text shown to people."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """Stands for an answer that cannot be scored and counts neither as right nor as wrong.

    Parameters
    ----------
    reason
        One of `REASONS`.
    """

    reason: Reason


@dataclass(frozen=True, slots=True)
class Written:
    """A model's reply to a prompt that asks for a label.

    Parameters
    ----------
    reply
        The greedily decoded text.
    logs
        The log-likelihood of each answer in nats; empty if only the reply is known.
    """

    reply: str
    logs: tuple[float, ...] = ()


Outputs = tuple[float, ...] | str | Written | Unscored
"""A backend's output for an example: the log-likelihood of each answer, a reply (several as a JSON
list), both, or the reason why there is none."""

Answers = Literal["written", "choice", "likelihood"]
"""When a label counts as the model's answer.

``"written"``: the reply names it, as a program would read the reply. ``"choice"``: it is the most
likely label. ``"likelihood"``: it is the most likely label after calibration, and words that the
prompt does not name may stand for labels."""
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
        Other accepted answers.
    hidden
        ``(name, text)`` pairs that only the scorer sees, such as tests that a program must pass.
    rationale
        The reasoning of a demonstration, shown if the prompt asks for reasoning.
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
        """A short hash of the inputs: equal inputs give the same, whatever the target."""
        text = json.dumps(self.inputs, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule for the answer that the prompt states, such as "Use at most {limit} words".

    Parameters
    ----------
    name
        Identifies the constraint; a prompt has at most one of each name.
    template
        The sentence. If ``limit`` is set, its value replaces ``{limit}``.
    limit
        A number in the constraint, if it has one; smaller is stricter.
    rule
        How to check a reply, and to enforce the constraint where that is possible: at most
        ``limit`` words (``"max_words"``; characters in Chinese) or lines (``"max_lines"``); none
        (``"avoid"``), all (``"include"``) or exactly one (``"choice"``) of ``words``; a match of
        ``pattern`` (``"regex"``); JSON that fits the schema ``pattern`` (``"json"``); the language
        of the input (``"language"``). Empty: the constraint is only a sentence.
    words
        The words of the rule, if it needs any.
    pattern
        A regular expression, or a JSON schema as text, which may be empty.
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
    """The layout of a prompt, and how to read the answer.

    Parameters
    ----------
    input_labels
        The label before each input field, in the order of the task's input fields; if it is empty,
        the text stands alone.
    target_label
        The label before the answer ("Sentiment"); empty for none.
    layout
        ``"plain"`` text, or ``"chat"`` turns for the model's chat template.
    field_separator
        Text between the fields of one example.
    block_separator
        Text between instruction, demonstrations and the query.
    question
        A question between the inputs and the answer of every example; empty for none.
    verbalizers
        ``(label, text)`` pairs: the text that stands for a label; by default the label itself.
    calibration
        ``"none"``: a label's score is its log-likelihood. ``"batch"``: minus the label's mean over
        a batch of inputs (Zhou et al. 2023, arXiv 2309.17249).
    own
        Whether the instruction is the user's own whole prompt, with placeholders for inputs (see
        `prompts.own`). Then only demonstrations use the labels of fields.
    reasoning
        The sentence that asks for reasoning before the answer, where ``{marker}`` stands for the
        target label; empty for none. With it, the answer is what follows the last marker.
    reply_factor
        Multiplies the task's ``max_tokens`` for free-text replies.
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
    """The four genes of a candidate. It is immutable: change it with ``dataclasses.replace``."""

    instruction: str
    structure: Structure
    demonstrations: tuple[Example, ...] = ()
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptSource:
    """The file of the user's own prompt, with all that is needed to write it back in that form.

    Parameters
    ----------
    path, text
        The file and its text.
    kind
        Plain text, or a format that contains the prompt as text or as a list of messages.
    place
        The keys that lead to the prompt in such a file.
    style
        How placeholders are written. ``"jinja"``: ``{{ field }}``. ``"format"``: ``{field}``, and
        double braces are literal braces. ``"braces"``: ``{field}``, and other braces are literal.
    spellings
        ``(field, text)`` pairs: the text of each placeholder in the file.
    instruction
        The prompt in the form that the search uses.
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
    """A problem to solve: the data, split once by the seed, and the starting prompt.

    Demonstrations and proposals come from ``train``; ``dev`` guides the search; ``test`` is scored
    once, at the end. No input is in two splits, except that few rows are train and dev at once with
    an empty ``test``. The search first tries the other ``instructions`` and the user's other
    prompts in ``starts``; ``sources`` are the files of these prompts. Every candidate's instruction
    contains the texts in ``keep``. A task without ``labels`` asks for free text: replies of at most
    ``max_tokens`` tokens that end before the first of ``stop``. ``answers`` says when a label
    counts as the answer; by default "written" if scorer and model allow it, else "likelihood".
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
        """Whether the same rows are train and dev: each may be shown, and each is scored."""
        return not {row.inputs for row in self.train}.isdisjoint(row.inputs for row in self.dev)


class Candidate(NamedTuple):
    """A fully evaluated prompt: mean dev quality and prompt tokens."""

    prompt: Prompt
    quality: float
    tokens: int
