"""What parts of a prompt are worth: each left out alone, and Shapley values over subsets.

Both are effects of removal on the same rows: what the score loses when a part is not there. A part
that another one repeats loses nothing alone; its Shapley value (Shapley 1953; for models Lundberg &
Lee 2017, arXiv 1705.07874) is its mean loss over which others are there, and all of them add up to
what the prompt is worth against one without any of its parts.
"""

from __future__ import annotations

import math
import random
from functools import partial
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import InputError, flaw
from ..records.explanation import Effect
from ..records.unscored import count, nothing_scored
from .statistics import difference_interval, paired, scored, scored_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Example, Prompt
    from ..prompts.parts import Part, PromptParts
    from .evaluator import Evaluator

_ROWS = 100
"""Rows on which all prompts are scored in one call: what is interrupted has the others."""


class ShapleyValues(NamedTuple):
    """Of each part its Shapley value, and the score of what is left without all of them."""

    effects: tuple[Effect, ...]
    bare: float


class Effects:
    """Scores a prompt and what is left of it on the same rows.

    Parameters
    ----------
    evaluator
        Scores prompts.
    parts
        The prompt, and what can be left out.
    rows
        The rows.
    """

    def __init__(self, evaluator: Evaluator, parts: PromptParts, rows: Sequence[Example]) -> None:
        self._evaluator = evaluator
        self._parts = parts
        self._rows = rows
        self.values = self._scored([parts.prompt])[0] or ()
        if not scored(self.values):
            reasons = count(evaluator.evaluate(parts.prompt, rows).reasons)
            raise InputError(nothing_scored("the prompt", len(rows), "explained", reasons))

    @property
    def score(self) -> float:
        """The mean score of the prompt itself."""
        return scored_mean(self.values)

    def of_each(self, parts: Sequence[Part]) -> list[Effect | None]:
        """Return what the score loses without each part; None where it cannot be scored."""
        return self.of([[part] for part in parts])

    def of(self, left_out: Sequence[Sequence[Part]]) -> list[Effect | None]:
        """Return what the score loses without each of several sets of parts."""
        others = self._without(left_out)
        return [effect(self.values, values) if values else None for values in others]

    def shapley(self, parts: Sequence[Part], samples: int, rng: random.Random) -> ShapleyValues:
        """Return Shapley values of two or more parts, estimated from ``samples`` subsets.

        All subsets are scored where they are no more; else they are drawn, each with its
        complement, and the values are those of a regression on them (KernelSHAP; Covert & Lee 2021,
        arXiv 2012.01536). The intervals are of the rows, not of the subsets drawn.

        Raises
        ------
        InputError
            If the prompt cannot be scored without all its parts.
        """
        subsets, weights = _subsets(len(parts), samples, rng)
        everything = [(), *subsets]
        table = [*self._without([_but(parts, subset) for subset in everything]), self.values]
        known = [i for i, values in enumerate(table) if values is not None]
        scores = np.array([table[i] for i in known])
        whole = scores[:, ~np.isnan(scores).any(axis=0)]
        if table[0] is None or not whole.size:
            raise InputError(
                "`shapley`: expected rows that have a score with all parts and with none, found "
                "none; leave `shapley` out"
            )
        shown = [i - 1 for i in known[1:-1]]
        member = np.array([[i in subsets[s] for i in range(len(parts))] for s in shown], float)
        values = _regression(member, weights[shown], whole)
        effects = (Effect(fmean(one), *difference_interval(list(one))) for one in values)
        return ShapleyValues(tuple(effects), fmean(whole[0]))

    def _without(self, left_out: Sequence[Sequence[Part]]) -> list[tuple[float, ...] | None]:
        """Return the scores of what is left without each; None where that cannot be scored."""
        may_go = [gone for gone in left_out if self._parts.may_go(gone)]
        scored = self._scored([self._parts.without(gone) for gone in may_go])
        known = dict(zip(map(tuple, may_go), scored, strict=True))
        return [known.get(tuple(gone)) for gone in left_out]

    def _scored(self, prompts: Sequence[Prompt]) -> list[tuple[float, ...] | None]:
        """Return each prompt's scores of the rows; None of one that cannot be scored."""
        check = self._evaluator.check
        sound = [one for one in dict.fromkeys(prompts) if not flaw(partial(check, one))]
        for start in range(0, len(self._rows), _ROWS):
            self._evaluator.measure(sound, self._rows[start : start + _ROWS])
        values = {one: self._evaluator.evaluate(one, self._rows).values for one in sound}
        return [values.get(prompt) for prompt in prompts]


def effect(ours: Sequence[float], theirs: Sequence[float]) -> Effect | None:
    """Return by how much the first scores are higher on rows that have both; None without any."""
    differences = [a - b for a, b in paired(ours, theirs)]
    return Effect(fmean(differences), *difference_interval(differences)) if differences else None


def _but(parts: Sequence[Part], kept: Sequence[int]) -> list[Part]:
    return [part for i, part in enumerate(parts) if i not in kept]


def _subsets(
    parts: int, samples: int, rng: random.Random
) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Return subsets of the parts, neither none nor all, and how much each counts."""
    sizes = range(1, parts)
    kernel = [(parts - 1) / (size * (parts - size)) for size in sizes]
    if 2**parts - 2 <= samples:
        every = [subset for size in sizes for subset in combinations(range(parts), size)]
        each = [kernel[len(subset) - 1] / math.comb(parts, len(subset)) for subset in every]
        return every, np.array(each)
    drawn: list[tuple[int, ...]] = []
    while len(drawn) < samples:
        subset = tuple(sorted(rng.sample(range(parts), rng.choices(sizes, kernel)[0])))
        drawn += [subset, tuple(i for i in range(parts) if i not in subset)]
    return drawn, np.ones(len(drawn))


def _regression(member: np.ndarray, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the Shapley values of each row, (parts, rows), by weighted least squares.

    Parameters
    ----------
    member
        Which parts are in which subset, (subsets, parts).
    weights
        How much each subset counts.
    values
        The scores, (subsets + 2, rows): of no part, of each subset, of all.
    """
    bare, whole = values[0], values[-1]
    weighted = member * weights[:, None]
    inverse = np.linalg.pinv(weighted.T @ member)
    free = inverse @ (weighted.T @ (values[1:-1] - bare))
    ones = inverse.sum(axis=1)
    # They add up to what all parts are worth together.
    missing = (whole - bare - free.sum(axis=0)) / ones.sum()
    return np.asarray(free + ones[:, None] * missing)
