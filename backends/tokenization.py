"""Text to tokens, as the model would read it.

Data cannot turn into control tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..search.contracts import AnswerTokens
from ..search.errors import BackendError
from .chat import ChatTemplate
from .pieces import Piece, PieceTokenizer, Tokens, join

if TYPE_CHECKING:
    from ..search.contracts import LikelihoodRequest, Text

__all__ = ["Encoded", "Encoder", "Tokens"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as tokens: the prompt without what ends a text, and each continuation.

    With ``whole`` a continuation is to be the whole answer, as in `LikelihoodRequest`.
    """

    prompt: Tokens
    continuations: tuple[Tokens, ...]
    whole: bool = False


class Encoder:
    """Wraps a model's tokenizer.

    Control tokens in data are ordinary text; those of the chat template are real. The tokens of a
    continuation are what follows the prompt's tokens when both are tokenized together; where the
    tokenizer merges across the boundary, the continuation is tokenized alone. Spaces at the end of
    a prompt count to its continuations, as tokenizers attach a space to the next word.

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

    def __init__(
        self,
        tokenizer: Any,  # noqa: ANN401 (transformers publishes no types)
        model: str,
        *,
        apart: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self._apart = apart
        self.template = ChatTemplate(tokenizer, model)
        """The model's chat template."""
        self._pieces = PieceTokenizer(tokenizer, self.template)
        self.end = self._pieces.end
        """What the tokenizer writes after a text."""
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        first = eos if bos is None else bos
        self._fallback: Tokens = () if first is None else (first,)
        """What an empty prompt is read as."""

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
        encoded = self._pieces.by_lines_if_possible(
            lambda: encode(requests, [self._pieces.split(r.prompt) for r in requests])
        )
        for request in encoded:
            longest = len(request.prompt) + max(map(len, request.continuations))
            if max_context is not None and longest > max_context:
                raise BackendError(
                    f"a prompt of {longest} tokens does not fit "
                    f"into the context of {self._model} ({max_context} tokens)"
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
            pieces = [self._pieces.split(text) for text in texts]
            texts_apart = {part for parts in pieces for part in parts if isinstance(part, Piece)}
            known = self._pieces.tokenize(texts_apart)
            return [join(parts, known) for parts in pieces]

        return self._pieces.by_lines_if_possible(encode)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` of at most ``max_tokens`` tokens."""
        return self._pieces.truncate(text, max_tokens)

    def _encode_together(
        self, requests: Sequence[LikelihoodRequest], pieces: Sequence[Sequence[Piece | int]]
    ) -> list[Encoded]:
        lasts = [parts[-1] for parts in pieces]
        tails = [
            last._replace(text=last.text.rstrip(" ")) for last in lasts if isinstance(last, Piece)
        ]
        spaces = [
            last.text[len(tail.text) :]
            for last, tail in zip(lasts, tails, strict=True)
            if isinstance(last, Piece)
        ]
        wanted = {part for parts in pieces for part in parts[:-1] if isinstance(part, Piece)}
        wanted.update(tails)
        for request, tail, space in zip(requests, tails, spaces, strict=True):
            for continuation in request.continuations:
                wanted.update(_with_continuation(tail, space + continuation))
        known = self._pieces.tokenize(wanted)
        return [
            self._assemble(parts[:-1], tail, [space + c for c in request.continuations], known)
            for request, parts, tail, space in zip(requests, pieces, tails, spaces, strict=True)
        ]

    def _encode_apart(
        self, requests: Sequence[LikelihoodRequest], pieces: Sequence[Sequence[Piece | int]]
    ) -> list[Encoded]:
        answers = [
            [Piece(text.lstrip(" ")) for text in request.continuations] for request in requests
        ]
        prompts = {part for parts in pieces for part in parts if isinstance(part, Piece)}
        known = self._pieces.tokenize(prompts.union(*answers))
        for text in (text for texts in answers for text in texts if not known[text]):
            raise BackendError(f"{self._model}: the answer {text.text!r} has no tokens")
        return [
            Encoded(join(parts, known), tuple(known[text] for text in texts))
            for parts, texts in zip(pieces, answers, strict=True)
        ]

    def _assemble(
        self,
        head: Sequence[Piece | int],
        tail: Piece,
        continuations: Sequence[str],
        known: dict[Piece, Tokens],
    ) -> Encoded:
        prompt = join([*head, tail], known) or self._fallback
        if not prompt:
            raise BackendError(
                f"{self._model}: an empty prompt cannot be scored, "
                "since the tokenizer has no start token"
            )
        end = known[tail]
        answers = []
        for continuation in continuations:
            whole, alone = (known[piece] for piece in _with_continuation(tail, continuation))
            answers.append(whole[len(end) :] if whole[: len(end)] == end else alone)
            if not answers[-1]:
                raise BackendError(f"{self._model}: the answer {continuation!r} has no tokens")
        return Encoded(prompt, tuple(answers))


def _with_continuation(tail: Piece, continuation: str) -> tuple[Piece, Piece]:
    """Return the end of a prompt with a continuation, and the continuation alone."""
    return tail._replace(text=tail.text + continuation), Piece(continuation)
