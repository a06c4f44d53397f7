"""Which label a reply says, and which part of a reply is the answer."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..contracts import Unscored
from .cjk import CJK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPEN = re.compile(
    r"\s*(<(think|thinking|thought|reasoning)>|\[think\]|◁think▷|<\|channel\|>analysis)",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    r"</(think|thinking|thought|reasoning)>|\[/think\]|◁/think▷|"
    r"<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_NAMES = (
    "final answer|correct answer|answer|label|class|category|classification|sentiment|rating|"
    "score|verdict|prediction|output|result|choice|option|"
    "最终答案|答案|标签|类别|分类|结果|情感|评分|选项|答え|回答"
)
_MARKER = re.compile(
    rf"""(?<![\w/])(?P<bold>\*\*|__)?["'`<]*(?:{_NAMES})["'`]*\s?(?P=bold)?"""
    rf"""\s*(?:would\ be\b|should\ be\b|is\b|[:=>]|→|是|为)\s*[:=]?\s?(?(bold)(?:\*\*|__)?)"""
    rf"""|\\boxed\{{|(?<=[{CJK}])(?:答案|选项)\s*[:是为]:?""",
    re.VERBOSE,
)
_DECORATION = "\"'`*_.,:;!?()[]{}<>“”‘’「」『』《》【】。，、$#"
_BEFORE = re.compile(r"""[\s"'`*_(\[{<“‘「『《【$:]*""")
_SPACE = re.compile(r"\s*")
_ALTERNATIVE = re.compile(r"""[\s"'`*)]*(?:or|and|nor|或|和|还是|[/|&])[\s"'`*(]*""")
_NEGATED = re.compile(
    r"(?:\b(?:not|never|cannot|neither|nor)|n['’]t)\s+"
    r"(?:(?:an?|the|very|really|at all|so|that|clearly|exactly|particularly|truly|quite|too|be)"
    r"\s+){0,2}[\"'`*“‘]*$|[不没非未][是算]?[\"'“‘「]?$"
)
_LED = re.compile(
    r"(?:\b(?:is|be|are|it's|that's|choose|chose|pick|select|say|with|option|choice|answer|label|"
    r"class|category|letter|group|type|grade)"
    r"|[:=>→]|选|选择|是|为|选项|答案|类)[\s\"'`*(]*$"
)
_FOLLOWS = re.compile(
    r"\s(?:because|since|as|for|due|given|based|is|was)\b|[^\w\s]|\s+[^\w\s]|\s*\n|\s*$|的"
)
_LINE_HEAD = re.compile(
    r"[*_`\"]*(?:[).:,\]。，、：]|\s+[-–—]|\s*\n|\s*$|\s(?:because|since|is)\b|的)"
)
_PAIRS = tuple(zip("([\"'`*“‘「『《【{", ")]\"'`*”’」』》】}", strict=True))
_JOINTS = "-_'’‑"
_UNSPACED = re.compile(f"[{CJK}\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


class _Said(NamedTuple):
    """A label at a place of the reply."""

    start: int
    end: int
    label: int


def read_label(reply: str, labels: Sequence[str]) -> int | Unscored:
    r"""Return the position of the label that a reply says, or why there is none.

    Reply and labels are compared as whole words, without regard to case, width (NFKC) and invisible
    characters. Only what follows the model's thinking counts (``</think>``). In this order:

    1. A reply that is a label, to the letter or but for punctuation and markup around it, says that
       label.
    2. Of a reply with a marker ("Answer: x", "the answer is x", "**Label:** x", "答案：x",
       ``\boxed{x}``) only what follows the last counts, if a label does: the one that follows at
       once, or the only one that follows.
    3. Otherwise the label is said that is the only one in the reply. Where several are, none counts
       ("several labels").

    Where labels begin at the same place the longest counts ("no opinion", not "no"); a label after
    "not" is not said. A word ends where its letters end, and a hyphen, apostrophe or decimal point
    between letters or digits does not end it; between Chinese characters there are no ends of
    words. A label of symbols ends where they do not go on: "**" is not "*". A label of one letter
    may be a word ("a", "I"): it counts only if it follows a marker or a word such as "is" or
    "option", is in brackets or quotation marks, or begins a line as "A)", "A." and "A:" do.

    Parameters
    ----------
    reply
        What the model wrote.
    labels
        The texts that stand for the labels.
    """
    exact = [i for i, label in enumerate(labels) if label.strip() == reply.strip()]
    if len(exact) == 1 and reply.strip():
        return exact[0]
    text = _folded(reply)
    if _OPEN.match(text) and not _CLOSE.search(text):
        return Unscored("cut")
    text = _CLOSE.split(text)[-1].strip() if _CLOSE.search(text) else text.strip()
    if not text:
        return Unscored("empty")
    names = _names(tuple(labels))
    whole = [i for i, name in enumerate(names) if name == text] or [
        i for i, name in enumerate(names) if name and name == _bare(text, name)
    ]
    if whole:
        return _only(whole)
    said = list(_said(text, names)) if any(names) else []
    return _only(_after_marker(text, names, said) or [label for _, _, label in said])


def labels_in(text: str, labels: Sequence[str]) -> set[int]:
    """Return the positions of the labels that stand in a text as whole words."""
    names = _names(tuple(labels))
    return {said.label for said in _said(_folded(text), names)} if any(names) else set()


def without_thinking(reply: str) -> tuple[str, bool]:
    """Return a reply less the thinking it begins with, and whether it breaks off within that."""
    opened, closed = _OPEN.match(reply), _CLOSE.search(reply)
    while opened or (
        closed and not re.search(r"<think|\[think", reply[: closed.start()], re.IGNORECASE)
    ):
        if closed is None:
            return "", True
        reply = reply[closed.end() :].lstrip()
        opened, closed = _OPEN.match(reply), _CLOSE.search(reply)
    return reply, False


def alike_at_the_start(labels: Sequence[str]) -> bool:
    """Whether some labels cannot be told apart by how they begin.

    That is where one begins another, or they share a first word. Of labels written without spaces,
    in digits or in symbols the first character counts as a word.
    """
    names = [name for name in _names(tuple(labels)) if name]
    firsts = [_first(name) for name in names]
    begun = any(a != b and b.startswith(a) for a in names for b in names)
    return begun or len(set(firsts)) < len(set(names))


def folded(text: str) -> str:
    """Return a text as labels are compared.

    Without regard to case, width, invisible characters and space around it.
    """
    return _folded(text).strip()


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        c for c in text if not "\ufe00" <= c <= "\ufe0f" and (unicodedata.category(c) != "Cf")
    )


@lru_cache(maxsize=256)
def _names(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels as they are looked for: folded, and without punctuation around their words."""
    names = [" ".join(_folded(label).split()) for label in labels]
    return tuple(
        name.strip("\"'`*.,:;!?“”‘’。，、") or name if any(map(_is_word, name)) else name
        for name in names
    )


def _bare(text: str, name: str) -> str:
    """Return a text less what surrounds a label without being part of it."""
    if not any(map(_is_word, name)):
        return text
    if name[0] in _DECORATION or name[-1] in _DECORATION:
        return text.strip("\"'`*“”‘’。，")
    return " ".join(text.strip(_DECORATION + " \n\t").split())


def _only(labels: Sequence[int]) -> int | Unscored:
    distinct = set(labels)
    if len(distinct) > 1:
        return Unscored("several labels")
    return distinct.pop() if distinct else Unscored("no label")


def _after_marker(text: str, names: tuple[str, ...], said: Sequence[_Said]) -> list[int]:
    """Return the labels that are said after the last marker that has any."""
    for marker in reversed(list(_MARKER.finditer(text))):
        if labels := _at_once(text, marker.end(), names) or [
            label for start, _, label in said if start >= marker.end()
        ]:
            return labels
    return []


def _at_once(text: str, place: int, names: tuple[str, ...]) -> list[int]:
    """Return the label that follows a marker at once, with its alternative ("yes or no")."""
    for before in (_SPACE, _BEFORE):
        first = _at(text, _after(before, text, place), names, led=True)
        if first:
            second = _at(text, _after(_ALTERNATIVE, text, first.end), names, led=True)
            return [first.label, second.label] if second else [first.label]
    return []


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


def _said(text: str, names: tuple[str, ...]) -> Iterator[_Said]:
    """Yield the labels that a text says, from left to right."""
    firsts = re.compile(f"[{re.escape(''.join({name[0] for name in names if name}))}]")
    ended, negated = 0, -1
    for place in (match.start() for match in firsts.finditer(text)):
        said = _at(text, place, names, led=False) if place >= ended else None
        if said:
            ended = said.end
            other = negated > 0 and _after(_ALTERNATIVE, text, negated) == place > negated
            if other or _NEGATED.search(text[max(0, place - 40) : place]):
                negated = ended  # and what follows with "or"
            else:
                yield said


def _at(text: str, place: int, names: tuple[str, ...], *, led: bool) -> _Said | None:
    """Return the longest label that stands at a place.

    ``led`` says that it is where an answer is expected.
    """
    longest = None
    for i, name in enumerate(names):
        end = _end(text, place, name)
        if end and (longest is None or end > longest.end) and _stands_alone(text, place, end):
            letter = len(name) == 1 and name.isalpha()
            if not letter or _is_answer(text, place, end, led=led):
                longest = _Said(place, end, i)
    return longest


def _end(text: str, place: int, name: str) -> int:
    """Return where a label that begins at a place ends, or 0.

    Between its words any space, hyphen or underscore will do.
    """
    if not name or _get(text, place) != name[0]:
        return 0
    if text.startswith(name, place):
        return place + len(name)
    words = re.split(r"[\s_-]+", name)
    if len(words) == 1 or not all(words):
        return 0
    match = re.compile(r"[\s_-]+".join(map(re.escape, words))).match(text, place)
    return match.end() if match else 0


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether what is between two places is whole words, or a whole run of symbols."""
    return _ends(text, end - 1, 1) and _ends(text, start, -1)


def _ends(text: str, edge: int, step: int) -> bool:
    """Whether a word ends at its edge, read in a direction."""
    char, near, far = text[edge], _get(text, edge + step), _get(text, edge + 2 * step)
    if not _is_word(char):
        return near != char
    if _is_word(near):
        return bool(_UNSPACED.match(char) or _UNSPACED.match(near))
    if near in _JOINTS and near and _is_word(far) and not _UNSPACED.match(far):
        return False
    if char.isdigit():
        signed = step < 0 and near in "+-−" and near and not _is_word(far)
        return not (signed or near == "%" or (near in ".,/" and near and far.isdigit()))
    return not (step > 0 and near in "+#" and near)


def _is_answer(text: str, start: int, end: int, *, led: bool) -> bool:
    """Whether a single letter stands where it is an answer, not a word such as "a" or "I"."""
    before, after = text[:start], text[end:]
    if any(before.endswith(a) and after.startswith(b) for a, b in _PAIRS):
        return True
    article = text[start:end] in "ai" and not _FOLLOWS.match(after)
    if led or _LED.search(before[-20:]):
        return not article
    begins_line = not before.rsplit("\n", 1)[-1].strip(" *_`\"'(")
    return begins_line and _LINE_HEAD.match(after) is not None


def _is_word(char: str) -> bool:
    return bool(char) and unicodedata.category(char)[0] in "LNM"


def _get(text: str, place: int) -> str:
    return text[place] if 0 <= place < len(text) else ""


def _first(name: str) -> str:
    if not name[0].isalpha() or _UNSPACED.match(name[0]):
        return name[0]
    return re.split(r"[\s_/-]", name, maxsplit=1)[0]
