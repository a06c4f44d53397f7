"""What there is to gain: whether prompts differ by more than the noise of the rows.

Many tasks have nothing to find: prompts differ by less than their scores' noise, and the best of
many is the luckiest ("coin flip", arXiv 2604.14585; p1, arXiv 2604.08801). So after the first
candidates a search says whether it saw anything to gain over the starting prompt.

The candidate that leads is compared with the start on the dev rows it was raced on, which chose
it, and on confirmation rows, which did not. Few rows of right and wrong say little: 10 points on 80
rows are less than two standard errors. Where the model gives log-likelihoods, each row also has the
right label's share, at a sharpness that is the same for every prompt: it says about as much as
twice the rows. The larger of both standardized gains decides. Where labels are shuffled, both are
zero on average.

How far prompts truly differ is a variance component: what their gains over the start, on the rows
that each has seen, vary beyond the noise of the rows (the moment estimator of random effects;
DerSimonian & Laird 1986).
"""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..records.results import Headroom
from .statistics import paired

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Example, Prompt
    from .evaluator import Evaluator

_SEEN = 1.8
"""Standard errors of gain that count as something to gain.

Chosen by benchmarks/headroom.py: "nothing to gain" is said of at least 80 of 100 tasks where that
is true.
"""


class Ahead(NamedTuple):
    """What there is to gain, the prompt that leads, and its gain in standard errors."""

    headroom: Headroom
    leader: Prompt
    evidence: float


class _Gains(NamedTuple):
    """A prompt's gains over the start on rows that are scored for both: the task's, and shares."""

    scores: list[float]
    shares: list[float]


def headroom(
    evaluator: Evaluator, seen: Mapping[Prompt, int], confirming: Sequence[Example]
) -> Ahead | None:
    """Return what there is to gain over the starting prompt; None where nothing was compared.

    Parameters
    ----------
    evaluator
        Scores prompts.
    seen
        The candidates, and how many dev rows each was scored on.
    confirming
        Confirmation rows, on which the start and the leading candidate are scored.
    """
    dev = evaluator.task.dev
    gains = {prompt: _gains(evaluator, prompt, dev[:rows]) for prompt, rows in seen.items()}
    gains = {prompt: gain for prompt, gain in gains.items() if gain.scores}
    full = {prompt: gain for prompt, gain in gains.items() if seen[prompt] == len(dev)} or gains
    if not full:
        return None
    noise = _Noise(list(gains.values()))
    leader = max(full, key=lambda prompt: noise.standardized(full[prompt]))
    more = _gains(evaluator, leader, confirming)
    both = _Gains([*full[leader].scores, *more.scores], [*full[leader].shares, *more.shares])
    evidence = noise.standardized(both)
    found = Headroom(
        prompts=len(seen) + 1,
        rows=len(both.scores),
        gain=fmean(both.scores),
        noise=noise.of_scores / math.sqrt(len(both.scores)),
        spread=_spread([gain.scores for gain in gains.values()], noise.of_scores),
        seen=evidence >= _SEEN,
    )
    return Ahead(found, leader, evidence)


class _Noise:
    """The standard deviation of a row's gain, pooled over prompts."""

    def __init__(self, gains: Sequence[_Gains]) -> None:
        self.of_scores = _pooled([gain.scores for gain in gains])
        self.of_shares = _pooled([gain.shares for gain in gains])

    def standardized(self, gains: _Gains) -> float:
        """Return the larger of both mean gains, in their standard errors."""
        return max(
            _standardized(gains.scores, self.of_scores), _standardized(gains.shares, self.of_shares)
        )


def _standardized(gains: Sequence[float], noise: float) -> float:
    if not gains or not sum(gains):
        return 0.0
    return sum(gains) / (noise * math.sqrt(len(gains))) if noise else math.inf * sum(gains)


def _pooled(gains: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation within groups."""
    squares = sum(len(group) * float(np.var(group)) for group in gains if group)
    free = sum(len(group) - 1 for group in gains if group)
    return math.sqrt(squares / free) if free else 0.0


def _spread(gains: Sequence[Sequence[float]], noise: float) -> float:
    """Return the standard deviation of prompts' true mean scores.

    Half of a difference's variance is the start's, whose rows all prompts share.
    """
    if noise == 0 or len(gains) < 2:
        return float(np.std([fmean(group) for group in gains]))
    means = np.array([fmean(group) for group in gains])
    weights = np.array([len(group) for group in gains]) / (noise**2 / 2)
    squares = float(weights @ (means - np.average(means, weights=weights)) ** 2)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    return math.sqrt(max(0.0, (squares - (len(gains) - 1)) / scale))


def _gains(evaluator: Evaluator, prompt: Prompt, rows: Sequence[Example]) -> _Gains:
    start = evaluator.task.start
    if not rows or prompt == start:
        return _Gains([], [])
    ours, theirs = (evaluator.evaluate(one, rows).values for one in (prompt, start))
    scores = [a - b for a, b in paired(ours, theirs)]
    shares = paired(
        evaluator.log_odds.label_shares(prompt, rows), evaluator.log_odds.label_shares(start, rows)
    )
    return _Gains(scores, [a - b for a, b in shares])
