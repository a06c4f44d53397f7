"""The Pareto front: quality up, tokens down. Pure functions on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def non_dominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates.

    A point dominates another if it is no worse in both objectives and better in one. Equal points
    do not dominate each other. A point with a NaN is never marked and dominates nothing.

    Parameters
    ----------
    points
        Shape ``(n, 2)``: quality (maximised) and tokens (minimised).

    Returns
    -------
    mask
        Shape ``(n,)``.
    """
    mask = np.zeros(len(points), dtype=np.bool_)
    order = sorted(
        np.flatnonzero(~np.isnan(points).any(axis=1)), key=lambda i: (points[i, 1], -points[i, 0])
    )
    last: tuple[float, float] | None = None
    for i in order:
        quality, tokens = points[i]
        if last is None or quality > last[0] or (quality, tokens) == last:
            mask[i] = True
            last = quality, tokens
    return mask


def front_indices(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the front's indices in order of tokens; of equal points the first stands for all."""
    array = np.asarray(points, dtype=np.float64).reshape(len(points), 2)
    indices = sorted(np.flatnonzero(non_dominated(array)), key=lambda i: (array[i, 1], i))
    return [
        int(i) for n, i in enumerate(indices) if n == 0 or (array[i] != array[indices[n - 1]]).any()
    ]


def knee(points: Sequence[tuple[float, float]]) -> int:
    """Return the index of the front's knee: the point farthest above the line between its two ends.

    Both objectives are scaled to [0, 1] over the front (Das 1999, "On characterizing the knee of
    the Pareto curve").
    """
    array = np.asarray(points, dtype=np.float64)
    span = np.ptp(array, axis=0)
    scaled = (array - array.min(axis=0)) / np.where(span > 0, span, 1.0)
    return int(np.argmax(scaled[:, 0] - scaled[:, 1]))
