"""Definitions of the labels: lines of an instruction, each on what a label's inputs have in common.

A small writer writes pieces, not wholes: asked for a better instruction it gives back the old one,
but shown inputs of one label and of others it writes a line that tells them apart. So definitions
are written a label at a time; which of them are good the races say, and what won is mixed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..search.contracts import Direction, Message, Unscored, Usage
from ..search.prompts.cjk import word_count
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
_ASKED = 12
"""Replies of one call, divided among the labels that it defines ..."""
_ASKED_EACH = 4
"""... of which none is asked for more."""
_OWN_SHOWN = 6
"""Inputs of the label that the writer is shown."""
_OTHERS_SHOWN = 4
"""Inputs of other labels that it is shown."""
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

_ENGLISH = (
    'Inputs labelled "{label}":',
    "Inputs with other labels:",
    # The form of the answer follows what it is about: a small model forgets what stands before.
    'What do inputs labelled "{label}" have in common that the others do not? Answer with one '
    "short line for people who label new inputs. Do not quote any input.\n"
    "{label}:",
)
_CHINESE = (
    "标签为“{label}”的输入：",
    "其他标签的输入：",
    "标签为“{label}”的输入有什么共同点，而其他输入没有？请为标注新输入的人写一行简短的说明，"
    "不要引用原文。\n{label}：",
)
_OPENING = re.compile(
    r"(?:(?:all|most|each|both) (?:of )?)?(?:(?:the|these|this|an|any) )?"
    r"(?:inputs?|ones|they|it|texts?|sentences?)\b(?: (?:labelled|with the label) \S+)?"
    r"(?: (?:(?:have|share) in common that they|that|which))?(?: all)?(?: (?:are|is))?"
    r"[\s:,]+",
    re.IGNORECASE,
)
"""How a definition can begin that first says what it is of."""


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
    each = min(_ASKED_EACH, _ASKED // len(wanted))
    shown = [
        _shown(text, rows, confused.get(text, ()), rng) for text in wanted for _ in range(each)
    ]
    chinese = task_is_chinese(task)
    asked: list[Text] = [(Message("user", _ask(one, chinese=chinese)),) for one in shown]
    replies = context.propose(asked, _MAX_TOKENS)
    found: dict[str, list[str]] = {text: [] for text in wanted}
    for one, reply in zip(shown, replies, strict=True):
        definition = _definition(reply, one, texts)
        if definition and definition != own.get(one.text):
            found[one.text].append(definition)
    return {text: rng.choice(options) for text, options in found.items() if options}


class _Judged(NamedTuple):
    """A row, the text of its label, and that of the label it was answered with."""

    example: Example
    gold: str
    said: str


class _Shown(NamedTuple):
    """A label's text, and inputs with it and without it."""

    text: str
    inputs: list[str]
    others: list[str]


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
    text: str,
    rows: Mapping[str, Sequence[Example]],
    confused: Sequence[Example],
    rng: random.Random,
) -> _Shown:
    own = rng.sample(rows[text], min(_OWN_SHOWN, len(rows[text])))
    near = list(dict.fromkeys(confused))[:_OTHERS_SHOWN]
    others = [row for other in rows if other != text for row in rows[other] if row not in near]
    others = [*near, *rng.sample(others, min(_OTHERS_SHOWN - len(near), len(others)))]
    return _Shown(text, [*map(excerpt, own)], [*map(excerpt, others)])


def _ask(shown: _Shown, *, chinese: bool) -> str:
    own, others, question = (
        line.replace("{label}", shown.text) for line in (_CHINESE if chinese else _ENGLISH)
    )
    blocks = [[own, *(f"- {text}" for text in shown.inputs)]]
    blocks += [[others, *(f"- {text}" for text in shown.others)]] if shown.others else []
    return "\n\n".join(["\n".join(block) for block in blocks] + [question])


def _definition(reply: str, shown: _Shown, texts: Sequence[str]) -> str:
    """Return a reply as a definition; nothing where it is none, quotes, or names other labels."""
    if is_cut_off(reply, _MAX_TOKENS):
        return ""
    line = clean(reply)
    match = _line(shown.text).match(line)
    line = capitalized(_OPENING.sub("", match[2] if match else line, count=1).rstrip(" .。"))
    others = [text for text in texts if not names(shown.text, text) and names(line, text)]
    fair = _LEAST_WORDS <= word_count(line) <= _MOST_WORDS
    quoted = quotes(line, [*shown.inputs, *shown.others])
    return line if fair and not others and not quoted and not chatters(line) else ""
