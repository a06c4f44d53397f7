"""Intervals and tests against published values and their guarantees."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test

from promptfront.search.evaluation.statistics import (
    e_value,
    label_scores,
    mean_interval,
    paired,
    paired_p_value,
    stratum_weights,
    wilson_interval,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (7, 10), (812, 1000)])
def test_wilson_interval_is_scipys(successes: int, n: int) -> None:
    """The interval equals an independent implementation."""
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high))


def test_paired_p_value_is_mcnemars_exact_test() -> None:
    """Only the examples on which two prompts differ count."""
    ours, theirs = [1.0] * 12 + [0.0] * 3 + [1.0] * 50, [0.0] * 12 + [1.0] * 3 + [1.0] * 50
    assert binomtest(12, 15).pvalue == paired_p_value(paired(ours, theirs))
    assert paired_p_value([(1.0, 1.0), (0.0, 0.0)]) == 1.0


def test_graded_values_are_tested_by_flipped_signs() -> None:
    """The p-value is near scipy's permutation test.

    What one prompt could not be scored on is left out.
    """
    rng = np.random.default_rng(1)
    ours, theirs = rng.beta(2, 3, 80), rng.beta(2, 3.6, 80)
    expected = permutation_test(
        (ours, theirs),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        n_resamples=20_000,
        rng=rng,
    ).pvalue
    assert paired_p_value(paired([*ours, math.nan], [*theirs, 1.0])) == pytest.approx(
        expected, abs=0.015
    )


def test_the_interval_of_graded_values_covers() -> None:
    """At least 9 of 10 intervals of the mean of 40 skewed values hold the true mean."""
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.beta(1, 5, 40).tolist()) for _ in range(100)]
    assert sum(low <= 1 / 6 <= high for low, high in intervals) >= 90
    assert mean_interval([0.3] * 9)[0] < 0.3 < mean_interval([0.3] * 9)[1]


def test_graded_values_are_no_successes() -> None:
    """Of scores that differ little the interval is narrow, where Wilson's takes them for 0/1."""
    values = [0.06, 0.1, 0.14, 0.18, 0.25] * 16
    assert mean_interval(values) == pytest.approx((0.132, 0.161), abs=0.002)
    assert wilson_interval(sum(values), 80) == pytest.approx((0.085, 0.240), abs=0.001)


def test_wilsons_interval_is_around_the_mean_that_is_told() -> None:
    """Where labels are weighted by their shares, the mean is not that of the values."""
    values = [0.0, 1.0] * 20
    assert mean_interval(values, 0.6) == wilson_interval(24, 40)
    assert mean_interval(values) == wilson_interval(20, 40)


def test_looking_after_every_row_raises_few_false_alarms() -> None:
    """Without a difference evidence ever reaches 20 in at most 5 % of races."""
    rng = random.Random(0)
    alarms = 0
    for _ in range(400):
        differences = [rng.choice((-1.0, 0.0, 0.0, 1.0)) for _ in range(200)]
        alarms += any(e_value(differences[:n]) >= 20 for n in range(8, 201, 8))
    assert alarms <= 0.05 * 400


def test_a_real_difference_is_found() -> None:
    """A prompt that is 30 points worse is told from its incumbent within 100 rows, mostly."""
    rng = random.Random(0)
    found = sum(e_value(rng.choices((-1.0, 0.0, 1.0), (1, 5, 4), k=100)) >= 20 for _ in range(100))
    assert found > 80


def test_evidence_never_gets_negative() -> None:
    """The worst possible rows leave some capital, and no rows leave it as it was."""
    assert e_value([]) == 1.0
    assert e_value([1.0, -1.0] * 50) > 0


def test_few_rows_are_weighted_to_the_shares_of_all() -> None:
    """A bias to a label is worth the label's share, however many rows of it there are."""
    few = ["a"] * 8 + ["b"] * 2
    weights = stratum_weights(few, {"a": 0.5, "b": 0.5})
    assert sum(weights) == pytest.approx(1.0)
    assert sum(w for w, label in zip(weights, few, strict=True) if label == "a") == pytest.approx(
        0.5
    )
    assert stratum_weights(["a", "a"], {"a": 0.2, "b": 0.8}) == [0.5, 0.5]


@pytest.mark.filterwarnings("error")
def test_one_label_alone_correlates_with_nothing() -> None:
    """As on two test rows that are alike; no library warns of it."""
    scores = label_scores(["a", "a"], ["a", "a"], ["a", "b"])
    assert scores == {"macro_f1": 0.5, "matthews": 0.0}
    assert label_scores(["a", "b"], ["a", "b"], ["a", "b"])["matthews"] == 1
