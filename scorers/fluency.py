"""Fluency: how likely a reference model finds the reply as a text of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..search.contracts import Request
from ..search.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..search.contracts import Example

_BEFORE = "\n"
"""What a text begins after."""


@dataclass(frozen=True, slots=True)
class Fluency:
    """The inverse of the reply's perplexity per byte, in (0, 1]; an empty reply has 0.

    What repeats itself is likely too, so this is a part of a score and not one to search by alone: ``0.8*rouge-l+0.2*fluency``.

    Parameters
    ----------
    likelihoods
        The reference model; a search binds it.
    """

    likelihoods: Callable[[Sequence[Request]], list[tuple[float, ...]]] | None = None

    def bind(self, likelihoods: Callable[[Sequence[Request]], list[tuple[float, ...]]]) -> Fluency:
        """Return this scorer with a model to ask."""
        return replace(self, likelihoods=likelihoods)

    def score_replies(self, examples: Sequence[Example], replies: Sequence[str]) -> list[float | None]:  # noqa: ARG002
        """Return the likelihood of each reply, as a geometric mean over its bytes.

        Raises
        ------
        InputError
            If it is bound to no model.
        """
        if self.likelihoods is None:
            raise InputError("fluency needs a model: give it one with bind(likelihoods)")
        texts = [reply.strip() for reply in replies]
        read = iter(self.likelihoods([Request(_BEFORE, (text,)) for text in texts if text]))
        return [math.exp(next(read)[0] / len(text.encode("utf-8", "surrogatepass"))) if text else 0.0 for text in texts]
