"""Texts to tokens piece by piece: each distinct line once, where no token reaches over its end."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .chat import fill

if TYPE_CHECKING:
    from ..search.contracts import Text
    from .chat import ChatTemplate

Tokens = tuple[int, ...]
Result = TypeVar("Result")
_TOGETHER = 256
"""Pieces in one call of a tokenizer: what it returns holds some hundred bytes a token."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEXT_LINE = re.compile(r"(?<=\n)(?=\S)")
_NEWLINES = ("\n", "\u010a")
"""A line's end, as tokens have it: as it is, and of byte-level tokenizers."""


class Piece(NamedTuple):
    """Text without control tokens, or one line of it.

    A line stands beside ``before`` and ``after`` characters of the lines around it.
    """

    text: str
    before: int = 0
    after: int = 0


class _LinesMergeError(Exception):
    """A token belongs to two lines."""


class PieceTokenizer:
    """Tokenizes prompts piece by piece: control tokens, and the literal text between them.

    Prompts of one call have most of their lines in common, so each distinct line is tokenized once,
    beside the end of the line before it and the first character of the next, unless the tokenizer
    has tokens that reach from one line into the next.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    template
        Its chat template.
    """

    def __init__(self, tokenizer: Any, template: ChatTemplate) -> None:  # noqa: ANN401
        self._tokenizer, self._template = tokenizer, template
        self.start, self.end = _specials(tokenizer)
        """What the tokenizer writes before and after a text."""
        self._controls = _controls(tokenizer)
        self.by_lines = _keeps_lines_apart(tokenizer)
        """Whether lines are pieces of their own."""

    def split(self, text: Text) -> list[Piece | int]:
        """Return control tokens and the literal text between them; the last piece is text."""
        if isinstance(text, str):
            return [*self.start, *self._lines(text)]
        pieces: list[Piece | int] = []
        contents = [message.content for message in text]
        turns = self._template.render([message.role for message in text])
        for run in self._controls.split(turns) if self._controls else [turns]:
            if self._controls and self._controls.fullmatch(run):
                pieces.append(self._tokenizer.convert_tokens_to_ids(run))
            elif run:
                pieces += self._lines(fill(run, contents))
        return pieces if pieces and isinstance(pieces[-1], Piece) else [*pieces, Piece("")]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` of at most ``max_tokens`` tokens."""
        if not self._tokenizer.is_fast:  # it has no offsets
            ends = range(1, len(text) + 1)
            return text[: bisect_right(ends, max_tokens, key=lambda end: self._length(text[:end]))]
        encoded = self._tokenizer(
            _legible(text),
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
        )
        offsets = encoded["offset_mapping"]
        if len(offsets) <= max_tokens:
            return text
        end: int = offsets[max_tokens - 1][1]
        # A character of several tokens may straddle the end.
        while end and self._length(text[:end]) > max_tokens:
            end -= 1
        return text[:end]

    def tokenize(self, pieces: Collection[Piece]) -> dict[Piece, Tokens]:
        """Return the tokens of each piece, without those of the characters around a line."""
        known: dict[Piece, Tokens] = {}
        ordered = sorted(pieces)
        for start in range(0, len(ordered), _TOGETHER):
            some = ordered[start : start + _TOGETHER]
            encoded = self._tokenizer(
                [_legible(piece.text) for piece in some],
                add_special_tokens=False,
                split_special_tokens=True,
                return_attention_mask=False,
                return_offsets_mapping=self.by_lines,
            )
            offsets = encoded["offset_mapping"] if self.by_lines else encoded["input_ids"]
            for piece, ids, spans in zip(some, encoded["input_ids"], offsets, strict=True):
                is_line = piece.before or piece.after
                known[piece] = _own(piece, ids, spans) if is_line else tuple(ids)
        return known

    def by_lines_if_possible(self, encode: Callable[[], Result]) -> Result:
        """Return what ``encode`` makes of pieces, made again of whole texts if lines merge."""
        try:
            return encode()
        except _LinesMergeError:
            self.by_lines = False
            return encode()

    def _lines(self, text: str) -> list[Piece]:
        if not self.by_lines or "\n" not in text:
            return [Piece(text)]
        lines = _NEXT_LINE.split(text)
        before = ["", *("\n" for _ in lines[1:])]
        after = [*(line[0] for line in lines[1:]), ""]
        return [
            Piece(b + line + a, len(b), len(a))
            for b, line, a in zip(before, lines, after, strict=True)
        ]

    def _length(self, text: str) -> int:
        return len(self.tokenize({Piece(text)})[Piece(text)])


def join(parts: Sequence[Piece | int], known: dict[Piece, Tokens]) -> Tokens:
    """Return the tokens of a prompt's pieces."""
    runs = (known[part] if isinstance(part, Piece) else (part,) for part in parts)
    return tuple(chain.from_iterable(runs))


def _controls(tokenizer: Any) -> re.Pattern[str] | None:  # noqa: ANN401
    """Return what finds control tokens in a rendered chat template, the longest first."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    special = sorted(tokenizer.all_special_tokens, key=len, reverse=True)
    controls = sorted({*special, *added}, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, controls)) + ")") if controls else None


def _legible(text: str) -> str:
    """Return the text with half characters, which no tokenizer takes, as U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _own(piece: Piece, ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> Tokens:
    """Return a line's tokens without those of the characters around it."""
    start, stop = piece.before, len(piece.text) - piece.after
    own = []
    for token, (first, end) in zip(ids, spans, strict=True):
        if first < start < end or first < stop < end:
            raise _LinesMergeError
        if start <= first and end <= stop:
            own.append(token)
    return tuple(own)


def _keeps_lines_apart(tokenizer: Any) -> bool:  # noqa: ANN401
    """Whether no token has the end of one line and the beginning of the next."""
    if not tokenizer.is_fast:
        return False
    ends = [
        i
        for token, i in tokenizer.get_vocab().items()
        if any(newline in token for newline in _NEWLINES)
    ]
    return not any(_NEXT_LINE.search(tokenizer.decode([i])) for i in ends)


def _specials(tokenizer: Any) -> tuple[Tokens, Tokens]:  # noqa: ANN401
    """Return what a tokenizer writes before and after a text."""
    text = tuple(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = tuple(tokenizer("a", add_special_tokens=True)["input_ids"])
    start = next((i for i in range(len(whole)) if whole[i : i + len(text)] == text), 0)
    return whole[:start], whole[start + len(text) :]
