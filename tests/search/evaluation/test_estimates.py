"""Estimates from few examples, on log-odds whose structure is known."""

from __future__ import annotations

import numpy as np
import pytest

from promptfront.search.evaluation.estimates import estimate

EXAMPLES = 200


def made_up(
    labels: int, candidates: int, seed: int
) -> tuple[list[list[list[float]]], list[int], list[float]]:
    """Return candidates' log-likelihoods of unlike bias and sharpness, labels, accuracies."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(labels, size=EXAMPLES)
    rows = 0.8 * np.eye(labels)[gold] + rng.normal(0, 0.5, (EXAMPLES, labels))
    label_bias, sharpness = (
        rng.normal(0, 0.7, (candidates, 1, labels)),
        rng.uniform(0.3, 1.5, (candidates, 1, 1)),
    )
    logs = label_bias + sharpness * rows + rng.normal(0, 0.15, (candidates, EXAMPLES, labels))
    return logs.tolist(), gold.tolist(), (logs.argmax(axis=2) == gold).mean(axis=1).tolist()


@pytest.mark.parametrize("labels", [2, 4])
def test_ten_examples_rank_candidates_better_than_their_mean(labels: int) -> None:
    """With four candidates seen in full, ten examples of others tell more than their scores."""
    ours, plain = [], []
    for seed in range(8):
        logs, gold, truth = made_up(labels, 24, seed)
        seen = [row if c < 4 else row[:10] for c, row in enumerate(logs)]
        means = [(np.argmax(row[:10], axis=1) == gold[:10]).mean() for row in logs[4:]]
        ours.append(np.corrcoef([e.quality for e in estimate(seen, gold)[4:]], truth[4:])[0, 1])
        plain.append(np.corrcoef(means, truth[4:])[0, 1])
    assert np.mean(ours) > 0.85
    assert np.mean(ours) > np.mean(plain) + 0.1


def test_potential_is_quality_without_lean() -> None:
    """A prompt that chooses one label always has the potential of what it hides.

    A level one has nothing to gain.
    """
    logs, gold, _ = made_up(2, 3, 0)
    level = np.asarray(logs[0]) - np.mean(logs[0], axis=0)
    leaning = level + np.array([9.0, 0.0])
    found = estimate([level.tolist(), leaning.tolist()], gold)
    truth = (level.argmax(axis=1) == gold).mean()
    assert abs(found[1].quality - np.mean(np.asarray(gold) == 0)) < 0.02
    assert abs(found[1].potential - truth) < 0.05
    assert abs(found[0].potential - found[0].quality) < 0.02


def test_one_example_and_one_candidate_are_enough() -> None:
    """Nothing is divided by zero, whatever is missing."""
    assert 0.0 <= estimate([[[-1.0, -2.0]]], [0, 1, 1])[0].quality <= 1.0
    assert 0.0 <= estimate([[[-1.0, -1.0]], [[-1.0, -1.0]]], [1])[0].quality <= 1.0
    assert estimate([[[-3.0]]], [0])[0].quality == 1.0
