"""Text as sentences, in English and Chinese."""

from __future__ import annotations

import re

from .cjk import CJK

_END = re.compile(
    # Not after "e.g." and "i.e." nor after the number that begins an item of a list.
    r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!^\d\.)\s+|"
    # A closing quote belongs to the sentence before it.
    r"(?<=[。！？])(?![”」』）])\s*|(?<=[。！？][”」』）])\s*"
)
_CJK = re.compile(f"[{CJK}，。！？；：”」』）]")
_BULLET = re.compile(r"(?:[-*•+]|\d{1,2}[.)])[ \t]+")
_OPEN_END = re.compile(r"[^.!?:;。！？：；\s|]\Z")
"""The end of a line that the next one may go on with."""
_WHOLE = re.compile(r"[^a-z\s].*[.!?。！？][\"'”」』）)]?")
"""A sentence that neither goes on in the next line nor began in the one before."""

Span = tuple[int, int]
"""Where a part of a text begins and ends."""


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the spaces between them.

    The last of a line keeps its line breaks.
    """
    sentences: list[str] = []
    for number, line in enumerate(text.strip().split("\n")):
        if number and sentences:
            sentences[-1] += "\n"
        sentences += [part.strip() for part in _END.split(line.strip()) if part.strip()]
    return sentences


def join_sentences(sentences: list[str]) -> str:
    """Return sentences as one text, with a space between them.

    There is none after a line break or a sentence of a script without spaces.
    """
    text = ""
    for sentence in sentences:
        spaceless = not text or text[-1] == "\n" or _CJK.match(text[-1])
        text += sentence if spaceless else f" {sentence}"
    return text.strip()


def without_each(text: str) -> list[str]:
    """Return a text without each of its sentences, or of its lines that hold one, in turn.

    What is left of it keeps its lines, indents and blank lines.
    """
    if "\n" not in text.strip():
        sentences = split_sentences(text)
        return [join_sentences(sentences[:i] + sentences[i + 1 :]) for i in range(len(sentences))]
    return [left_out(text, span) for span in sentence_spans(text)]


def sentence_spans(text: str) -> list[Span]:
    """Return where each sentence of a text is; one may go on in the next line."""
    spans: list[Span] = []
    for line in _lines(text):
        if line[0] == line[1]:
            continue
        first, *others = _in_line(text, line)
        gap = text[spans[-1][1] : line[0]] if spans else ""
        goes_on = text[line[0]].islower() and gap.count("\n") == 1 and not gap.strip()
        if goes_on and _OPEN_END.search(text, 0, spans[-1][1]):
            spans[-1] = (spans[-1][0], first[1])
        else:
            spans.append(first)
        spans += others
    return [(a, b) for a, b in spans if any(map(str.isalnum, text[a:b]))]


def left_out(text: str, span: Span) -> str:
    """Return a text without a part; where that was a line of its own, without the line."""
    before, after = text[: span[0]], text[span[1] :].lstrip(" \t")
    line = before.rfind("\n") + 1
    ends_line = after[:1] in ("", "\n")
    if not ends_line:
        return before + after
    if before[line:].strip():
        return before.rstrip(" \t") + after
    before, after = before[:line], after[1:]
    if not before.rstrip("\n") or before.endswith("\n\n"):
        after = after.lstrip("\n")
    return before + after if after else before.rstrip("\n")


def paragraphs_left_out(text: str) -> list[str]:
    """Return a text of several paragraphs without each of them in turn."""
    spans = [found.span() for found in re.finditer(r"[^\n]+(?:\n[ \t]*\S[^\n]*)*", text)]
    return [left_out(text, span) for span in spans] if len(spans) > 1 else []


def movable(text: str) -> list[list[Span]]:
    """Return groups of parts that can change places: items of a list, sentences of a line."""
    groups: list[list[Span]] = [[]]
    indent = -1
    for start, end in _lines(text):
        bullet = _BULLET.match(text, start, end)
        depth = start - text.rfind("\n", 0, start) - 1 if bullet else -1
        if depth != indent:
            groups.append([])
        if bullet and not _goes_on(text, end, depth):
            groups[-1].append((bullet.end(), end))
        elif not bullet:
            sentences = _in_line(text, (start, end))
            if all(_WHOLE.fullmatch(text, *span) for span in sentences):
                groups.append(sentences)
        indent = depth
    return [group for group in groups if len({text[a:b] for a, b in group}) > 1]


def _goes_on(text: str, end: int, depth: int) -> bool:
    """Whether an item of a list goes on in a deeper line after the one that ends there."""
    line = text[end:].lstrip(" \t").removeprefix("\n").split("\n", 1)[0]
    return bool(line.strip()) and len(line) - len(line.lstrip()) > depth


def _lines(text: str) -> list[Span]:
    """Return where each line begins and ends, without the white space around it."""
    spans, place = [], 0
    for line in text.split("\n"):
        start = place + len(line) - len(line.lstrip())
        spans.append((start, max(start, place + len(line.rstrip()))))
        place += len(line) + 1
    return spans


def _in_line(text: str, line: Span) -> list[Span]:
    """Return the sentences of a line; of several in an item the first begins after its bullet."""
    start, end = line
    content = text[start:end]
    ends = [found.span() for found in _END.finditer(content) if found.end() < len(content)]
    if not ends:
        return [line]
    bullet = _BULLET.match(content)
    begins = [bullet.end() if bullet else 0, *(after for _, after in ends)]
    stops = [*(before for before, _ in ends), len(content)]
    return [(start + a, start + b) for a, b in zip(begins, stops, strict=True) if a < b]
