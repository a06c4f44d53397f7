"""Definitions of the labels: lines of an instruction, each on what a label's inputs have in common.

A small writer writes pieces, not wholes: asked for a better instruction it gives back the old one,
but shown inputs of one label and of others it writes a line that tells them apart. So definitions
are written a label at a time; which of them are good the races say, and what won is mixed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..search.contracts import Direction, Message, Unscored, Usage
from ..search.prompts.cjk import word_count
from ..search.prompts.sentences import split_sentences
from ..search.prompts.written_answers import read_label
from .examples import by_label, excerpt, mixed, short_examples
from .lexicon import capitalized, label_texts, names, task_is_chinese
from .proposer_replies import chatters, clean, is_cut_off, quotes

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from ..search.contracts import Example, Gene, MutationContext, Prompt, Task, Text

# Constants were set by hand on replies of an instruct model of 1.5B parameters.
_MOST_LABELS = 16
"""Labels at most: each has a line that is read with every input."""
_ASKED = 16
"""Replies of one call, divided among the labels that it defines ..."""
_ASKED_EACH = 4
"""... of which none is asked for more."""
_SHOWN = 16
"""Inputs that the writer is shown, divided among the labels ..."""
_LEAST_SHOWN, _MOST_SHOWN = 2, 6
"""... of which each has so many at least and at most."""
_MAX_TOKENS = 48
"""Tokens of a reply: one line."""
_LEAST_WORDS = 2
"""Words of a definition at least."""
_MOST_WORDS = 28
"""Words of a definition at most."""
_REWRITTEN = 3
"""Of labels that are all defined, one in so many is defined anew: those that are confused first."""
_JUDGED = 16
"""Training rows that a prompt answers to find the labels that it confuses."""
_MIXED = 0.5
"""How often definitions are mixed with another prompt's, where there is another."""


class _Words(NamedTuple):
    """What a writer is asked, in one language.

    Only the question is of one label: what stands before it is read once for all of a call.
    """

    task: str
    labels: str
    examples: str
    # The form of the answer follows what it is about: a small model forgets what stands before.
    question: str


_ENGLISH = _Words(
    "Task: {instruction}",
    "Choose one label: {labels}.",
    'Examples of "{label}":',
    'Define "{label}" for people who do this task: which inputs belong to it, and to no other '
    "label? One short line in general terms, without examples.\n{label}:",
)
_CHINESE = _Words(
    "任务：{instruction}",
    "选择一个标签：{labels}。",
    "“{label}”的例子：",
    "请为做这项任务的人定义“{label}”：哪些输入属于它，而不属于其他标签？"
    "只写一行简短、概括的说明，不要举例。\n{label}：",
)
_SUBJECT = (
    r"(?:(?:(?:all|any|most|each|both|the|these|those|this|an?) )?"
    r"(?:(?:label|category|class)(?: {label})?|{label} (?:inputs?|label)|"
    r"(?:inputs?|outputs?|ones|those|they|it|texts?|sentences?)\b)"
    r"(?: (?:that|which) are)?(?: labell?ed\b)?(?: as| with(?: the label)?)?(?: so\b| {label})?)"
)
_OPENING = (
    rf"^{_SUBJECT}(?: (?:(?:have|share) in common that they|that|which))?(?: all)?,?"
    r"(?: (?:typically|often|usually|generally|mostly))?"
    r"(?: (?:is|are)(?: (?:used|applied|chosen|meant) (?:for|to|when))?| includes?)?"
    r"(?: (?:those|ones|inputs?))?(?: (?:that|which)(?: are)?)?[\s:,]+"
)
"""How a definition can begin that first says what it is of."""
_OF_THE_ASKING = re.compile(
    r"\b(?:(?:in|out)puts?|labell?(?:ed|s)?|the others?|in common)\b|输入|标签", re.IGNORECASE
)
"""Words of who was asked for a definition, not of who reads it."""


class DefineLabels:
    """Define labels in lines of the instruction, or define some anew, or mix two prompts' lines."""

    gene: Gene = "instruction"
    usage = Usage(asks_model=True, direction=Direction(fewest_labels=2, most_labels=_MOST_LABELS))

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with other definitions, or as it is where none are to be had."""
        texts = label_texts(prompt.structure, context.task.labels)
        own = definitions(prompt.instruction, texts)
        mixed = _mixed(own, texts, context)
        if mixed and context.rng.random() < _MIXED:
            return _with(prompt, mixed)
        written = _written(prompt, own, texts, context)
        return _with(prompt, written or mixed)


def definitions(instruction: str, texts: Sequence[str]) -> dict[str, str]:
    """Return the definitions that an instruction gives, by the texts of the labels."""
    found = {text: _line(text).search(instruction) for text in texts}
    return {text: match[2] for text, match in found.items() if match}


def with_definitions(instruction: str, defined: Mapping[str, str]) -> str:
    """Return an instruction with definitions in the place of its own, or as further lines."""
    added = []
    for text, definition in defined.items():
        if match := _line(text).search(instruction):
            instruction = instruction[: match.start(2)] + definition + instruction[match.end(2) :]
        else:
            added.append(f"- {text}: {definition}")
    return _with_lines(instruction, added) if added else instruction


def _line(text: str) -> re.Pattern[str]:
    """Return the pattern of a line that defines a label, whose second group is the definition."""
    return re.compile(
        rf"^([ \t]*(?:[-*•][ \t]+)?[*_\"'“`]*{re.escape(text)}[*_\"'”`]*[ \t]*[:：][ \t]*)(\S.*)$",
        re.IGNORECASE | re.MULTILINE,
    )


def _with_lines(instruction: str, lines: Sequence[str]) -> str:
    """Return an instruction with lines after its own definitions, or before its input's line."""
    block = "\n".join(lines)
    place = instruction.rfind("\n", 0, instruction.find("{{")) + 1 if "{{" in instruction else 0
    if place:
        before = instruction[:place].rstrip("\n ")
        return f"{before}\n{block}\n\n{instruction[place:]}"
    return f"{instruction.rstrip()}\n{block}".strip()


def _with(prompt: Prompt, defined: Mapping[str, str]) -> Prompt:
    return replace(prompt, instruction=with_definitions(prompt.instruction, defined))


def _mixed(
    own: Mapping[str, str], texts: Sequence[str], context: MutationContext
) -> dict[str, str]:
    """Return definitions of which some are another prompt's of the front; none without any."""
    rng = context.rng
    given = [definitions(candidate.prompt.instruction, texts) for candidate in context.front]
    others = [theirs for theirs in given if theirs.items() - own.items()]
    if not others:
        return {}
    theirs = rng.choice(others)
    if not own:
        return theirs
    differing = [text for text in theirs if own.get(text) != theirs[text]]
    return {text: theirs[text] for text in rng.sample(differing, (len(differing) + 1) // 2)}


def _written(
    prompt: Prompt, own: Mapping[str, str], texts: Sequence[str], context: MutationContext
) -> dict[str, str]:
    """Return new definitions: of labels that have none, or of some, which are confused if any."""
    task, rng = context.task, context.rng
    rows = dict(zip(texts, _rows(task), strict=True))
    known = [text for text in texts if rows[text]]
    wanted = [text for text in known if text not in own]
    confused = {} if wanted else _confused(prompt, known, context)
    most = min(_ASKED, len(wanted)) if wanted else -(-len(known) // _REWRITTEN)
    wanted = list(confused)[:most] or rng.sample(wanted or known, most)
    wanted.sort(key=texts.index)
    if not wanted:
        return {}
    words = _CHINESE if task_is_chinese(task) else _ENGLISH
    near = [row for text in wanted for row in confused.get(text, ())]
    shown = _shown(rows, near, rng)
    asked = [text for text in wanted for _ in range(min(_ASKED_EACH, _ASKED // len(wanted)))]
    head = _head(prompt, texts, shown, words)
    asks: list[Text] = [
        (Message("user", head + words.question.replace("{label}", text)),) for text in asked
    ]
    found: dict[str, list[str]] = {text: [] for text in wanted}
    for text, reply in zip(asked, context.propose(asks, _MAX_TOKENS), strict=True):
        definition = _definition(reply, text, texts, shown)
        if _says_more(definition, f"{prompt.instruction} {text}") and definition != own.get(text):
            found[text].append(definition)
    return {text: rng.choice(options) for text, options in found.items() if options}


class _Judged(NamedTuple):
    """A row, the text of its label, and that of the label it was answered with."""

    example: Example
    gold: str
    said: str


def _rows(task: Task) -> list[list[Example]]:
    """Return the short training rows of each label."""
    groups = {group[0].target: group for group in by_label(task, short_examples(task.train))}
    return [groups.get(label, []) for label in task.labels]


def _confused(
    prompt: Prompt, texts: Sequence[str], context: MutationContext
) -> dict[str, list[Example]]:
    """Return the labels that the prompt confuses, the most confused first.

    With each come rows that are not its own but were answered with it, and rows of the labels that
    its own rows were answered with. Of two labels each can only be confused with the other.
    """
    task, structure = context.task, prompt.structure
    if len(texts) <= 2:
        return {}
    judged = []
    for answer in context.answers(prompt, mixed(task, context.rng, _JUDGED)):
        said = read_label(answer.text, texts)
        if not isinstance(said, Unscored):
            gold = structure.verbalize(answer.example.target)
            judged.append(_Judged(answer.example, gold, texts[said]))
    wrong = [one for one in judged if one.gold != one.said]
    mistakes = Counter(text for one in wrong for text in (one.gold, one.said))
    found: dict[str, list[Example]] = {}
    for text, _ in mistakes.most_common():
        said_for = {one.said for one in wrong if one.gold == text}
        theirs = [one.example for one in wrong if one.said == text]
        found[text] = theirs + [one.example for one in judged if one.gold in said_for]
    return found


def _shown(
    rows: Mapping[str, Sequence[Example]], near: Sequence[Example], rng: random.Random
) -> dict[str, list[str]]:
    """Return inputs of each label: those that are ``near`` another first, and others at random."""
    each = _SHOWN // sum(map(bool, rows.values()))
    each = max(_LEAST_SHOWN, min(_MOST_SHOWN, each))
    shown = dict[str, list[str]]()
    for text, group in rows.items():
        first = [row for row in dict.fromkeys(near) if row in group][:each]
        rest = [row for row in group if row not in first]
        drawn = [*first, *rng.sample(rest, min(each - len(first), len(rest)))]
        shown |= {text: [*map(excerpt, drawn)]} if drawn else {}
    return shown


def _head(
    prompt: Prompt, texts: Sequence[str], shown: Mapping[str, Sequence[str]], words: _Words
) -> str:
    """Return what stands before the question: the task, and examples of the labels."""
    # A prompt of the user's own has its inputs' places in it, and all else that is kept.
    own = "{{" in prompt.instruction
    task = words.labels if own else words.task
    task = task.replace("{labels}", ", ".join(texts)).replace("{instruction}", prompt.instruction)
    blocks = [
        "\n".join([words.examples.replace("{label}", text), *(f"- {one}" for one in inputs)])
        for text, inputs in shown.items()
    ]
    return "\n\n".join([task, *blocks, ""])


def _definition(
    reply: str, text: str, texts: Sequence[str], shown: Mapping[str, Sequence[str]]
) -> str:
    """Return a reply as a definition; nothing where it is none, quotes, or names other labels."""
    if is_cut_off(reply, _MAX_TOKENS):
        return ""
    # Quotes that a reply begins with are taken for those around all of it, and "okay" for chatter.
    reply = re.sub(rf"[\"'“‘]({re.escape(text)})[\"'”’]", r"\1", reply, flags=re.IGNORECASE)
    line = reply.strip(" \t\r\n*`#_-•").split("\n")[0]
    if not line.casefold().startswith(text.casefold()):
        line = clean(reply)
    if match := _line(text).match(line):
        line = clean(match[2])
    line = "".join(split_sentences(line)[:1])
    for _ in range(2):  # such as "Inputs labelled so: those that ..."
        line = _opening(text).sub("", line)
    line = capitalized(line.rstrip(" .。"))
    others = [other for other in texts if not names(text, other) and names(line, other)]
    fair = _LEAST_WORDS <= word_count(line) <= _MOST_WORDS
    quoted = quotes(line, [one for inputs in shown.values() for one in inputs])
    odd = chatters(line) or _OF_THE_ASKING.search(line)
    return line if fair and not others and not quoted and not odd else ""


def _says_more(definition: str, known: str) -> bool:
    """Whether a definition has a word beside short ones that is not known already."""
    words = set(re.findall(r"\w{4,}|[^\W\x00-\x7f]", definition.casefold()))
    return not words <= set(re.findall(r"\w+|[^\W\x00-\x7f]", known.casefold()))


@lru_cache(_MOST_LABELS)
def _opening(text: str) -> re.Pattern[str]:
    return re.compile(_OPENING.replace("{label}", re.escape(text)), re.IGNORECASE)
