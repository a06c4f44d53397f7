"""The evidence: means of few rows, intervals, paired tests, and the e-process of a race."""

from __future__ import annotations

import math
from collections import Counter
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest, bootstrap
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FLIPS = 10_000
"""Draws of signs for a p-value: its own error at 0.05 is then 0.002."""
_RESAMPLES = 2_000
"""Bootstrap samples; set by hand."""
_ROUNDING = 1e-9
"""By how much sums of the same numbers differ by their order alone."""


def stratum_weights(strata: Sequence[str], shares: Mapping[str, float]) -> list[float]:
    """Return a weight for each example, in all one, that gives every stratum its share.

    Few examples have a mix of labels of their own, and a prompt that leans to a label would be
    judged by how many of that label there happen to be (Holt & Smith 1979, "Post stratification").

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


def scored_mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are not NaN; NaN where all are."""
    kept = scored(values)
    return fmean(kept) if kept else math.nan


def scored(values: Sequence[float]) -> list[float]:
    """Return the values that are not NaN."""
    return [value for value in values if not math.isnan(value)]


def paired(ours: Sequence[float], theirs: Sequence[float]) -> list[tuple[float, float]]:
    """Return the pairs of values, of the same examples, of which neither is NaN."""
    pairs = zip(ours, theirs, strict=True)
    return [(a, b) for a, b in pairs if not math.isnan(a) and not math.isnan(b)]


def label_scores(
    gold: Sequence[str], chosen: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """Return macro-F1 and Matthews' correlation coefficient.

    Where no label was chosen, that is an error of its own kind. Of one label alone there is no
    correlation: 0.
    """
    from sklearn.metrics import f1_score, matthews_corrcoef

    return {
        "macro_f1": float(
            f1_score(gold, chosen, labels=list(labels), average="macro", zero_division=0)
        ),
        "matthews": float(matthews_corrcoef(gold, chosen)) if {*gold, *chosen} - {gold[0]} else 0.0,
    }


def mean_interval(values: Sequence[float], mean: float | None = None) -> tuple[float, float]:
    """Return a 95 % interval of the mean of values in [0, 1].

    Wilson's for 0/1, else the bootstrap's BCa (Efron 1987).

    Parameters
    ----------
    values
        The values.
    mean
        What Wilson's interval is around, where that is another than the values' own mean.
    """
    if {*values} <= {0.0, 1.0} or len({*values}) == 1:
        successes = sum(values) if mean is None else mean * len(values)
        return wilson_interval(successes, len(values))
    resampled = bootstrap(
        (values,), fmean, vectorized=False, n_resamples=_RESAMPLES, rng=np.random.default_rng(0)
    )
    return float(resampled.confidence_interval.low), float(resampled.confidence_interval.high)


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, zz = successes / n, z * z
    centre, half = p + zz / (2 * n), z * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    scale = 1 + zz / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def difference_interval(
    differences: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of the mean difference of two prompts on the same examples.

    Of right and wrong it is that of Agresti & Min 2005 ("Simple improved confidence intervals for
    comparing matched proportions"), which counts half an example more of each of the four outcomes:
    without it few differences have an interval that is too short, and none have none at all. Of
    other scores it is Student's.

    Parameters
    ----------
    differences
        One of each example, in [-1, 1]; at least one.
    confidence
        How sure it is of both its ends together.
    """
    n, total = len(differences), math.fsum(differences)
    squares = math.fsum(d * d for d in differences)
    quantile = 0.5 + confidence / 2
    if {*differences} <= {-1.0, 0.0, 1.0}:
        n, squares, width = n + 2, squares + 1, NormalDist().inv_cdf(quantile)
        error = math.sqrt(max(0.0, squares - total * total / n)) / n
    elif n > 1:
        width = float(student.ppf(quantile, n - 1))
        error = math.sqrt(max(0.0, squares - total * total / n) / (n * (n - 1)))
    else:
        return -1.0, 1.0
    return max(-1.0, total / n - width * error), min(1.0, total / n + width * error)


def examples_to_tell(differences: Sequence[float], bound: float, confidence: float = 0.95) -> float:
    """Return about how many examples like these have an interval that excludes a bound.

    An interval narrows with the root of its examples; that of `difference_interval` is taken to
    stay where it is.
    """
    low, high = difference_interval(differences, confidence)
    away = abs((low + high) / 2 - bound)
    return len(differences) * ((high - low) / 2 / away) ** 2 if away else math.inf


def paired_p_value(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the two-sided p-value that two prompts are equally good, on the same examples.

    For 0/1 values McNemar's exact test, that they win equally often; else the test of the mean
    difference in which its signs are flipped at random.
    """
    differences = [a - b for a, b in pairs if a != b]
    if not differences:
        return 1.0
    if {*differences} <= {-1.0, 1.0}:
        return float(binomtest(sum(d > 0 for d in differences), len(differences)).pvalue)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, len(differences)))
    flipped, observed = np.abs(signs @ np.asarray(differences)), abs(math.fsum(differences))
    return float((1 + np.sum(flipped >= observed - _ROUNDING)) / (1 + _FLIPS))


def e_value(differences: Sequence[float]) -> float:
    """Return the evidence that the mean of ``differences`` is above zero, however often one looks.

    Capital won by betting on positive differences in [-1, 1]: under the hypothesis that the mean is
    at most zero it is a supermartingale that begins at 1, so it ever reaches ``1 / alpha`` with
    probability at most ``alpha`` (Ville). The bets follow from the differences seen before each one
    (approximate GRAPA, Waudby-Smith & Ramdas 2024, section B.3).
    """
    capital, total, squares = 1.0, 0.0, 0.0
    for n, difference in enumerate(differences):
        mean, variance = total / (n + 1), (0.25 + squares) / (n + 1)
        bet = min(max(mean / (variance + mean * mean), 0.0), 0.75)
        capital *= 1 + bet * difference
        total += difference
        squares += (difference - total / (n + 2)) ** 2
    return capital
