"""What a candidate would score on all dev examples, read off the few it was scored on.

Prompts for one task largely agree on which examples lean towards which label; they differ in how far they lean to one
label overall, and in how sharply they tell the labels apart. So the log-odds of candidate c on example i for label k
are modelled as ``shift[c, k] + sharpness[c] * row[i, k]``, a matrix of rank one above a mean, which candidates that saw
all examples fill in for those that saw ten. Item response theory uses such a model to test language models on few
examples (Maia Polo et al. 2024, "tinyBenchmarks"); on log-odds instead of right and wrong it needs far fewer of them
(benchmarks/RESULTS.md). The estimate is the model's mean, corrected by half of what it missed where answers are known
(after prediction-powered inference, Angelopoulos et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ROUNDS = 8
_ROW_RIDGE, _SHARPNESS_RIDGE, _SHIFT_RIDGE, _NOISE_ROWS = 1.0, 3.0, 0.5, 10.0
"""How many examples' worth of evidence a row's class mean, a usual sharpness, a usual shift and a usual noise count for."""
_CORRECTION = 0.5
_DRAWS = 64


class Estimate(NamedTuple):
    """A candidate's accuracy on all examples: ``quality`` as it decides, ``potential`` without its lean to some labels."""

    quality: float
    potential: float


@dataclass(slots=True)
class _Model:
    """Shapes: ``shift`` (candidates, labels), ``sharpness`` and ``noise`` (candidates,), ``rows`` (examples, labels)."""

    shift: Array
    sharpness: Array
    rows: Array
    noise: Array


def estimate(outputs: Sequence[Sequence[Sequence[float]]], gold: Sequence[int]) -> list[Estimate]:
    """Return each candidate's accuracy on all examples.

    Parameters
    ----------
    outputs
        For each candidate the labels' log-likelihoods in nats, shape ``(seen, labels)``, on the first ``seen`` of the
        examples; at least one each.
    gold
        The number of the right label of every example.
    """
    targets = np.asarray(gold)
    odds, seen = _log_odds(outputs, len(targets))
    model = _fit(odds, seen, targets)
    noise = np.random.default_rng(0).standard_normal((_DRAWS, 1, odds.shape[2]))
    return [_estimate(model, c, odds[c], seen[c], targets, noise) for c in range(len(odds))]


def _log_odds(outputs: Sequence[Sequence[Sequence[float]]], examples: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return log-odds against the mean label, ``(candidates, examples, labels)``, and which examples were seen."""
    odds = np.zeros((len(outputs), examples, len(outputs[0][0])))
    seen = np.zeros((len(outputs), examples), dtype=np.bool_)
    for c, values in enumerate(outputs):
        logs = np.asarray(values, dtype=np.float64)
        odds[c, : len(logs)] = logs - logs.mean(axis=1, keepdims=True)
        seen[c, : len(logs)] = True
    return odds, seen


def _fit(odds: Array, seen: NDArray[np.bool_], gold: NDArray[np.int64]) -> _Model:
    """Fit by alternating ridge regressions; an example's row is drawn to the mean row of its label."""
    candidates, _, labels = odds.shape
    counts = seen.sum(axis=1)
    means = np.eye(labels) - 1 / labels
    sharpness, rows = np.ones(candidates), means[gold]
    shift = odds.sum(axis=1) / counts[:, None]
    for _ in range(_ROUNDS):
        apart = np.where(seen[..., None], odds - shift[:, None], 0.0)
        weight = (sharpness[:, None] ** 2 * seen).sum(axis=0) + _ROW_RIDGE
        rows = ((sharpness[:, None, None] * apart).sum(axis=0) + _ROW_RIDGE * means[gold]) / weight[:, None]
        means = np.stack([rows[gold == k].mean(axis=0) if (gold == k).any() else means[k] for k in range(labels)])
        usual = shift.mean(axis=0)
        for c in range(candidates):
            here, ours = rows[seen[c]], odds[c, seen[c]]
            spread = here - here.mean(axis=0)
            product, square = (spread * ours).sum(), (spread**2).sum()
            sharpness[c] = (product + _SHARPNESS_RIDGE) / (square + _SHARPNESS_RIDGE)
            shift[c] = ((ours - sharpness[c] * here).sum(axis=0) + _SHIFT_RIDGE * usual) / (counts[c] + _SHIFT_RIDGE)
        sharpness /= sharpness.mean()
    missed = np.where(seen[..., None], odds - shift[:, None] - sharpness[:, None, None] * rows, 0.0)
    squares = (missed**2).sum(axis=(1, 2)) / labels
    noise = np.sqrt((squares + _NOISE_ROWS * squares.sum() / counts.sum()) / (counts + _NOISE_ROWS))
    return _Model(shift, sharpness, rows, noise)


def _estimate(
    model: _Model, c: int, odds: Array, seen: NDArray[np.bool_], gold: NDArray[np.int64], noise: Array
) -> Estimate:
    expected = model.shift[c] + model.sharpness[c] * model.rows
    lean = expected.mean(axis=0)
    found = []
    for offset in (0.0, lean):
        right = ((expected - offset + model.noise[c] * noise).argmax(axis=2) == gold).mean(axis=0)
        known = (odds[seen] - offset).argmax(axis=1) == gold[seen]
        found.append(float(np.clip(right.mean() + _CORRECTION * (known - right[seen]).mean(), 0.0, 1.0)))
    return Estimate(*found)
