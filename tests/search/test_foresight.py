"""What unscored prompts are expected to score, on log-odds that follow the labels that a prompt shows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from promptfront.search.completion import fit
from promptfront.search.contracts import Example, Prompt, Structure
from promptfront.search.foresight import foresee

EXAMPLES, SEEN = 120, 10
LABELS = ("a", "b", "c")
START = Prompt("Choose.", Structure(("Text",), "Label"))


def showing(labels: tuple[str, ...]) -> Prompt:
    """Return a prompt that shows an example of each of these labels."""
    shown = tuple(Example((("text", f"{i}"),), label) for i, label in enumerate(labels))
    return Prompt(START.instruction, START.structure, shown)


def made_up(prompts: list[Prompt], seed: int) -> tuple[list[list[list[float]]], list[int], list[float]]:
    """Return log-likelihoods that lean to the labels shown and to the first, the gold labels, and true accuracies."""
    rng = np.random.default_rng(seed)
    gold = np.arange(EXAMPLES) % len(LABELS)
    rows = np.eye(len(LABELS))[gold] + rng.normal(0, 0.5, (EXAMPLES, len(LABELS)))
    lean = np.array([[0.7, 0.0, 0.0] + 3 * _share(prompt) + rng.normal(0, 0.2, len(LABELS)) for prompt in prompts])
    logs = lean[:, None] + rows + rng.normal(0, 0.2, (len(prompts), EXAMPLES, len(LABELS)))
    return logs.tolist(), gold.tolist(), (logs.argmax(axis=2) == gold).mean(axis=1).tolist()


def _share(prompt: Prompt) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    shown = [example.target for example in prompt.demonstrations]
    return np.array([shown.count(label) / max(1, len(shown)) for label in LABELS])


@pytest.mark.parametrize(("count", "least"), [(3, 0.5), (12, 0.7)])
def test_few_scored_prompts_foretell_the_others(count: int, least: float) -> None:
    """Three sets of demonstrations on ten examples each tell a good deal of what other sets will score, twelve more."""
    sets = [showing(labels) for labels in product(LABELS, repeat=3)]
    found = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(sets))
        prompts = [START, *(sets[i] for i in order)]
        logs, gold, truth = made_up(prompts, seed)
        known, others = prompts[: 1 + count], prompts[1 + count :]
        model = fit([logs[0], *(row[:SEEN] for row in logs[1 : len(known)])], gold)
        foreseen = foresee(model, known, others, LABELS, [1.0] * EXAMPLES)
        assert all(0.0 <= score <= 1.0 for score in foreseen)
        found.append(np.corrcoef(foreseen, truth[len(known) :])[0, 1])
    assert np.mean(found) > least


def test_the_starting_prompt_alone_is_enough() -> None:
    """With one prompt scored on one example there is nothing to learn from, and nothing is divided by zero."""
    model = fit([[[-1.0, -1.0, -1.0]]], [0])
    foreseen = foresee(model, [START], [showing(("a", "b")), START], LABELS, [1.0])
    assert all(0.0 <= score <= 1.0 for score in foreseen)
