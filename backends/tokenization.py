"""Text to tokens, exactly as the model would read it, with data that cannot turn into control tokens."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..search.contracts import AnswerTokens
from ..search.errors import BackendError
from .chat import ChatTemplate, fill

if TYPE_CHECKING:
    from ..search.contracts import LikelihoodRequest, Text

Tokens = tuple[int, ...]
Result = TypeVar("Result")
_TOKENIZED_TOGETHER = 256
"""What a tokenizer returns holds some hundred bytes a token, so long calls are tokenized in
slices."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEXT_LINE = re.compile(r"(?<=\n)(?=\S)")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as tokens: the prompt without what the tokenizer writes after a text, and each continuation.

    With ``whole`` a continuation is to be the whole answer, as in `LikelihoodRequest`.
    """

    prompt: Tokens
    continuations: tuple[Tokens, ...]
    whole: bool = False


class _Piece(NamedTuple):
    """Text without control tokens, or one line of it beside ``before`` and ``after`` characters of the lines around it."""

    text: str
    before: int = 0
    after: int = 0


class _LinesMergeError(Exception):
    """A token belongs to two lines."""


class Encoder:
    """Wraps a model's tokenizer.

    Control tokens in data are ordinary text; those of the chat template are real. The tokens of a
    continuation are what follows the prompt's tokens when both are tokenized together; where the
    tokenizer merges across the boundary, the continuation is tokenized alone. Spaces at the end of
    a prompt count to its continuations, as tokenizers attach a space to the next word.

    Prompts of one call have most of their lines in common, so each distinct line is tokenized once,
    beside the end of the line before it and the first character of the next, unless the tokenizer
    has tokens that reach from one line into the next.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    model
        The model's name, for messages.
    apart
        Whether continuations are texts of their own, as an encoder-decoder model writes them,
        without leading spaces.
    """

    def __init__(self, tokenizer: Any, model: str, *, apart: bool = False) -> None:  # noqa: ANN401 (transformers publishes no types)
        self._tokenizer = tokenizer
        self._model = model
        self._apart = apart
        self.template = ChatTemplate(tokenizer, model)
        """The model's chat template."""
        self._start, self.end = _specials(tokenizer)
        first = (
            tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        )
        self._fallback: Tokens = () if first is None else (first,)
        special = sorted(tokenizer.all_special_tokens, key=len, reverse=True)
        added = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        controls = sorted({*special, *added}, key=len, reverse=True)
        self._controls = (
            re.compile("(" + "|".join(map(re.escape, controls)) + ")") if controls else None
        )
        self._by_lines = _keeps_lines_apart(tokenizer)

    def encode(
        self, requests: Sequence[LikelihoodRequest], max_context: int | None = None
    ) -> list[Encoded]:
        """Return the tokens of each request.

        Raises
        ------
        BackendError
            If a prompt and a continuation have more than ``max_context`` tokens, where given, or a
            continuation none.
        """
        encode = self._encode_apart if self._apart else self._encode_together
        encoded = self._by_lines_if_possible(
            lambda: encode(requests, [self._pieces(r.prompt) for r in requests])
        )
        for request in encoded:
            longest = len(request.prompt) + max(map(len, request.continuations))
            if max_context is not None and longest > max_context:
                raise BackendError(
                    f"a prompt of {longest} tokens does not fit into the {max_context} that {self._model} reads"
                )
        return [
            replace(e, whole=True) if r.whole else e for e, r in zip(encoded, requests, strict=True)
        ]

    def answer_tokens(self, request: LikelihoodRequest) -> list[AnswerTokens]:
        """Return how the model reads each continuation of a request."""
        unknown = self._tokenizer.unk_token_id
        return [
            AnswerTokens(
                tuple(map(str, self._tokenizer.convert_ids_to_tokens(list(ids)))),
                unknown not in ids,
            )
            for ids in self.encode([request])[0].continuations
        ]

    def __len__(self) -> int:
        """Return the number of tokens the tokenizer knows."""
        return len(self._tokenizer)

    def decode(self, token: int) -> str:
        """Return a token's text."""
        return str(self._tokenizer.decode([token]))

    def encode_prompts(self, texts: Sequence[Text]) -> list[Tokens]:
        """Return the tokens of each prompt alone."""

        def encode() -> list[Tokens]:
            pieces = [self._pieces(text) for text in texts]
            known = self._tokenize(
                {part for parts in pieces for part in parts if isinstance(part, _Piece)}
            )
            return [self._join(parts, known) for parts in pieces]

        return self._by_lines_if_possible(encode)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` of at most ``max_tokens`` tokens."""
        if not self._tokenizer.is_fast:  # it has no offsets
            return text[
                : bisect_right(
                    range(1, len(text) + 1), max_tokens, key=lambda end: self._length(text[:end])
                )
            ]
        encoded = self._tokenizer(
            _legible(text),
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
        )
        offsets = encoded["offset_mapping"]
        if len(offsets) <= max_tokens:
            return text
        end = offsets[max_tokens - 1][1]
        # A character of several tokens may straddle the end.
        while end and self._length(text[:end]) > max_tokens:
            end -= 1
        return text[:end]

    def _length(self, text: str) -> int:
        return len(self._tokenize({_Piece(text)})[_Piece(text)])

    def _by_lines_if_possible(self, encode: Callable[[], list[Result]]) -> list[Result]:
        try:
            return encode()
        except _LinesMergeError:
            self._by_lines = False
            return encode()

    def _encode_together(
        self, requests: Sequence[LikelihoodRequest], pieces: Sequence[Sequence[_Piece | int]]
    ) -> list[Encoded]:
        lasts = [parts[-1] for parts in pieces]
        tails = [
            last._replace(text=last.text.rstrip(" ")) for last in lasts if isinstance(last, _Piece)
        ]
        spaces = [
            last.text[len(tail.text) :]
            for last, tail in zip(lasts, tails, strict=True)
            if isinstance(last, _Piece)
        ]
        wanted = {
            part for parts in pieces for part in parts[:-1] if isinstance(part, _Piece)
        } | set(tails)
        for request, tail, space in zip(requests, tails, spaces, strict=True):
            wanted |= {
                piece
                for c in request.continuations
                for piece in _with_continuation(tail, space + c)
            }
        known = self._tokenize(wanted)
        return [
            self._assemble(parts[:-1], tail, [space + c for c in request.continuations], known)
            for request, parts, tail, space in zip(requests, pieces, tails, spaces, strict=True)
        ]

    def _encode_apart(
        self, requests: Sequence[LikelihoodRequest], pieces: Sequence[Sequence[_Piece | int]]
    ) -> list[Encoded]:
        answers = [
            [_Piece(text.lstrip(" ")) for text in request.continuations] for request in requests
        ]
        prompts = {part for parts in pieces for part in parts if isinstance(part, _Piece)}
        known = self._tokenize(prompts.union(*answers))
        for text in (text for texts in answers for text in texts if not known[text]):
            raise BackendError(f"{self._model}: the answer {text.text!r} has no tokens")
        return [
            Encoded(self._join(parts, known), tuple(known[text] for text in texts))
            for parts, texts in zip(pieces, answers, strict=True)
        ]

    def _assemble(
        self,
        head: Sequence[_Piece | int],
        tail: _Piece,
        continuations: Sequence[str],
        known: dict[_Piece, Tokens],
    ) -> Encoded:
        prompt = self._join([*head, tail], known) or self._fallback
        if not prompt:
            raise BackendError(
                f"{self._model}: an empty prompt cannot be scored, since the tokenizer has no start token"
            )
        end = known[tail]
        found = []
        for continuation in continuations:
            whole, alone = (known[piece] for piece in _with_continuation(tail, continuation))
            found.append(whole[len(end) :] if whole[: len(end)] == end else alone)
            if not found[-1]:
                raise BackendError(f"{self._model}: the answer {continuation!r} has no tokens")
        return Encoded(prompt, tuple(found))

    def _join(self, parts: Sequence[_Piece | int], known: dict[_Piece, Tokens]) -> Tokens:
        runs = (known[part] if isinstance(part, _Piece) else (part,) for part in parts)
        return tuple(chain.from_iterable(runs))

    def _pieces(self, text: Text) -> list[_Piece | int]:
        """Return control tokens and the literal text between them; the last piece is text."""
        if isinstance(text, str):
            return [*self._start, *self._lines(text)]
        pieces: list[_Piece | int] = []
        contents = [message.content for message in text]
        turns = self.template.render([message.role for message in text])
        for run in self._controls.split(turns) if self._controls else [turns]:
            if self._controls and self._controls.fullmatch(run):
                pieces.append(self._tokenizer.convert_tokens_to_ids(run))
            elif run:
                pieces += self._lines(fill(run, contents))
        return pieces if pieces and isinstance(pieces[-1], _Piece) else [*pieces, _Piece("")]

    def _lines(self, text: str) -> list[_Piece]:
        if not self._by_lines or "\n" not in text:
            return [_Piece(text)]
        lines = _NEXT_LINE.split(text)
        before = ["", *("\n" for _ in lines[1:])]
        after = [*(line[0] for line in lines[1:]), ""]
        return [
            _Piece(b + line + a, len(b), len(a))
            for b, line, a in zip(before, lines, after, strict=True)
        ]

    def _tokenize(self, pieces: Collection[_Piece]) -> dict[_Piece, Tokens]:
        known: dict[_Piece, Tokens] = {}
        ordered = sorted(pieces)
        for start in range(0, len(ordered), _TOKENIZED_TOGETHER):
            some = ordered[start : start + _TOKENIZED_TOGETHER]
            encoded = self._tokenizer(
                [_legible(piece.text) for piece in some],
                add_special_tokens=False,
                split_special_tokens=True,
                return_attention_mask=False,
                return_offsets_mapping=self._by_lines,
            )
            offsets = encoded["offset_mapping"] if self._by_lines else encoded["input_ids"]
            for piece, ids, spans in zip(some, encoded["input_ids"], offsets, strict=True):
                known[piece] = (
                    _own(piece, ids, spans) if piece.before or piece.after else tuple(ids)
                )
        return known


def _legible(text: str) -> str:
    """Return the text with half characters, which no tokenizer takes, as U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _with_continuation(tail: _Piece, continuation: str) -> tuple[_Piece, _Piece]:
    """Return the end of a prompt with a continuation, and the continuation alone."""
    return tail._replace(text=tail.text + continuation), _Piece(continuation)


def _own(piece: _Piece, ids: Sequence[int], spans: Sequence[tuple[int, int]]) -> Tokens:
    """Return a line's tokens without those of the characters around it."""
    start, stop = piece.before, len(piece.text) - piece.after
    if any(first < start < end or first < stop < end for first, end in spans):
        raise _LinesMergeError
    return tuple(
        token
        for token, (first, end) in zip(ids, spans, strict=True)
        if start <= first and end <= stop
    )


def _keeps_lines_apart(tokenizer: Any) -> bool:  # noqa: ANN401 (transformers publishes no types)
    """Whether no token has the end of one line and the beginning of the next: then no merge crosses lines."""
    if not tokenizer.is_fast:
        return False
    with_newline = [
        i for token, i in tokenizer.get_vocab().items() if "\n" in token or "\u010a" in token
    ]  # byte-level
    return not any(_NEXT_LINE.search(tokenizer.decode([i])) for i in with_newline)


def _specials(tokenizer: Any) -> tuple[Tokens, Tokens]:  # noqa: ANN401
    """Return what a tokenizer writes before and after a text."""
    text = tuple(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = tuple(tokenizer("a", add_special_tokens=True)["input_ids"])
    start = next((i for i in range(len(whole)) if whole[i : i + len(text)] == text), 0)
    return whole[:start], whole[start + len(text) :]
