"""Text to tokens, exactly as the model would read it, with data that cannot turn into control tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from ..search.errors import BackendError

if TYPE_CHECKING:
    from ..search.contracts import Message, Request, Text

Tokens = tuple[int, ...]
_TOKENIZED_TOGETHER = 256
"""What a tokenizer returns holds some hundred bytes a token, so long calls are tokenized in slices."""
# Private-use characters that stand for a message's content while the chat template is rendered.
_OPEN, _CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as tokens: the prompt without what the tokenizer writes after a text, and each continuation."""

    prompt: Tokens
    continuations: tuple[Tokens, ...]


class Encoder:
    """Wraps a model's tokenizer.

    Control tokens in data are ordinary text; those of the chat template are real. The tokens of a continuation are
    what follows the prompt's tokens when both are tokenized together; where the tokenizer merges across the boundary,
    the continuation is tokenized alone. Spaces at the end of a prompt count to its continuations, as tokenizers
    attach a space to the next word.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    model
        The model's name, for messages.
    apart
        Whether continuations are texts of their own, as an encoder-decoder model writes them, without leading spaces.
    """

    def __init__(self, tokenizer: Any, model: str, *, apart: bool = False) -> None:  # noqa: ANN401 (transformers publishes no types)
        self._tokenizer = tokenizer
        self._model = model
        self._apart = apart
        self._start, self.end = _specials(tokenizer)
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        self._fallback: Tokens = () if first is None else (first,)
        special = sorted(tokenizer.all_special_tokens, key=len, reverse=True)
        added = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        controls = sorted({*special, *added}, key=len, reverse=True)
        self._controls = re.compile("(" + "|".join(map(re.escape, controls)) + ")") if controls else None

    def encode(self, requests: Sequence[Request], max_context: int | None = None) -> list[Encoded]:
        """Return the tokens of each request.

        Raises
        ------
        BackendError
            If a prompt and a continuation have more than ``max_context`` tokens, where given, or a continuation none.
        """
        pieces = [self._pieces(request.prompt) for request in requests]
        encode = self._encode_apart if self._apart else self._encode_together
        encoded = encode(requests, pieces)
        for request in encoded:
            longest = len(request.prompt) + max(map(len, request.continuations))
            if max_context is not None and longest > max_context:
                raise BackendError(
                    f"a prompt of {longest} tokens does not fit into the {max_context} that {self._model} reads"
                )
        return encoded

    def __len__(self) -> int:
        """Return the number of tokens the tokenizer knows."""
        return len(self._tokenizer)

    def decode(self, token: int) -> str:
        """Return a token's text."""
        return str(self._tokenizer.decode([token]))

    def encode_prompts(self, texts: Sequence[Text]) -> list[Tokens]:
        """Return the tokens of each prompt alone."""
        pieces = [self._pieces(text) for text in texts]
        known = self._tokenize(sorted({part for parts in pieces for part in parts if isinstance(part, str)}))
        return [self._join(parts, known) for parts in pieces]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` of at most ``max_tokens`` tokens."""
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        offsets = encoded["offset_mapping"]
        if len(offsets) <= max_tokens:
            return text
        end = offsets[max_tokens - 1][1]
        # A character of several tokens may straddle the end.
        while end and len(self._tokenize([text[:end]])[text[:end]]) > max_tokens:
            end -= 1
        return text[:end]

    def _encode_together(self, requests: Sequence[Request], pieces: Sequence[Sequence[str | int]]) -> list[Encoded]:
        tails = [str(parts[-1]).rstrip(" ") for parts in pieces]
        spaces = [str(parts[-1])[len(tail) :] for parts, tail in zip(pieces, tails, strict=True)]
        texts = {part for parts in pieces for part in parts[:-1] if isinstance(part, str)} | set(tails)
        for request, tail, space in zip(requests, tails, spaces, strict=True):
            texts |= {text for c in request.continuations for text in (tail + space + c, space + c)}
        known = self._tokenize(sorted(texts))
        return [
            self._assemble(parts[:-1], tail, [space + c for c in request.continuations], known)
            for request, parts, tail, space in zip(requests, pieces, tails, spaces, strict=True)
        ]

    def _encode_apart(self, requests: Sequence[Request], pieces: Sequence[Sequence[str | int]]) -> list[Encoded]:
        answers = [[text.lstrip(" ") for text in request.continuations] for request in requests]
        prompts = {part for parts in pieces for part in parts if isinstance(part, str)}
        known = self._tokenize(sorted(prompts.union(*answers)))
        for text in (text for texts in answers for text in texts if not known[text]):
            raise BackendError(f"{self._model}: the answer {text!r} has no tokens")
        return [
            Encoded(self._join(parts, known), tuple(known[text] for text in texts))
            for parts, texts in zip(pieces, answers, strict=True)
        ]

    def _assemble(
        self, head: Sequence[str | int], tail: str, continuations: Sequence[str], known: dict[str, Tokens]
    ) -> Encoded:
        prompt = self._join([*head, tail], known) or self._fallback
        if not prompt:
            raise BackendError(
                f"{self._model}: an empty prompt cannot be scored, since the tokenizer has no start token"
            )
        end = known[tail]
        found = []
        for continuation in continuations:
            whole = known[tail + continuation]
            found.append(whole[len(end) :] if whole[: len(end)] == end else known[continuation])
            if not found[-1]:
                raise BackendError(f"{self._model}: the answer {continuation!r} has no tokens")
        return Encoded(prompt, tuple(found))

    def _join(self, parts: Sequence[str | int], known: dict[str, Tokens]) -> Tokens:
        return tuple(token for part in parts for token in (known[part] if isinstance(part, str) else (part,)))

    def _pieces(self, text: Text) -> list[str | int]:
        """Return control tokens and the literal text between them; the last piece is text."""
        if isinstance(text, str):
            return [*self._start, text]
        pieces: list[str | int] = []
        contents = [message.content for message in text]
        for run in self._controls.split(self._chat(text)) if self._controls else [self._chat(text)]:
            if self._controls and self._controls.fullmatch(run):
                pieces.append(self._tokenizer.convert_tokens_to_ids(run))
            elif run:
                pieces.append(_SLOT.sub(lambda found: contents[int(found.group(1))], run))
        return pieces if pieces and isinstance(pieces[-1], str) else [*pieces, ""]

    def _chat(self, messages: Sequence[Message]) -> str:
        slots = [{"role": m.role, "content": f"{_OPEN}{i}{_CLOSE}"} for i, m in enumerate(messages)]
        if not self._tokenizer.chat_template:
            raise BackendError(f"{self._model} has no chat template: it cannot be given chat prompts")
        try:
            text = str(self._tokenizer.apply_chat_template(slots, tokenize=False, add_generation_prompt=True))
        except TemplateError as error:
            raise BackendError(f"{self._model}: its chat template refuses the prompt ({error})") from error
        if [int(i) for i in _SLOT.findall(text)] != list(range(len(messages))):
            raise BackendError(f"{self._model}: its chat template drops or repeats a message")
        return text

    def _tokenize(self, texts: Sequence[str]) -> dict[str, Tokens]:
        known: dict[str, Tokens] = {}
        for start in range(0, len(texts), _TOKENIZED_TOGETHER):
            some = list(texts[start : start + _TOKENIZED_TOGETHER])
            encoded = self._tokenizer(
                some, add_special_tokens=False, split_special_tokens=True, return_attention_mask=False
            )
            known |= {text: tuple(ids) for text, ids in zip(some, encoded["input_ids"], strict=True)}
        return known


def _specials(tokenizer: Any) -> tuple[Tokens, Tokens]:  # noqa: ANN401
    """Return what a tokenizer writes before and after a text."""
    text = tuple(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = tuple(tokenizer("a", add_special_tokens=True)["input_ids"])
    start = next((i for i in range(len(whole)) if whole[i : i + len(text)] == text), 0)
    return whole[:start], whole[start + len(text) :]
