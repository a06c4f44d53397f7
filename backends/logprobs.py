"""From log-probabilities to the log-likelihoods of requests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tokenization import Encoded, Tokens

Wanted = dict["Tokens", set[int]]
"""Contexts, and the next tokens whose log-probabilities are wanted after each."""
LIKELIEST = -1
"""Wanted of a context: its most likely next token, which stands where a log-probability would."""
LogProbs = dict["Tokens", dict[int, float]]
Pair = tuple["Tokens", "Tokens"]
"""A context, and what may follow it."""
_CHAINED = 8
"""Tokens up to which a continuation is read one by one off its cached context."""
_LEAST_END = 1e-7
"""The least probability that an answer ends: float32 cannot tell a smaller one from none."""


def chain(
    requests: Sequence[Encoded], compute: Callable[[Wanted], LogProbs]
) -> list[tuple[float, ...]]:
    """Return log P(continuation | prompt) of each continuation, by the chain rule."""
    wanted: Wanted = {}
    for request in requests:
        for continuation in request.continuations:
            for i, token in enumerate(continuation):
                wanted.setdefault(request.prompt + continuation[:i], set()).add(token)
    logprobs = compute(wanted)
    return [chained(request, logprobs) for request in requests]


def chained(request: Encoded, logprobs: LogProbs) -> tuple[float, ...]:
    """Return the sum over each continuation's tokens of the log-probability of each."""
    sums = []
    for continuation in request.continuations:
        steps = enumerate(continuation)
        sums.append(sum(logprobs[request.prompt + continuation[:i]][token] for i, token in steps))
    return tuple(sums)


def greedy_chain(
    requests: Sequence[Encoded],
    compute: Callable[[Wanted], LogProbs],
    ends: Sequence[Callable[[int], bool]],
) -> list[tuple[tuple[float, ...], int | None]]:
    """Return the same, and which continuation of each request is what would be written greedily.

    Parameters
    ----------
    requests
        What is scored.
    compute
        Returns log-probabilities, and the likeliest tokens.
    ends
        For each request, whether a token ends a reply.
    """
    wanted: Wanted = {}
    for request in requests:
        for continuation in request.continuations:
            for i, token in enumerate(continuation):
                context = request.prompt + continuation[:i]
                wanted.setdefault(context, set()).update((token, LIKELIEST))
            wanted.setdefault(request.prompt + continuation, set()).add(LIKELIEST)
    logprobs = compute(wanted)
    return [
        (chained(request, logprobs), _written(request, logprobs, is_end))
        for request, is_end in zip(requests, ends, strict=True)
    ]


def _written(request: Encoded, logprobs: LogProbs, is_end: Callable[[int], bool]) -> int | None:
    """Return the continuation of which each token is the likeliest, and then an end."""
    for position, continuation in enumerate(request.continuations):
        contexts = [request.prompt + continuation[:i] for i in range(len(continuation) + 1)]
        *written, end = [int(logprobs[context][LIKELIEST]) for context in contexts]
        if tuple(written) == continuation and is_end(end):
            return position
    return None


def chain_or_whole(
    requests: Sequence[Encoded],
    read_next: Callable[[Wanted], LogProbs],
    read_whole: Callable[[Sequence[Pair]], dict[Pair, float]],
) -> list[tuple[float, ...]]:
    """Return the same where contexts cost a request each.

    Long continuations are read at once, as parts of a prompt.
    """
    pairs = {(r.prompt, c) for r in requests for c in r.continuations if len(c) > _CHAINED}
    short = [
        replace(r, continuations=tuple(c for c in r.continuations if len(c) <= _CHAINED))
        for r in requests
    ]
    whole = read_whole(sorted(pairs)) if pairs else {}
    scored = [iter(scores) for scores in chain(short, read_next)]
    return [
        tuple(next(scores) if len(c) <= _CHAINED else whole[r.prompt, c] for c in r.continuations)
        for r, scores in zip(requests, scored, strict=True)
    ]


def ended(request: Encoded, scores: tuple[float, ...]) -> tuple[float, ...]:
    """Return the log-likelihoods of continuations as whole answers, where that is asked for.

    A continuation whose tokens begin another's ("1" and "10") is less likely by what goes on as the
    other. Of others that begin one another the shortest counts: "no opinion" has all of "no opinion
    at all".
    """
    if not request.whole:
        return scores
    known = dict(zip(request.continuations, scores, strict=True))
    return tuple(known[tokens] + _log_end(tokens, known) for tokens in request.continuations)


def _log_end(tokens: Tokens, known: dict[Tokens, float]) -> float:
    """Return log P(an answer ends | its tokens): that it does not go on as a longer one."""
    longer = {
        other for other in known if len(other) > len(tokens) and other[: len(tokens)] == tokens
    }
    shortest = [
        c for c in longer if not any(c[:n] in longer for n in range(len(tokens) + 1, len(c)))
    ]
    if not shortest or math.isinf(known[tokens]):
        return 0.0
    goes_on = math.fsum(math.exp(min(0.0, known[other] - known[tokens])) for other in shortest)
    return math.log1p(-min(goes_on, 1 - _LEAST_END))
