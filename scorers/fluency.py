"""Fluency: how likely a reference model finds the reply as a text of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..search.contracts import LikelihoodRequest, ReplyScorer, Unscored
from ..search.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Example, Likelihoods, Task

_BEFORE = "\n"
"""What a text begins after."""


@dataclass(frozen=True, slots=True)
class Fluency(ReplyScorer):
    """The inverse of the reply's perplexity per byte, in (0, 1]; an empty reply has none.

    What repeats itself is likely too, so this is a part of a score and not one to search by
    alone: ``0.8*rouge-l+0.2*fluency``.

    Parameters
    ----------
    likelihoods
        The reference model; a search gives it one (`prepare`).
    """

    likelihoods: Likelihoods | None = None
    asks_model = True

    def prepare(self, task: Task, judge: Likelihoods) -> Fluency:  # noqa: ARG002 (of any task)
        """Return this scorer with a model to ask."""
        return replace(self, likelihoods=judge)

    def score_replies(
        self,
        examples: Sequence[Example],  # noqa: ARG002 (the reply alone is judged)
        replies: Sequence[str],
    ) -> list[float | None]:
        """Return the likelihood of each reply, as a geometric mean over bytes; None without any.

        Raises
        ------
        InputError
            If it has no model to ask.
        """
        if self.likelihoods is None:
            raise InputError("fluency needs a model: give it `likelihoods`")
        texts = [reply.strip() for reply in replies]
        read = iter(
            self.likelihoods([LikelihoodRequest(_BEFORE, (text,)) for text in texts if text])
        )
        return [_per_byte(text, next(read)) if text else None for text in texts]


def _per_byte(text: str, output: tuple[float, ...] | Unscored) -> float | None:
    if isinstance(output, Unscored):
        return None
    return math.exp(output[0] / len(text.encode("utf-8", "surrogatepass")))
