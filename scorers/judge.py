"""A model as judge: which of two answers is better, the reply or the gold answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..search.contracts import LikelihoodRequest, ReplyScorer, Unscored
from ..search.errors import InputError
from ..search.prompts.cjk import has_cjk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Example, Likelihoods, Task

_ENGLISH = "Answer A", "Answer B", "Better answer (A or B):", (" A", " B")
_CHINESE = "回答A", "回答B", "更好的回答(A或B)：", ("A", "B")

_FAR = 700.0
"""Nats beyond which the exponential overflows."""


@dataclass(frozen=True, slots=True)
class Judge(ReplyScorer):
    """How likely a model is to prefer the reply to the gold answer, in [0, 1].

    0.5 where they are as good as each other. Each pair is judged in both orders and the log-odds
    are averaged, which takes away a preference for a place (Zheng et al. 2023, arXiv 2306.05685).
    No verdict is written: the likelihoods of the two letters are read. An empty reply is not
    judged.

    Parameters
    ----------
    rubric
        What makes an answer good.
    likelihoods
        The judging model; a search gives it one (`prepare`).
    """

    rubric: str = "Judge which answer is more correct, more complete and better written."
    likelihoods: Likelihoods | None = None
    asks_model = True

    def prepare(self, task: Task, judge: Likelihoods) -> Judge:  # noqa: ARG002 (of any task)
        """Return this judge with a model to ask."""
        return replace(self, likelihoods=judge)

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the probability that each reply is the better one; None where there is no verdict.

        Raises
        ------
        InputError
            If it has no model to ask.
        """
        if self.likelihoods is None:
            raise InputError("a judge needs a model: give it `likelihoods`")
        judged = [i for i, reply in enumerate(replies) if reply.strip()]
        texts = [(examples[i], replies[i].strip()) for i in judged]
        first = self.likelihoods(
            [self._request(example, reply, example.target) for example, reply in texts]
        )
        second = self.likelihoods(
            [self._request(example, example.target, reply) for example, reply in texts]
        )
        verdicts: list[float | None] = [None] * len(replies)
        for i, one, other in zip(judged, first, second, strict=True):
            verdicts[i] = _verdict(one, other)
        return verdicts

    def _request(self, example: Example, first: str, second: str) -> LikelihoodRequest:
        inputs = "\n".join(text for _, text in example.inputs)
        one, other, verdict, letters = _CHINESE if has_cjk(inputs) else _ENGLISH
        parts = (self.rubric, inputs, f"{one}: {first}", f"{other}: {second}", verdict)
        return LikelihoodRequest("\n\n".join(parts), letters)


def _verdict(
    first: tuple[float, ...] | Unscored, second: tuple[float, ...] | Unscored
) -> float | None:
    """Return the probability of the reply, which stood first and then second."""
    if isinstance(first, Unscored) or isinstance(second, Unscored):
        return None
    (ours, theirs), (theirs_first, ours_second) = first, second
    odds = (theirs - ours + theirs_first - ours_second) / 2
    return None if math.isnan(odds) else 1 / (1 + math.exp(min(odds, _FAR)))
