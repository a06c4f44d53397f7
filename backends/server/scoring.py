"""How log-likelihoods are had from an OpenAI-compatible server: the best way that it offers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...search.contracts import Text, Unscored
from ...search.errors import InterruptedCallError
from ...search.prompts.written_answers import alike_at_the_start, folded, read_label
from . import answers as server_answers
from .answers import NotGivenError, Reply
from .calls import Call, UnsupportedError
from .replies import messages
from .token_server import LISTED

if TYPE_CHECKING:
    from ...search.contracts import LikelihoodRequest
    from .replies import Writer

_WRITTEN_TOKENS = 16
"""Tokens of a written answer, at most."""
_NOT_WRITTEN = -20.0
"""Stands for the log-likelihood of an answer that the server did not write."""
_LESS = 1e-6
"""By how much what is not listed is less likely than the least that is."""
_EQUAL = 1e-9
"""Difference up to which two answers are equally likely."""
_TINY = 1e-300
"""Stands for no probability, whose logarithm there is not."""
_Question = tuple[Text, tuple[str, ...]]
"""A prompt, and its possible answers."""
Scores = tuple[float, ...] | Unscored


class Path(Protocol):
    """One way to have log-likelihoods."""

    description: str

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return log P(continuation | prompt) of each continuation, or what stands for it."""
        ...


class LikelyFirstTokens:
    """Approximate: chat with the likeliest first tokens of a reply, where there is no more.

    An answer has the probability of the listed tokens it begins with, without regard to case and
    space. One that begins with none is less likely than the least likely token listed. Where none
    is listed, or two are the most likely, the row is `Unscored`. Answers that begin alike ("very
    good", "very bad") cannot be told apart by their first tokens: they are written.

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
        f"chat with log-probabilities of the {LISTED} likeliest first tokens: approximate; "
        "answers that begin alike are written, and matched by whole words"
    )

    def __init__(self, writer: Writer) -> None:
        self._writer, self._written = writer, WrittenAnswers(writer)
        probe: _Question = ("Is water wet? Answer yes or no.", ("yes", "no"))
        if writer.client.attempt(self._ask, _listed_tokens, probe) is None:
            raise UnsupportedError(f"{writer.client.name}: no chat with log-probabilities")

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return what stands for log P(continuation | prompt) of each continuation."""
        written = {i: r for i, r in enumerate(requests) if alike_at_the_start(r.continuations)}
        listed = {i: r for i, r in enumerate(requests) if i not in written}
        scored: dict[int, Scores] = {}
        for some, path in ((listed, self._by_tokens), (written, self._written.loglikelihoods)):
            if not some:
                continue
            numbers = list(some)
            try:
                scored |= zip(numbers, path(list(some.values())), strict=True)
            except InterruptedCallError as error:
                answered = {numbers[i]: scores for i, scores in error.answered.items()}
                error.answered = scored | answered
                raise
        return [scored[i] for i in range(len(requests))]

    def _by_tokens(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        return self._writer.client.map(
            self._ask, _read_first, [(r.prompt, r.continuations) for r in requests]
        )

    def _ask(self, asked: _Question) -> Call:
        body = {
            "model": self._writer.model,
            "messages": messages(asked[0]),
            "max_tokens": 1,
            "temperature": 0,
        }
        return Call("chat", body | {"logprobs": True, "top_logprobs": LISTED})


class WrittenAnswers:
    """All or nothing: the model writes its answer, and what label it says is taken (`read_label`).

    An answer that is not written has a log-likelihood of -20; a reply that says no label, or
    several, is `Unscored`. Of a single answer that is asked for it is known that it is not written.
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


def _read_first(asked: _Question, answer: Any) -> Scores:  # noqa: ANN401
    (choice,) = server_answers.choices(answer, 1)
    reply = server_answers.reply(choice)
    if isinstance(reply, Unscored):
        return reply
    listed = [(token, value) for token, value in _listed_tokens(asked, answer) if token]
    begun = [
        [value for token, value in listed if folded(text).startswith(token)] for text in asked[1]
    ]
    least = min((value for _, value in listed), default=_NOT_WRITTEN)
    if not any(begun):
        return Unscored("no label") if len(begun) > 1 else (least,)
    scores = tuple(
        math.log(math.fsum(map(math.exp, values)) or _TINY) if values else least - _LESS
        for values in begun
    )
    first, *others = sorted(scores, reverse=True)
    return Unscored("tie") if others and first - others[0] <= _EQUAL else scores
