"""What a proposer replied: cut out of its chatter, and checked before it costs a score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..search.prompts.sentences import split_sentences
from .lexicon import capitalized, label_texts, names

if TYPE_CHECKING:
    from ..search.contracts import Example, Structure, Task

_LONGER = 3
"""A reply is at most so many times as long as the longest of its parents, in characters, ..."""
_PARENT = 20
"""... of which each counts as that long at least, ..."""
_NO_PARENT = 40
"""... and none at all as that long."""
_SHORTEST = 4
"""Characters of an instruction at least."""
_QUOTED_INPUT = 16
"""Characters of an input that a reply must not quote; shorter ones may stand there by chance."""
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|okay|ok|absolutely|great|no problem)\b[^:.!\n]*(?:[:.!]\s*|$)|"
    r"i can help\b[^:.!\n]*[:.!]\s*|"
    r"here(?:['’]s| is| are)\b[^:\n]*:\s*|"
    r"(?:the|a|my|one)?\s*(?:new|rewritten|revised|combined|paraphrased|possible|short)?\s*"
    r"(?:instruction|sentence|version|answer|output|paraphrase|rewrite)s?\s*"
    # A verb such as "Answer" opens instructions too: only with a colon is it a preamble.
    r"(?:(?:is|was|could be|would be)(?: to\s+|\s*:\s*)|[:：][\s*]*)|"
    r"(?:好的|当然|没问题)[^：。！\n]*[：。！]\s*|"
    r"(?:指令|改写|答案|输出)(?:是|为)?[：:]\s*",
    re.IGNORECASE,
)
"""What a chat model says before it gets to the point."""
_ITEM = re.compile(r"(?:[-•]|\d+[.)])\s+")
_MARKDOWN = " \t\r\n*`#_"
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "«": "»"}
_CHATTER = re.compile(
    r"\b(?:as an ai|language model|i['’]m|i am|i cannot|i can['’]?t|i would|i['’]ll|i can|let me|"
    r"hope this|you can|rewrite|rephrase|paraphrase|different words|"
    r"(?:this|these|two|the) instructions?|inputs?\s*:|outputs?\s*:)|"
    r"作为一个|我无法|抱歉|希望这|改写",
    re.IGNORECASE,
)
"""What speaks of the question or the model, not of the task."""
_UNFINISHED = re.compile(r"(?:[,，:：、(]|\b(?:and|or|the|a|as|of|to))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Check:
    """What a reply is checked against.

    Parameters
    ----------
    structure
        The prompt's structure: the names of its fields and labels.
    task
        The task.
    meta
        What the proposer was asked, without data.
    parents
        The instructions it was asked to vary; empty ones count as no parent.
    shown
        The examples it was shown.
    """

    structure: Structure
    task: Task
    meta: str
    parents: tuple[str, ...]
    shown: tuple[Example, ...] = ()


def clean(reply: str) -> str:
    """Return the first line of a reply without preamble, markup and quotes."""
    text, before = reply, None
    while text != before:
        before = text
        text = text.strip(_MARKDOWN)
        for pattern in (_PREAMBLE, _ITEM):
            match = pattern.match(text)
            text = text[match.end() :] if match else text
        text = _unquoted(text)
    line = _unquoted(text.split("\n")[0].strip(_MARKDOWN))
    return capitalized(" ".join(line.split()))


def is_instruction(text: str, check: Check) -> bool:
    """Whether a cleaned reply can be an instruction of the task.

    It is new, of a fair length, on topic, and gives nothing away.
    """
    parents = [parent for parent in check.parents if parent]
    is_new = _bare(text) and _bare(text) not in map(_bare, parents)
    longest = _LONGER * max([_PARENT if parents else _NO_PARENT, *map(len, parents)])
    return bool(
        is_new
        and _SHORTEST <= len(text) <= longest
        and not _chatters(text, parents)
        and not _UNFINISHED.search(text)
        and not _echoes(text, check)
        and _on_topic(text, parents, check)
        and not _gives_away(text, parents, check)
    )


def _unquoted(text: str) -> str:
    """Return what stands between the quotes a text begins with; what follows them is comment."""
    closing = _QUOTES.get(text[:1])
    end = text.find(closing, 1) if closing else -1
    return text[1:end] if end > _SHORTEST else text


def _chatters(text: str, parents: list[str]) -> bool:
    # A task may itself be to rewrite or to paraphrase.
    allowed = {word[0].casefold() for parent in parents for word in _CHATTER.finditer(parent)}
    return any(word[0].casefold() not in allowed for word in _CHATTER.finditer(text))


def _echoes(text: str, check: Check) -> bool:
    """Whether a text repeats what the proposer was asked or shown."""
    bare = _bare(text)
    if any(_bare(sentence) in bare for sentence in split_sentences(check.meta)):
        return True
    inputs = [_bare(value) for example in check.shown for _, value in example.inputs]
    return any(len(value) >= _QUOTED_INPUT and value in bare for value in inputs)


def _on_topic(text: str, parents: list[str], check: Check) -> bool:
    """Whether a text names a label or field of the task, where its parents do."""
    structure, task = check.structure, check.task
    fields = [*task.input_fields, task.target_field, *structure.input_labels]
    topic = [*task.labels, *label_texts(structure, task.labels), *fields, structure.target_label]
    topic = [word for word in topic if word]
    # A parent that names none of them speaks of the task in other words, and so may its child.
    needed = not parents or any(names(parent, word) for parent in parents for word in topic)
    return not needed or any(names(text, word) for word in topic)


def _gives_away(text: str, parents: list[str], check: Check) -> bool:
    """Whether a text names some labels and not the others, which no parent did.

    It answers instead of asking.
    """
    named = _labels_named(text, check)
    return 0 < len(named) < len(check.task.labels) and named not in [
        _labels_named(p, check) for p in parents
    ]


def _labels_named(text: str, check: Check) -> set[str]:
    return {
        label
        for label in check.task.labels
        if names(text, label) or names(text, check.structure.verbalize(label))
    }


def _bare(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
