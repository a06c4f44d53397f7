"""Exact log-likelihoods from a server: completions of token ids, with log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...search.contracts import Unscored
from ...search.errors import BackendError, InterruptedCallError
from ..logprobs import chain, chain_or_whole, chained, ended
from ..tokenization import Encoded
from .token_server import LISTED, Asked, TokenServer

if TYPE_CHECKING:
    from ...search.contracts import LikelihoodRequest
    from ..logprobs import LogProbs, Pair, Wanted
    from ..tokenization import Encoder, Tokens
    from .client import Client
    from .scoring import Scores

_TOGETHER = 16
"""Contexts in one request."""
_ASKED_FOR = 128
"""Next tokens that one request may ask for (vLLM's limit)."""


class ExactTokens:
    """Exact: completions of token ids, with the log-probabilities of the next tokens.

    Servers that know ``logprob_token_ids`` (vLLM) give those that are asked for. Others list their
    likeliest tokens; what is not among them is read off an echoed prompt, or where there is no echo
    (llama.cpp) off a list of all tokens.

    Parameters
    ----------
    client, model, encoder, max_context
        The server, the model's name there, its tokenizer, and the tokens it reads.

    Raises
    ------
    UnsupportedError
        If the server does none of this.
    """

    def __init__(self, client: Client, model: str, encoder: Encoder, max_context: int) -> None:
        self._encoder = encoder
        self._max_context = max_context
        self._refusals: dict[Tokens, Unscored] = {}
        """Why there is nothing after a context, of the call that goes on."""
        self._server = TokenServer(client, model, encoder)
        self._together = _TOGETHER if self._server.asks else 1
        others = "an echo" if self._server.echoes else "all"
        listed = f"the {LISTED} likeliest tokens, and {others} for others"
        way = "the asked tokens" if self._server.asks else listed
        self.description = f"completions with log-probabilities of {way}"

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        encoded = self._encoder.encode(requests, self._max_context - 1)
        known: LogProbs = {}
        self._refusals.clear()
        try:
            scored = chain_or_whole(encoded, lambda wanted: self._next(wanted, known), self._whole)
        except InterruptedCallError as error:
            complete = _complete(encoded, known)
            error.answered = {
                i: self._or_refused(encoded[i], scores) for i, scores in complete.items()
            }
            raise
        return [
            self._or_refused(request, ended(request, scores))
            for request, scores in zip(encoded, scored, strict=True)
        ]

    def _next(self, wanted: Wanted, known: LogProbs) -> LogProbs:
        """Add the log-probabilities of next tokens to those that are known, and return these."""
        asked = list(self._requests(wanted))
        try:
            answers = self._server.next_tokens(asked)
        except InterruptedCallError as error:
            for answer in error.answered.values():
                if not isinstance(answer, Unscored):
                    _merge(known, answer)
            raise
        alone: Wanted = {}
        for (tokens, contexts), answer in zip(asked, answers, strict=True):
            if not isinstance(answer, Unscored):
                _merge(known, answer)
            elif len(contexts) == 1:
                _merge(known, {contexts[0]: self._refused(contexts[0], tokens, answer)})
            else:  # one of them is refused: which is found out by asking for each
                for context in contexts:
                    alone.setdefault(context, set()).update(tokens)
        if alone:
            together, self._together = self._together, 1
            try:
                self._next(alone, known)
            finally:
                self._together = together
        missing = [
            (context, token)
            for context, tokens in wanted.items()
            for token in tokens
            if token not in known[context]
        ]
        for (context, token), value in self._rest(missing).items():
            known[context][token] = value
        return known

    def _requests(self, wanted: Wanted) -> Iterator[Asked]:
        """Yield what is asked for: contexts with the same next tokens together."""
        groups: dict[tuple[int, ...], list[Tokens]] = {}
        for context in sorted(wanted):
            tokens = sorted(wanted[context])
            for start in range(0, len(tokens), _ASKED_FOR):
                groups.setdefault(tuple(tokens[start : start + _ASKED_FOR]), []).append(context)
        for some, contexts in groups.items():
            for start in range(0, len(contexts), self._together):
                yield some, tuple(contexts[start : start + self._together])

    def _rest(self, missing: Sequence[tuple[Tokens, int]]) -> dict[tuple[Tokens, int], float]:
        """Return the log-probabilities of tokens that were not listed."""
        if not missing:
            return {}
        if self._server.echoes:
            whole = self._whole([(context, (token,)) for context, token in missing])
            return {(context, tokens[0]): value for (context, tokens), value in whole.items()}
        asked: list[Asked] = [((token,), (context,)) for context, token in missing]
        rest = {}
        for (context, token), answer in zip(missing, self._server.among_all(asked), strict=True):
            if isinstance(answer, Unscored):
                values = self._refused(context, (token,), answer)
            else:
                values = answer[context]
            if token not in values:
                raise BackendError(
                    f"{self._server.name}: the server gave no log-probability for token {token}"
                )
            rest[context, token] = values[token]
        return rest

    def _whole(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Return log P(continuation | context), as parts of prompts."""
        if not self._server.echoes:
            encoded = [Encoded(context, (continuation,)) for context, continuation in pairs]
            scores = chain(encoded, lambda wanted: self._next(wanted, {}))
            return {pair: score for pair, (score,) in zip(pairs, scores, strict=True)}
        whole = {}
        for (context, tokens), value in zip(pairs, self._server.echoed(pairs), strict=True):
            if isinstance(value, Unscored):
                whole[context, tokens] = math.fsum(self._refused(context, tokens, value).values())
            else:
                whole[context, tokens] = value
        return whole

    def _refused(
        self, context: Tokens, tokens: Sequence[int], reason: Unscored
    ) -> dict[int, float]:
        """Return what stands for log-probabilities that a server refuses to give."""
        self._refusals[context] = reason
        return dict.fromkeys(tokens, math.nan)

    def _or_refused(
        self, request: Encoded, scores: tuple[float, ...]
    ) -> tuple[float, ...] | Unscored:
        """Return the scores of a request, or why there are none."""
        if not any(map(math.isnan, scores)):
            return scores
        length = len(request.prompt)
        for context, reason in self._refusals.items():
            if context[:length] == request.prompt:
                return reason
        return Unscored("filtered")


def _merge(known: LogProbs, given: LogProbs) -> None:
    for context, values in given.items():
        known.setdefault(context, {}).update(values)


def _complete(encoded: Sequence[Encoded], known: LogProbs) -> dict[int, tuple[float, ...]]:
    """Return the scores of those requests of which everything is known, by position."""
    complete = {}
    for i, request in enumerate(encoded):
        try:
            scores = chained(request, known)
        except KeyError:
            continue
        complete[i] = ended(request, scores)
    return complete
