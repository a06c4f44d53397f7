"""What a candidate would score on all dev examples, read off the few it was scored on.

Prompts for one task largely agree on which examples favour which label; they differ in how much
they favour one label overall, in how sharply they follow the others, and in how much more than
those they know of the right label. So the log-odds of candidate c on example i for label k are
modelled as ``shift[c, k] + sharpness[c] * row[i, k] + skill[c] * (k is right)``, whose rows
candidates that saw all examples fill in for those that saw ten. Item response theory tests language
models on few examples with such a model of right and wrong (Maia Polo et al. 2024,
"tinyBenchmarks"); log-odds say more than that (benchmarks/RESULTS.md). The estimate is the model's
mean, corrected by what it missed where answers are known, the more the more there are (after
prediction-powered inference, Angelopoulos et al. 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ROUNDS = 8
# Beliefs before the data; set by hand.
_ROW_RIDGE = 1.0
"""How much a row is drawn to the mean row of its label."""
_SHARPNESS_RIDGE = 3.0
"""How much a candidate's sharpness is drawn to one."""
_SKILL_RIDGE = 6.0
"""How much a candidate's skill is drawn to none."""
_SHIFT_RIDGE = 0.5
"""How much a candidate's shift is drawn to the usual one."""
_NOISE_ROWS = 10.0
"""How many rows the usual noise counts beside a candidate's own."""
_CORRECTION = 24.0
"""The model's mean is believed as much as this many examples of the candidate's own."""
_DRAWS = 64
_SHARPNESS = 1.0
"""How sharp every prompt is for `label_shares`: at one, shares grow almost evenly with log-odds."""
_IMPOSSIBLE = 20.0
"""Nats below the least likely label at which an impossible one is counted."""


class Estimate(NamedTuple):
    """A candidate's accuracy on all examples: as it decides, and without its label bias."""

    quality: float
    potential: float


@dataclass(frozen=True, slots=True)
class _Model:
    """What log-odds were resolved into.

    Shapes: ``shift`` (candidates, labels), ``weights``, which are sharpness and skill, (candidates,
    2), ``rows`` and ``right`` (examples, labels), ``noise`` (candidates,).
    """

    shift: Array
    weights: Array
    rows: Array
    right: Array
    noise: Array


def estimate(
    outputs: Sequence[Sequence[Sequence[float] | None]],
    gold: Sequence[int],
    weights: Sequence[float] | None = None,
) -> list[Estimate]:
    """Return each candidate's accuracy on all examples.

    Parameters
    ----------
    outputs
        For each candidate the labels' log-likelihoods in nats, shape ``(seen, labels)``, on the
        first ``seen`` of the examples; None for examples that do not count.
    gold
        The number of the right label of every example.
    weights
        How much every example counts; by default the same.
    """
    targets = np.asarray(gold)
    counts = np.ones(len(targets)) if weights is None else np.asarray(weights)
    odds, seen = _log_odds(outputs, len(targets), _labels(outputs, gold))
    model = _fit(odds, seen, targets)
    parts = np.stack([model.rows, model.right])
    expected = model.shift[:, None] + np.einsum("cj,jik->cik", model.weights, parts)
    noise = np.random.default_rng(0).standard_normal((_DRAWS, 1, odds.shape[2]))
    return [
        _estimate(expected[c], model.noise[c] * noise, odds[c], seen[c], targets, counts)
        for c in range(len(odds))
    ]


def label_shares(outputs: Sequence[Sequence[float] | None], gold: Sequence[int]) -> list[float]:
    """Return the right label's share of each example's probability; NaN of those without outputs.

    Log-odds are divided by their root mean square, which does not look at what is right: a prompt
    is not better for being sharper.
    """
    odds, seen = (one[0] for one in _log_odds([outputs], len(gold), _labels([outputs], gold)))
    scale = math.sqrt(float((odds[seen] ** 2).mean())) if seen.any() else 0.0
    shares = np.exp(_SHARPNESS * odds / scale) if scale else np.ones_like(odds)
    right = shares[np.arange(len(gold)), np.asarray(gold)] / shares.sum(axis=1)
    return [float(share) if known else math.nan for share, known in zip(right, seen, strict=True)]


def _labels(outputs: Sequence[Sequence[Sequence[float] | None]], gold: Sequence[int]) -> int:
    """Return how many labels there are."""
    return next(
        (len(output) for values in outputs for output in values if output is not None),
        max(gold) + 1,
    )


def _log_odds(
    outputs: Sequence[Sequence[Sequence[float] | None]], examples: int, labels: int
) -> tuple[Array, NDArray[np.bool_]]:
    """Return log-odds against the mean label and what is seen, by candidate, example and label."""
    odds = np.zeros((len(outputs), examples, labels))
    seen = np.zeros((len(outputs), examples), dtype=np.bool_)
    for c, values in enumerate(outputs):
        rows = [i for i, output in enumerate(values) if output is not None]
        logs = np.asarray([values[i] for i in rows], dtype=np.float64).reshape(-1, labels)
        logs = np.where(np.isneginf(logs), _least(logs) - _IMPOSSIBLE, logs)
        odds[c, rows] = logs - logs.mean(axis=1, keepdims=True)
        seen[c, rows] = True
    return odds, seen


def _least(logs: Array) -> Array:
    """Return the least finite value of each row."""
    least: Array = np.where(np.isneginf(logs), np.inf, logs).min(axis=1, keepdims=True)
    return least


def _fit(odds: Array, seen: NDArray[np.bool_], gold: NDArray[np.int64]) -> _Model:
    """Fit by alternating ridge regressions.

    An example's row is drawn to the mean row of its label.
    """
    candidates, _, labels = odds.shape
    counts = np.maximum(seen.sum(axis=1), 1)
    means = np.eye(labels) - 1 / labels
    right = means[gold]
    rows, weights = (
        right,
        np.tile([1.0, 0.0], (candidates, 1)),
    )  # of the row, and of the right label
    shift = odds.sum(axis=1) / counts[:, None]
    for _ in range(_ROUNDS):
        sharpness, skill = weights.T
        apart = np.where(seen[..., None], odds - shift[:, None] - skill[:, None, None] * right, 0.0)
        weight = (sharpness[:, None] ** 2 * seen).sum(axis=0) + _ROW_RIDGE
        rows = ((sharpness[:, None, None] * apart).sum(axis=0) + _ROW_RIDGE * means[gold]) / weight[
            :, None
        ]
        means = np.stack(
            [rows[gold == k].mean(axis=0) if (gold == k).any() else means[k] for k in range(labels)]
        )
        usual = shift.mean(axis=0)
        for c in range(candidates):
            if not seen[c].any():
                continue
            here = np.stack([rows[seen[c]], right[seen[c]]])
            weights[c] = _regress(here - here.mean(axis=1, keepdims=True), odds[c, seen[c]])
            rest = odds[c, seen[c]] - np.tensordot(weights[c], here, 1)
            shift[c] = (rest.sum(axis=0) + _SHIFT_RIDGE * usual) / (counts[c] + _SHIFT_RIDGE)
        weights[:, 0] /= weights[:, 0].mean()
    expected = shift[:, None] + np.einsum("cj,jik->cik", weights, np.stack([rows, right]))
    squares = (np.where(seen[..., None], odds - expected, 0.0) ** 2).sum(axis=(1, 2)) / labels
    noise = np.sqrt((squares + _NOISE_ROWS * squares.sum() / counts.sum()) / (counts + _NOISE_ROWS))
    return _Model(shift, weights, rows, right, noise)


def _regress(regressors: Array, odds: Array) -> Array:
    """Return the weights of two regressors, ``(2, seen, labels)``, drawn to one and to zero."""
    ridge = np.array([_SHARPNESS_RIDGE, _SKILL_RIDGE])
    square = np.einsum("aik,bik->ab", regressors, regressors) + np.diag(ridge)
    weights: Array = np.linalg.solve(
        square, np.einsum("aik,ik->a", regressors, odds) + ridge * [1.0, 0.0]
    )
    return weights


def _estimate(
    expected: Array,
    noise: Array,
    odds: Array,
    seen: NDArray[np.bool_],
    gold: NDArray[np.int64],
    weights: Array,
) -> Estimate:
    label_bias, own = expected.mean(axis=0), seen.sum() / (seen.sum() + _CORRECTION)
    accuracies = []
    for offset in (0.0, label_bias):
        right = ((expected - offset + noise).argmax(axis=2) == gold).mean(axis=0)
        known = (odds[seen] - offset).argmax(axis=1) == gold[seen]
        missed = np.average(known - right[seen], weights=weights[seen]) if seen.any() else 0.0
        accuracies.append(
            float(np.clip(np.average(right, weights=weights) + own * missed, 0.0, 1.0))
        )
    return Estimate(*accuracies)
