"""The evidence: means of few rows, intervals, paired tests, and the e-process a race may look at after every block."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from scipy.stats import binomtest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def stratum_weights(strata: Sequence[str], shares: Mapping[str, float]) -> list[float]:
    """Return a weight for each example, in all one, that gives every stratum its share (post-stratification).

    Few examples have a mix of labels of their own, and a prompt that leans to a label would be judged by how many of
    that label there happen to be (Holt & Smith 1979, "Post stratification").

    Parameters
    ----------
    strata
        Each example's stratum.
    shares
        Each stratum's share; of strata without an example the share goes to the others.
    """
    counts = Counter(strata)
    total = sum(shares[stratum] for stratum in counts)
    return [shares[stratum] / counts[stratum] / total for stratum in strata]


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, zz = successes / n, z * z
    centre, half = p + zz / (2 * n), z * sqrt(p * (1 - p) / n + zz / (4 * n * n))
    scale = 1 + zz / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def paired_p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the two-sided exact p-value that two prompts win equally often on the same examples.

    The sign test on the examples where they differ; for 0/1 scores this is McNemar's exact test.
    """
    wins = sum(a > b for a, b in zip(ours, theirs, strict=True))
    losses = sum(a < b for a, b in zip(ours, theirs, strict=True))
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def e_value(differences: Sequence[float]) -> float:
    """Return the evidence that the mean of ``differences`` is above zero, valid however often one looks.

    Capital won by betting on positive differences in [-1, 1]: under the hypothesis that the mean is at most zero it
    is a supermartingale that begins at 1, so it ever reaches ``1 / alpha`` with probability at most ``alpha``
    (Ville). The bets follow from the differences seen before each one (approximate GRAPA, Waudby-Smith & Ramdas 2024,
    section B.3).
    """
    capital, total, squares = 1.0, 0.0, 0.0
    for n, difference in enumerate(differences):
        mean, variance = total / (n + 1), (0.25 + squares) / (n + 1)
        bet = min(max(mean / (variance + mean * mean), 0.0), 0.75)
        capital *= 1 + bet * difference
        total += difference
        squares += (difference - total / (n + 2)) ** 2
    return capital
