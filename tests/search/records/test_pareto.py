"""The Pareto front against its definition."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promptfront.search.records.pareto import front_indices, knee, non_dominated

# Few distinct values, so that ties and duplicates are frequent.
_QUALITY = st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.75, 1.0, math.nan, math.inf, -math.inf])
_TOKENS = st.sampled_from([1.0, 2.0, 3.0, 10.0, math.nan])
_POINTS = st.lists(st.tuples(_QUALITY, _TOKENS), max_size=12)


def _dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] >= b[0] and a[1] <= b[1] and a != b


def _brute_force(points: list[tuple[float, float]]) -> list[bool]:
    valid = [p for p in points if not math.isnan(p[0]) and not math.isnan(p[1])]
    return [p in valid and not any(_dominates(q, p) for q in valid) for p in points]


@given(_POINTS)
def test_equals_brute_force(points: list[tuple[float, float]]) -> None:
    """The mask is that of comparing every point with every other, with ties, duplicates and NaN."""
    mask = non_dominated(np.asarray(points, dtype=np.float64).reshape(len(points), 2))
    assert _brute_force(points) == mask.tolist()


@given(_POINTS)
def test_front_is_ordered_and_has_no_duplicates(points: list[tuple[float, float]]) -> None:
    """Along the front tokens and quality rise strictly; every non-dominated value is there."""
    front = [points[i] for i in front_indices(points)]
    assert all(a[1] < b[1] and a[0] < b[0] for a, b in pairwise(front))
    assert set(front) == {
        p for p, marked in zip(points, _brute_force(points), strict=True) if marked
    }


def test_of_equal_points_the_first_stands() -> None:
    """Equal prompts are represented by the one found first."""
    assert front_indices([(0.5, 3.0), (0.9, 7.0), (0.5, 3.0)]) == [0, 1]


def test_knee_is_where_the_gain_per_token_falls_off() -> None:
    """The knee lies above the line between the front's ends."""
    assert knee([(0.5, 10.0), (0.8, 20.0), (0.82, 200.0)]) == 1
    assert knee([(0.5, 10.0)]) == 0
