"""How log-likelihoods are had from an OpenAI-compatible server: the best way that it offers, found out by asking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..search.errors import InterruptedCallError
from .http import UnsupportedError, UnusableAnswerError
from .reading import chain, chain_or_whole, ended
from .tokenization import Encoded

if TYPE_CHECKING:
    from ..search.contracts import Request, Text
    from .http import Client
    from .reading import LogProbs, Pair, Wanted
    from .tokenization import Encoder, Tokens

_TOGETHER = 16
"""Contexts in one request."""
_LISTED = 20
_ASKED_FOR = 128
_MATCHED_TOKENS = 16
_NOT_WRITTEN = -20.0
"""Stands for the log-likelihood of an answer that the server did not write."""
Asked = tuple[tuple[int, ...], tuple["Tokens", ...]]
"""Next tokens, and the contexts after which they are wanted."""


class Path(Protocol):
    """One way to have log-likelihoods."""

    description: str

    def loglikelihoods(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
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
        self._probe()
        self._together = _TOGETHER if self._asks else 1
        others = "an echo" if self._echoes else "all"
        way = "the asked tokens" if self._asks else f"the {_LISTED} likeliest tokens, and {others} for others"
        self.description = f"completions with log-probabilities of {way}"

    def loglikelihoods(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        encoded = self._encoder.encode(requests, self._max_context - 1)
        known: LogProbs = {}
        try:
            found = chain_or_whole(encoded, lambda wanted: self._next(wanted, known), self._whole)
        except InterruptedCallError as error:
            error.answered = _complete(encoded, known)
            raise
        return [ended(request, scores) for request, scores in zip(encoded, found, strict=True)]

    def _probe(self) -> None:
        """Find out which of the ways there are."""
        context, *others = self._encoder.encode_prompts(["The film was a quiet triumph", " good", " bad"])
        tokens = tuple(sorted({other[-1] for other in others}))

        def gives() -> set[int]:
            found = self._client.attempt(self._ask, self._read, (tokens, (context,)))
            return set(found[context]) if found else set()

        self._echoes = self._client.attempt(self._ask_echo, _read_echo, (context[:-1], context[-1:])) is not None
        self._asks = gives() == set(tokens)
        if not self._asks and not self._echoes:
            self._listed = len(self._encoder)
            if gives() != set(tokens):
                raise UnsupportedError(f"{self._client.name}: no completions with log-probabilities of given tokens")
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
                _merge(known, found)
            raise
        for found in answers:
            _merge(known, found)
        missing = [(context, token) for context in wanted for token in wanted[context] if token not in known[context]]
        for (context, token), value in self._rest(missing).items():
            known[context][token] = value
        return known

    def _ask(self, official: Any, asked: Asked) -> Any:  # noqa: ANN401 (one of the official client's types)
        tokens, contexts = asked
        extra = {"logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True} if self._asks else {}
        return official.completions.create(
            model=self._model,
            prompt=[list(context) for context in contexts] if len(contexts) > 1 else list(contexts[0]),
            max_tokens=1,
            temperature=0,
            logprobs=len(tokens) if self._asks else self._listed,
            extra_body=extra,
        )

    def _read(self, asked: Asked, answer: Any) -> LogProbs:  # noqa: ANN401
        tokens, contexts = asked
        choices = _choices(answer, len(contexts))
        return {context: self._values(choice, tokens) for context, choice in zip(contexts, choices, strict=True)}

    def _values(self, choice: Any, tokens: Sequence[int]) -> dict[int, float]:  # noqa: ANN401
        """Return the log-probabilities of those tokens that a choice gives, whichever way the server writes them."""
        logprobs = choice.logprobs
        content = getattr(logprobs, "content", None) or []
        if content:
            first = content[0] if isinstance(content[0], dict) else content[0].model_dump()
            listed: dict[Any, float] = {entry.get("id"): entry["logprob"] for entry in first["top_logprobs"]}
        elif getattr(logprobs, "top_logprobs", None):
            listed = dict(logprobs.top_logprobs[0])
        else:
            raise UnusableAnswerError("a completion without log-probabilities")
        found = {}
        for token in tokens:
            for name in (token, f"token_id:{token}", self._encoder.decode(token)):
                if name in listed:
                    found[token] = _number(listed[name])
                    break
        return found

    def _rest(self, missing: Sequence[tuple[Tokens, int]]) -> dict[tuple[Tokens, int], float]:
        if not missing:
            return {}
        if self._echoes:
            found = self._whole([(context, (token,)) for context, token in missing])
            return {(context, tokens[0]): value for (context, tokens), value in found.items()}
        before, self._listed = self._listed, len(self._encoder)
        try:
            asked: list[Asked] = [((token,), (context,)) for context, token in missing]
            answers = self._client.map(self._ask, self._read, asked)
        finally:
            self._listed = before
        return {
            (context, token): answer[context][token] for (context, token), answer in zip(missing, answers, strict=True)
        }

    def _whole(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Return log P(continuation | context), as parts of prompts."""
        if self._echoes:
            return dict(zip(pairs, self._client.map(self._ask_echo, _read_echo, pairs), strict=True))
        encoded = [Encoded(context, (continuation,)) for context, continuation in pairs]
        scores = chain(encoded, lambda wanted: self._next(wanted, {}))
        return {pair: score for pair, (score,) in zip(pairs, scores, strict=True)}

    def _ask_echo(self, official: Any, pair: Pair) -> Any:  # noqa: ANN401
        return official.completions.create(
            model=self._model, prompt=list(pair[0] + pair[1]), max_tokens=1, temperature=0, logprobs=1, echo=True
        )


class LikelyFirstTokens:
    """Approximate: chat with the likeliest first tokens of the reply, for servers that give no more.

    An answer has the probability of the listed tokens it begins with; one that begins with none has that of the least
    likely token listed, which is an upper bound. Answers that begin with the same token are not told apart.

    Parameters
    ----------
    client, model
        The server and the model's name there.

    Raises
    ------
    UnsupportedError
        If the server lists no tokens.
    """

    description = f"chat with log-probabilities of the {_LISTED} likeliest first tokens: approximate"

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        probe = ("Is water wet? Answer yes or no.", ("yes", "no"))
        if client.attempt(self._ask, self._read, probe) is None:
            raise UnsupportedError(f"{client.name}: no chat with log-probabilities")

    def loglikelihoods(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Return what stands for log P(continuation | prompt) of each continuation of each request."""
        return self._client.map(self._ask, self._read, [(r.prompt, r.continuations) for r in requests])

    def _ask(self, official: Any, asked: tuple[Text, tuple[str, ...]]) -> Any:  # noqa: ANN401
        return official.chat.completions.create(
            model=self._model,
            messages=messages(asked[0]),
            max_tokens=1,
            temperature=0,
            logprobs=True,
            top_logprobs=_LISTED,
        )

    def _read(self, asked: tuple[Text, tuple[str, ...]], answer: Any) -> tuple[float, ...]:  # noqa: ANN401
        content = getattr(_choices(answer, 1)[0].logprobs, "content", None)
        if not content or not content[0].top_logprobs:
            raise UnusableAnswerError("a reply without log-probabilities")
        listed = [(entry.token.strip(), _number(entry.logprob)) for entry in content[0].top_logprobs]
        least = min(value for _, value in listed)
        found = []
        for text in asked[1]:
            begun = [math.exp(value) for token, value in listed if token and text.strip().startswith(token)]
            found.append(math.log(sum(begun)) if begun and sum(begun) > 0 else least)
        return tuple(found)


class WrittenAnswers:
    """All or nothing: the model writes its answer, and the one it wrote is taken.

    An answer that is not written has a log-likelihood of -20; a reply that is none of the answers leaves all alike.
    """

    description = "chat, the written answer is matched: all or nothing"

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model

    def loglikelihoods(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Return 0 for the answer that was written and -20 for the others."""
        return self._client.map(self._ask, self._read, [(r.prompt, r.continuations) for r in requests])

    def _ask(self, official: Any, asked: tuple[Text, tuple[str, ...]]) -> Any:  # noqa: ANN401
        return official.chat.completions.create(
            model=self._model, messages=messages(asked[0]), max_tokens=_MATCHED_TOKENS, temperature=0
        )

    def _read(self, asked: tuple[Text, tuple[str, ...]], answer: Any) -> tuple[float, ...]:  # noqa: ANN401
        reply = _bare(_choices(answer, 1)[0].message.content or "")
        answers = [_bare(text) for text in asked[1]]
        # The longest that fits: one answer may be the beginning of another.
        written = max((text for text in answers if text and reply.startswith(text)), key=len, default=None)
        return tuple(0.0 if text == written else _NOT_WRITTEN for text in answers)


def messages(prompt: Text) -> list[dict[str, str]]:
    """Return a prompt as chat messages; plain text is what the user says."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [turn._asdict() for turn in prompt]


def _read_echo(pair: Pair, answer: Any) -> float:  # noqa: ANN401 (one of the official client's types)
    values = getattr(_choices(answer, 1)[0].logprobs, "token_logprobs", None) or []
    start, stop = len(pair[0]), len(pair[0]) + len(pair[1])
    if len(values) < stop:
        raise UnusableAnswerError("an echo without log-probabilities")
    return sum(_number(value) for value in values[start:stop])


def _choices(answer: Any, count: int) -> list[Any]:  # noqa: ANN401
    """Return an answer's choices in order, if it is one."""
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or len(choices) != count or any(c is None for c in choices):
        raise UnusableAnswerError(f"expected an answer with {count} choices, found {str(answer)[:100]}")
    return sorted(choices, key=lambda choice: choice.index)


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or math.isnan(value):
        raise UnusableAnswerError(f"expected a log-probability, found {value!r}")
    return float(value)


def _bare(text: str) -> str:
    return text.strip().strip("\"'`*.,:!").strip().casefold()


def _merge(known: LogProbs, found: LogProbs) -> None:
    for context, values in found.items():
        known.setdefault(context, {}).update(values)


def _complete(encoded: Sequence[Encoded], known: LogProbs) -> dict[int, tuple[float, ...]]:
    """Return the scores of those requests of which everything is known, by position."""
    found = {}
    for i, r in enumerate(encoded):
        steps = [[(r.prompt + c[:n], token) for n, token in enumerate(c)] for c in r.continuations]
        if all(token in known.get(context, {}) for continuation in steps for context, token in continuation):
            found[i] = ended(r, tuple(sum(known[context][token] for context, token in c) for c in steps))
    return found
