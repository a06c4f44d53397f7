"""How log-likelihoods are had from an OpenAI-compatible server: the best way that it offers, found out by asking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...search.contracts import Text, Unscored
from ...search.errors import BackendError, InterruptedCallError
from ...search.prompts.written_answers import alike_at_the_start, folded, read_label
from ..logprobs import chain, chain_or_whole, ended
from ..tokenization import Encoded
from . import answers as server_answers
from .answers import NotGivenError, Reply, number
from .client import Call, UnsupportedError
from .replies import messages

if TYPE_CHECKING:
    from ...search.contracts import LikelihoodRequest
    from ..logprobs import LogProbs, Pair, Wanted
    from ..tokenization import Encoder, Tokens
    from .client import Client
    from .replies import Writer

_TOGETHER = 16
"""Contexts in one request."""
_LISTED = 20
_ASKED_FOR = 128
_WRITTEN_TOKENS = 16
_NOT_WRITTEN = -20.0
"""Stands for the log-likelihood of an answer that the server did not write."""
_LESS, _EQUAL, _TINY = 1e-6, 1e-9, 1e-300
"""By how much what is not listed is less likely than the least that is; what counts as equal; as no probability."""
Asked = tuple[tuple[int, ...], tuple["Tokens", ...]]
"""Next tokens, and the contexts after which they are wanted."""
CachedModel = tuple[Text, tuple[str, ...]]
Scores = tuple[float, ...] | Unscored


class Path(Protocol):
    """One way to have log-likelihoods."""

    description: str

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return log P(continuation | prompt) of each continuation of each request, or what stands for it."""
        ...


class NextTokens:
    """Exact: completions of token ids, with the log-probabilities of the next tokens.

    Servers that know ``logprob_token_ids`` (vLLM) give those that are asked for. Others list their likeliest tokens; what
    is not among them is read off an echoed prompt, or where there is no echo (llama.cpp) off a list of all tokens.

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
        self._client = client
        self._model = model
        self._encoder = encoder
        self._max_context = max_context
        self._asks, self._listed = True, _LISTED
        self._refusals: dict[Tokens, Unscored] = {}
        self._probe()
        self._together = _TOGETHER if self._asks else 1
        others = "an echo" if self._echoes else "all"
        way = (
            "the asked tokens"
            if self._asks
            else f"the {_LISTED} likeliest tokens, and {others} for others"
        )
        self.description = f"completions with log-probabilities of {way}"

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        encoded = self._encoder.encode(requests, self._max_context - 1)
        known: LogProbs = {}
        try:
            found = chain_or_whole(encoded, lambda wanted: self._next(wanted, known), self._whole)
        except InterruptedCallError as error:
            complete = _complete(encoded, known)
            error.answered = {
                i: self._or_refused(encoded[i], scores) for i, scores in complete.items()
            }
            raise
        return [
            self._or_refused(r, ended(r, scores)) for r, scores in zip(encoded, found, strict=True)
        ]

    def _probe(self) -> None:
        """Find out which of the ways there are."""
        context, *others = self._encoder.encode_prompts(
            ["The film was a quiet triumph", " good", " bad"]
        )
        tokens = tuple(sorted({other[-1] for other in others}))

        def gives() -> set[int]:
            found = self._client.attempt(self._ask, self._read, (tokens, (context,)))
            return set(found[context]) if found else set()

        self._echoes = (
            self._client.attempt(self._ask_echo, _read_echo, (context[:-1], context[-1:]))
            is not None
        )
        self._asks = gives() == set(tokens)
        if not self._asks and not self._echoes:
            self._listed = len(self._encoder)
            if gives() != set(tokens):
                raise UnsupportedError(
                    f"{self._client.name}: no completions with log-probabilities of given tokens"
                )
            self._listed = _LISTED

    def _next(self, wanted: Wanted, known: LogProbs) -> LogProbs:
        groups: dict[tuple[int, ...], list[Tokens]] = {}
        for context in sorted(wanted):
            tokens = sorted(wanted[context])
            for start in range(0, len(tokens), _ASKED_FOR):
                groups.setdefault(tuple(tokens[start : start + _ASKED_FOR]), []).append(context)
        asked: list[Asked] = [
            (tokens, tuple(contexts[start : start + self._together]))
            for tokens, contexts in groups.items()
            for start in range(0, len(contexts), self._together)
        ]
        try:
            answers = self._client.map(self._ask, self._read, asked)
        except InterruptedCallError as error:
            for found in error.answered.values():
                if not isinstance(found, Unscored):
                    _merge(known, found)
            raise
        alone: Wanted = {}
        for (tokens_asked, contexts), answer in zip(asked, answers, strict=True):
            if not isinstance(answer, Unscored):
                _merge(known, answer)
            elif len(contexts) > 1:  # one of them is refused: which is found out by asking for each
                alone |= {
                    context: alone.get(context, set()) | set(tokens_asked) for context in contexts
                }
            else:
                _merge(known, {contexts[0]: self._refused(contexts[0], tokens_asked, answer)})
        if alone:
            together, self._together = self._together, 1
            try:
                self._next(alone, known)
            finally:
                self._together = together
        missing = [
            (context, token)
            for context in wanted
            for token in wanted[context]
            if token not in known[context]
        ]
        for (context, token), value in self._rest(missing).items():
            known[context][token] = value
        return known

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
        reasons = (
            reason
            for context, reason in self._refusals.items()
            if context[:length] == request.prompt
        )
        return next(reasons, Unscored("filtered"))

    def _ask(self, asked: Asked) -> Call:
        tokens, contexts = asked
        extra = (
            {"logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True}
            if self._asks
            else {}
        )
        body = {
            "model": self._model,
            "prompt": [list(context) for context in contexts]
            if len(contexts) > 1
            else list(contexts[0]),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": len(tokens) if self._asks else self._listed,
        }
        return Call("completions", body | extra)

    def _read(self, asked: Asked, answer: Any) -> LogProbs:  # noqa: ANN401
        tokens, contexts = asked
        choices = server_answers.choices(answer, len(contexts))
        return {
            context: self._values(choice, tokens)
            for context, choice in zip(contexts, choices, strict=True)
        }

    def _values(self, choice: dict[str, Any], tokens: Sequence[int]) -> dict[int, float]:
        """Return the log-probabilities of those tokens that a choice gives, whichever way the server writes them."""
        if choice.get("finish_reason") == "content_filter":
            return dict.fromkeys(tokens, math.nan)
        listed: dict[Any, float] = {}
        for name, text, value in server_answers.first_tokens(choice):
            listed.setdefault(text if name is None else name, value)
        found = {}
        for token in tokens:
            names = (token, f"token_id:{token}", self._encoder.decode(token))
            name = next((name for name in names if name in listed), None)
            if name is not None:
                found[token] = listed[name]
        return found

    def _rest(self, missing: Sequence[tuple[Tokens, int]]) -> dict[tuple[Tokens, int], float]:
        if not missing:
            return {}
        if self._echoes:
            whole = self._whole([(context, (token,)) for context, token in missing])
            return {(context, tokens[0]): value for (context, tokens), value in whole.items()}
        before, self._listed = self._listed, len(self._encoder)
        try:
            asked: list[Asked] = [((token,), (context,)) for context, token in missing]
            answers = self._client.map(self._ask, self._read, asked)
        finally:
            self._listed = before
        found = {}
        for (context, token), answer in zip(missing, answers, strict=True):
            values = (
                self._refused(context, (token,), answer)
                if isinstance(answer, Unscored)
                else answer[context]
            )
            if token not in values:
                raise BackendError(
                    f"{self._client.name}: lists no log-probability of token {token}"
                )
            found[context, token] = values[token]
        return found

    def _whole(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Return log P(continuation | context), as parts of prompts."""
        if self._echoes:
            values = self._client.map(self._ask_echo, _read_echo, pairs)
            return {
                (context, tokens): math.fsum(self._refused(context, tokens, value).values())
                if isinstance(value, Unscored)
                else value
                for (context, tokens), value in zip(pairs, values, strict=True)
            }
        encoded = [Encoded(context, (continuation,)) for context, continuation in pairs]
        scores = chain(encoded, lambda wanted: self._next(wanted, {}))
        return {pair: score for pair, (score,) in zip(pairs, scores, strict=True)}

    def _ask_echo(self, pair: Pair) -> Call:
        body = {
            "model": self._model,
            "prompt": list(pair[0] + pair[1]),
            "max_tokens": 1,
            "temperature": 0,
        }
        return Call("completions", body | {"logprobs": 1, "echo": True})


class LikelyFirstTokens:
    """Approximate: chat with the likeliest first tokens of the reply, for servers that give no more.

    An answer has the probability of the listed tokens it begins with, without regard to case and space. One that begins
    with none is less likely than the least likely token listed. Where none is listed, or two are the most likely, the row
    is `Unscored`. Answers that begin alike ("very good", "very bad") cannot be told apart by their first tokens: they are
    written.

    Parameters
    ----------
    writer
        The server and the model there.

    Raises
    ------
    UnsupportedError
        If the server lists no tokens, or those of the model's thinking.
    """

    description = (
        f"chat with log-probabilities of the {_LISTED} likeliest first tokens: approximate; answers that begin alike are"
        " written, and matched by whole words"
    )

    def __init__(self, writer: Writer) -> None:
        self._writer, self._written = writer, WrittenAnswers(writer)
        probe: CachedModel = ("Is water wet? Answer yes or no.", ("yes", "no"))
        if writer.client.attempt(self._ask, _listed_tokens, probe) is None:
            raise UnsupportedError(f"{writer.client.name}: no chat with log-probabilities")

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return what stands for log P(continuation | prompt) of each continuation of each request."""
        written = {i: r for i, r in enumerate(requests) if alike_at_the_start(r.continuations)}
        listed = {i: r for i, r in enumerate(requests) if i not in written}
        found: dict[int, Scores] = {}
        for part, path in ((listed, self._by_tokens), (written, self._written.loglikelihoods)):
            places = list(part)
            try:
                found |= dict(zip(places, path(list(part.values())) if part else [], strict=True))
            except InterruptedCallError as error:
                error.answered = found | {places[i]: scores for i, scores in error.answered.items()}
                raise
        return [found[i] for i in range(len(requests))]

    def _by_tokens(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        return self._writer.client.map(
            self._ask, _read_first, [(r.prompt, r.continuations) for r in requests]
        )

    def _ask(self, asked: CachedModel) -> Call:
        body = {
            "model": self._writer.model,
            "messages": messages(asked[0]),
            "max_tokens": 1,
            "temperature": 0,
        }
        return Call("chat", body | {"logprobs": True, "top_logprobs": _LISTED})


class WrittenAnswers:
    """All or nothing: the model writes its answer, and the label that it says is taken (`read_label`).

    An answer that is not written has a log-likelihood of -20; a reply that says no label, or several, is `Unscored`. Of a
    single answer that is asked for it is known that it is not written.
    """

    description = "chat, the written answer is matched by whole words: all or nothing"

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return 0 for the answer that was written and -20 for the others."""
        prompts = [request.prompt for request in requests]
        return self._writer.write(
            prompts,
            lambda i, reply: _written(reply, requests[i].continuations),
            {"temperature": 0},
            _WRITTEN_TOKENS,
        )


def _written(reply: Reply, answers: tuple[str, ...]) -> Scores:
    """Return which answer a reply says."""
    said = read_label(reply.text, answers)
    if said == Unscored("no label") and len(answers) == 1:
        return (_NOT_WRITTEN,)
    if isinstance(said, Unscored):
        return Unscored("cut") if reply.cut else said
    return tuple(0.0 if i == said else _NOT_WRITTEN for i in range(len(answers)))


def _listed_tokens(_: object, answer: Any) -> list[tuple[str, float]]:  # noqa: ANN401 (any JSON)
    """Return the listed tokens, folded, and their log-probabilities."""
    (choice,) = server_answers.choices(answer, 1)
    if server_answers.thinks_first(choice):
        raise NotGivenError("log-probabilities of the model's thinking")
    return [(folded(token), value) for _, token, value in server_answers.first_tokens(choice)]


def _read_first(asked: CachedModel, answer: Any) -> Scores:  # noqa: ANN401
    (choice,) = server_answers.choices(answer, 1)
    reply = server_answers.reply(choice)
    if isinstance(reply, Unscored):
        return reply
    listed = [(token, value) for token, value in _listed_tokens(asked, answer) if token]
    found = [
        [value for token, value in listed if folded(text).startswith(token)] for text in asked[1]
    ]
    if not any(found):
        return (
            Unscored("no label")
            if len(found) > 1
            else (min((v for _, v in listed), default=_NOT_WRITTEN),)
        )
    outside = min(value for _, value in listed) - _LESS
    scores = tuple(
        math.log(math.fsum(map(math.exp, values)) or _TINY) if values else outside
        for values in found
    )
    first, *others = sorted(scores, reverse=True)
    return Unscored("tie") if others and first - others[0] <= _EQUAL else scores


def _read_echo(pair: Pair, answer: Any) -> float:  # noqa: ANN401 (any JSON)
    (choice,) = server_answers.choices(answer, 1)
    values = server_answers.field(choice.get("logprobs"), "token_logprobs")
    start, stop = len(pair[0]), len(pair[0]) + len(pair[1])
    if not isinstance(values, list) or len(values) < stop:
        raise NotGivenError("an echo without log-probabilities")
    return sum(number(value) for value in values[start:stop])


def _merge(known: LogProbs, found: LogProbs) -> None:
    for context, values in found.items():
        known.setdefault(context, {}).update(values)


def _complete(encoded: Sequence[Encoded], known: LogProbs) -> dict[int, tuple[float, ...]]:
    """Return the scores of those requests of which everything is known, by position."""
    found = {}
    for i, r in enumerate(encoded):
        steps = [[(r.prompt + c[:n], token) for n, token in enumerate(c)] for c in r.continuations]
        if all(
            token in known.get(context, {})
            for continuation in steps
            for context, token in continuation
        ):
            found[i] = ended(
                r, tuple(sum(known[context][token] for context, token in c) for c in steps)
            )
    return found
