"""Log-probabilities of tokens from a server's completions, in whichever way it has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...search.contracts import Unscored
from . import answers as server_answers
from .answers import NotGivenError, number
from .calls import Call, UnsupportedError

if TYPE_CHECKING:
    from ..logprobs import LogProbs, Pair
    from ..tokenization import Encoder, Tokens
    from .client import Client

LISTED = 20
"""Likeliest tokens that servers list, at most (OpenAI's limit for chat, vLLM's default)."""
Asked = tuple[tuple[int, ...], tuple["Tokens", ...]]
"""Next tokens, and the contexts after which they are wanted."""


class TokenServer:
    """Finds out how a server gives log-probabilities of tokens, and asks for them so.

    Parameters
    ----------
    client, model, encoder
        The server, the model's name there, and its tokenizer.

    Raises
    ------
    UnsupportedError
        If the server gives none.
    """

    def __init__(self, client: Client, model: str, encoder: Encoder) -> None:
        self.name = client.name
        self._client, self._model, self._encoder = client, model, encoder
        self._listed = LISTED
        context, *others = encoder.encode_prompts(["The film was a quiet triumph", " good", " bad"])
        tokens = tuple(sorted({other[-1] for other in others}))
        probe = (context[:-1], context[-1:])
        self.echoes = client.attempt(self._ask_echo, _read_echo, probe) is not None
        """Whether it gives those of a prompt's own tokens."""
        self.asks = True
        """Whether it gives those of the tokens that are asked for (vLLM's
        ``logprob_token_ids``)."""
        self.asks = self._gives(tokens, context)
        if not self.asks and not self.echoes:
            self._listed = len(encoder)
            if not self._gives(tokens, context):
                raise UnsupportedError(
                    f"{self.name}: no completions with log-probabilities of given tokens"
                )
            self._listed = LISTED

    def next_tokens(self, asked: Sequence[Asked]) -> list[LogProbs | Unscored]:
        """Return log-probabilities of next tokens after contexts: those that the server gives."""
        return self._client.map(self._ask, self._read, asked)

    def among_all(self, asked: Sequence[Asked]) -> list[LogProbs | Unscored]:
        """Return the same off lists of all tokens."""
        before, self._listed = self._listed, len(self._encoder)
        try:
            return self.next_tokens(asked)
        finally:
            self._listed = before

    def echoed(self, pairs: Sequence[Pair]) -> list[float | Unscored]:
        """Return log P(continuation | context) off prompts that are echoed."""
        return self._client.map(self._ask_echo, _read_echo, pairs)

    def _gives(self, tokens: tuple[int, ...], context: Tokens) -> bool:
        given = self._client.attempt(self._ask, self._read, (tokens, (context,)))
        return given is not None and given[context].keys() == set(tokens)

    def _ask(self, asked: Asked) -> Call:
        tokens, contexts = asked
        prompts = [list(context) for context in contexts]
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": prompts if len(prompts) > 1 else prompts[0],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": len(tokens) if self.asks else self._listed,
        }
        if self.asks:
            body |= {"logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True}
        return Call("completions", body)

    def _read(self, asked: Asked, answer: Any) -> LogProbs:  # noqa: ANN401
        tokens, contexts = asked
        choices = server_answers.choices(answer, len(contexts))
        return {
            context: self._values(choice, tokens)
            for context, choice in zip(contexts, choices, strict=True)
        }

    def _values(self, choice: dict[str, Any], tokens: Sequence[int]) -> dict[int, float]:
        """Return those log-probabilities that a choice gives, whichever way it writes tokens."""
        if choice.get("finish_reason") == "content_filter":
            return dict.fromkeys(tokens, math.nan)
        listed: dict[Any, float] = {}
        for name, text, value in server_answers.first_tokens(choice):
            listed.setdefault(text if name is None else name, value)
        values = {}
        for token in tokens:
            names = (token, f"token_id:{token}", self._encoder.decode(token))
            name = next((name for name in names if name in listed), None)
            if name is not None:
                values[token] = listed[name]
        return values

    def _ask_echo(self, pair: Pair) -> Call:
        context, continuation = pair
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": list(context + continuation),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": 1,
            "echo": True,
        }
        return Call("completions", body)


def _read_echo(pair: Pair, answer: Any) -> float:  # noqa: ANN401 (any JSON)
    (choice,) = server_answers.choices(answer, 1)
    values = server_answers.field(choice.get("logprobs"), "token_logprobs")
    start, stop = len(pair[0]), len(pair[0]) + len(pair[1])
    if not isinstance(values, list) or len(values) < stop:
        raise NotGivenError("an echo without log-probabilities")
    return sum(number(value) for value in values[start:stop])
