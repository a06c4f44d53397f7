"""What a proposer replied: cut out of its chatter, and checked before it costs a score."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..search.prompts.cjk import word_count
from ..search.prompts.sentences import split_sentences
from .lexicon import capitalized, label_texts, names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Example, Structure, Task

_LONGER = 3
"""A sentence is at most so many times as long as the longest of its parents, in characters, ..."""
_PARENT = 20
"""... of which each counts as that long at least, ..."""
_NO_PARENT = 40
"""... and none at all as that long."""
_LONGER_WHOLE = 2
"""What takes the place of a long instruction or of a part is at most so many times as long."""
_SENTENCE = 160
"""Characters of each of several sentences at most."""
_SHORTEST = 4
"""Characters of an instruction at least."""
_QUOTED_INPUT = 16
"""Characters of an input that a reply must not quote; shorter ones may stand there by chance."""
_QUOTED_PART = 24
"""Characters of a part of an input that a reply must not quote: about five words."""
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|okay|ok|absolutely|great|no problem)\b[^:.!\n]*(?:[:.!]\s*|$)|"
    r"i can help\b[^:.!\n]*[:.!]\s*|"
    r"here(?:['’]s| is| are| it is| you go)\b[^:\n]*:\s*|"
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
_REFUSAL = re.compile(
    r"\b(?:as an ai|language model|i cannot|i can['’]?t|i['’]m sorry|"
    r"the (?:new|old) instruction)\b|"
    r"作为一个|我无法|抱歉|新的?指令|旧的?指令",
    re.IGNORECASE,
)
"""What speaks of the writer or of its question, in an instruction of any length."""
_FENCED = re.compile(r"^```[^\n`]*\n(.*?)\n```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(
    r"^[ \t*#]*(?:(?:the|a|my) )?(?:new|better|improved|revised|combined|final)? ?"
    r"instruction(?: is)?[*]*[:：][* \t]*$|^[ \t*#]*(?:新的?|更好的)?指令[*]*[:：][* \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ENDS = tuple(".!?。！？\"”」’')）")
_STOPS = ".!?:。！？："
_MARK = re.compile(r"\{\{?[^{}\n]*\}?\}|^\[\[\w+\]\]$", re.MULTILINE)
"""What stands for something else, a field or a role, and must stay as it is."""
_STATEMENT = re.compile(
    r"(?:the|this|that|it|a|an) ?(?:\w+ )?(?:is|was|are|seems|conveys|expresses|describes|shows)\b|"
    r"(?:这|该)\w{0,4}(?:是|表达|描述)",
    re.IGNORECASE,
)
"""What says something of an input, and asks nothing."""
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
    sentences
        How many it was asked for; 0: as many as its parents have.
    """

    structure: Structure
    task: Task
    meta: str
    parents: tuple[str, ...]
    shown: tuple[Example, ...] = ()
    sentences: int = 1

    @property
    def longest(self) -> int:
        """Characters of a reply at most."""
        parents = [len(parent) for parent in self.parents if parent]
        if not self.sentences:
            return _LONGER_WHOLE * max(parents)
        if self.sentences > 1:
            return _SENTENCE * self.sentences
        return _LONGER * max([_PARENT if parents else _NO_PARENT, *parents])


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
    return bool(
        is_new
        and _SHORTEST <= len(text) <= check.longest
        and _well_formed(text, parents)
        and _marks(text) in (list(map(_marks, parents)) or [[]])
        and not chatters(text, parents)
        and not _echoes(text, check)
        and _on_topic(text, parents, check)
        and _keeps_labels(text, parents, check)
        and not (_STATEMENT.match(text) and not _labels_named(text, check))
        and not _gives_away(text, parents, check)
    )


def is_part(text: str, part: str, check: Check) -> bool:
    """Whether a cleaned reply can stand in the place of one sentence or line of an instruction."""
    longest = _LONGER_WHOLE * max(_PARENT, len(part))
    return bool(
        _bare(text) not in ("", *map(_bare, check.parents))
        and _SHORTEST <= len(text) <= longest
        and _well_formed(text, [part])
        and _marks(text) == _marks(part)
        and _labels_named(text, check) == _labels_named(part, check)
        and not chatters(text, [part])
        and not _echoes(text, check)
    )


def as_part(text: str, part: str) -> str:
    """Return a text that begins and ends as the part that it takes the place of."""
    bullet = _ITEM.match(part)
    text = (bullet[0] if bullet else "") + text
    if part[-1] in _STOPS and text[-1] not in _STOPS:
        return text + part[-1]
    return text


def whole_instruction(reply: str) -> str:
    """Return the instruction that a reply ends in; nothing where that is cut off or not marked.

    It stands between the last two fences or, of a writer that forgot them, below a line that says
    "New instruction:".
    """
    blocks = _FENCED.findall(reply)
    if blocks:
        return _unquoted(blocks[-1].strip())
    *_, below = _HEADING.split(reply)
    text = below.strip()
    return text if below != reply and "```" not in text and text.endswith(_ENDS) else ""


def is_whole(text: str, check: Check) -> bool:
    """Whether a text can be a whole instruction of the task, of as many sentences as it needs."""
    parents = [parent for parent in check.parents if parent]
    return bool(
        _bare(text)
        and _bare(text) not in map(_bare, parents)
        and len(text) >= _SHORTEST
        and _well_formed(text, parents)
        and _marks(text) in (list(map(_marks, parents)) or [[]])
        and not _REFUSAL.search(text)
        and not _echoes(text, check)
        and _on_topic(text, parents, check)
        and _keeps_labels(text, parents, check)
        and not _gives_away(text, parents, check)
    )


def _well_formed(text: str, parents: Sequence[str]) -> bool:
    """Whether a text ends, closes its quotes and says nothing twice."""
    # A parent may end in a colon, which its child then needs too.
    ends = text[-1] in ":：" and any(parent[-1] == text[-1] for parent in parents)
    sentences = [_bare(sentence) for sentence in split_sentences(text)]
    return (
        (ends or not _UNFINISHED.search(text))
        and text.count('"') % 2 == 0
        and len(set(sentences)) == len(sentences)
    )


def _marks(text: str) -> list[str]:
    return sorted(_MARK.findall(text))


def _unquoted(text: str) -> str:
    """Return what stands between the quotes a text begins with; what follows them is comment."""
    closing = _QUOTES.get(text[:1])
    end = text.find(closing, 1) if closing else -1
    return text[1:end] if end > _SHORTEST else text


def clean_lines(reply: str) -> str:
    """Return all lines of a reply without preamble, fences and quotes around them."""
    lines = [line.rstrip() for line in reply.strip().split("\n") if not line.startswith("```")]
    while lines and (not lines[0].strip() or _PREAMBLE.fullmatch(lines[0].strip())):
        del lines[0]
    return _unquoted("\n".join(lines).strip())


def is_cut_off(reply: str, max_tokens: int) -> bool:
    """Whether a reply seems to end where its tokens did: its one line is long and has no end."""
    line = reply.strip()
    return "\n" not in line and line[-1:] not in _ENDS and word_count(line) > max_tokens // 2


def quotes(text: str, inputs: Sequence[str]) -> bool:
    """Whether a text quotes one of the inputs: all of a short one, or a part of a long one."""
    bare = _bare(text)
    for value in map(_bare, inputs):
        size = min(len(value), _QUOTED_PART)
        parts = (value[i : i + size] for i in range(len(value) - size + 1))
        if size >= _QUOTED_INPUT and any(part in bare for part in parts):
            return True
    return False


def chatters(text: str, parents: Sequence[str] = ()) -> bool:
    """Whether a text speaks of the question or the model, as none of its parents does."""
    # A task may itself be to rewrite or to paraphrase.
    allowed = {word[0].casefold() for parent in parents for word in _CHATTER.finditer(parent)}
    return any(word[0].casefold() not in allowed for word in _CHATTER.finditer(text))


def _echoes(text: str, check: Check) -> bool:
    """Whether a text repeats what the proposer was asked or shown."""
    bare = _bare(text)
    if any(_bare(sentence) in bare for sentence in split_sentences(check.meta)):
        return True
    return quotes(text, [value for example in check.shown for _, value in example.inputs])


def _keeps_labels(text: str, parents: list[str], check: Check) -> bool:
    """Whether a text names all labels where a parent does: it must still ask for the answers."""
    every = set(check.task.labels)
    asked = every and any(_labels_named(parent, check) == every for parent in parents)
    return not asked or _labels_named(text, check) == every


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
