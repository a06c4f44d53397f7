"""The early word on headroom, on made-up tasks: how often it is wrong.

What: tasks on which it is known what there is to gain. 24 candidates race in three batches as a
search has them, on made-up answers, and then the word is asked for. Why: "nothing to gain" saves a
user hours where it is true and costs a gain where it is not, so both errors are counted.

    python benchmarks/headroom.py --tasks 100

- nothing: all prompts have the start's expected score, .5 to .7;
- worse: all others are worse by up to a quarter: no hope either;
- lone: one prompt has 10 points more than the start, all others are worse;
- spread: prompts are better and worse than the start, the best by 10 points;
- climb: candidates come from the best so far, up to 10 points above the start.

Rows are easier or harder for all prompts alike: two prompts of one score answer a row of five to a
third differently. The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

import numpy as np

from promptfront.scorers.labels import LabelScorer
from promptfront.search.contracts import Candidate, Example, Prompt, Structure, Task
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.headroom import Ahead, headroom
from promptfront.search.evaluation.racing import race

if TYPE_CHECKING:
    from promptfront.search.contracts import LikelihoodRequest, Text

BATCHES, BATCH, GAIN = 3, 8, 0.10
SCORES = 0.5, 0.6, 0.7
SHARED = 0.6, 0.7, 0.8
"""How much of what makes a row hard is the same for all prompts."""
SHARPNESS = 1.0, 4.0
_LIMITS = 1.4, 1.6, 1.7, 1.8, 2.0
START = Prompt("0", Structure(("Text",), "Label"))


class MadeUpModel:
    """Answers with log-odds that are drawn in advance for each prompt and row."""

    model, fingerprint, revision, scoring, max_context = "made-up", "made-up", "", "made-up", 10_000
    writes = True

    def __init__(self, odds: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
        self._odds = odds

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Favour the right label by the log-odds of the prompt and the row."""
        return [self._answer(str(request.prompt)) for request in requests]

    def _answer(self, text: str) -> tuple[float, float]:
        prompt, row = int(text.split()[0]), int(text.split("row ")[1].split()[0])
        half = self._odds[prompt, row] / 2 * (1 if row % 2 == 0 else -1)
        return half, -half

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
        """Write nothing."""
        return [""] * len(prompts)

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Count every text alike."""
        return [1] * len(texts)

    def truncate(self, text: str, max_tokens: int) -> str:  # noqa: ARG002 (part of the Protocol)
        """Leave texts as they are."""
        return text

    def close(self) -> None:
        """Hold nothing."""


def nothing(_: np.random.Generator, count: int) -> list[float]:
    """Return no gains."""
    return [0.0] * count


def worse(rng: np.random.Generator, count: int) -> list[float]:
    """Return losses."""
    return list(-np.minimum(np.abs(rng.normal(0, 0.1, count)), 0.25))


def lone(rng: np.random.Generator, count: int) -> list[float]:
    """Return one gain among losses."""
    gains = worse(rng, count)
    gains[int(rng.integers(count))] = GAIN
    return gains


def spread(rng: np.random.Generator, count: int) -> list[float]:
    """Return gains and losses about the start."""
    drawn = rng.normal(0, 1, count)
    return list(drawn / drawn.max() * GAIN)


KINDS: dict[str, Callable[[np.random.Generator, int], list[float]]] = {
    "nothing": nothing,
    "worse": worse,
    "lone": lone,
    "spread": spread,
    "climb": nothing,
}


def word(kind: str, seed: int, dev: int, confirmation: int) -> Ahead:
    """Return what a made-up search sees to gain."""
    rng, count = np.random.default_rng(seed), BATCHES * BATCH
    rows = tuple(Example((("text", f"row {i}"),), "ab"[i % 2]) for i in range(dev + confirmation))
    task = Task("made-up", "here", START, ("text",), "label", ("a", "b"), (), rows[:dev], ())
    gains = [0.0, *KINDS[kind](rng, count)]
    odds = np.empty((count + 1, len(rows)))
    shared, start = rng.choice(SHARED), rng.choice(SCORES)
    hard = rng.normal(size=len(rows))

    def draw(i: int) -> None:
        own = np.sqrt(shared) * hard + np.sqrt(1 - shared) * rng.normal(size=len(rows))
        needed = NormalDist().inv_cdf(min(max(start + gains[i], 0.02), 0.98))
        odds[i] = rng.uniform(*SHARPNESS) * (own + needed)

    draw(0)
    evaluator = Evaluator(task, MadeUpModel(odds), LabelScorer())
    full = {START: evaluator.evaluate(START, task.dev).quality}
    seen: dict[Prompt, int] = {}
    for batch in range(BATCHES):
        best = max(full, key=lambda prompt: full[prompt])
        numbers = range(1 + batch * BATCH, 1 + (batch + 1) * BATCH)
        for i in numbers:
            if kind == "climb":
                parent = gains[int(best.instruction)] if rng.random() < 0.6 else 0.0
                gains[i] = min(GAIN, parent + rng.normal(-0.01, 0.06))
                last = i == count and max(gains) < GAIN
                gains[i] = GAIN if last else gains[i]
            draw(i)
        prompts = {replace(START, instruction=str(i)): 0 for i in numbers}
        front = [Candidate(best, full[best], 1)]
        trials = race(evaluator, prompts, front, list(full)[-16:], lambda *_: None)
        seen |= {prompt: trial.rows for prompt, trial in trials.items()}
        full |= {p: t.dev_mean or 0.0 for p, t in trials.items() if t.rows == dev}
    ahead = headroom(evaluator, seen, rows[dev:])
    if ahead is None:
        raise AssertionError("every row of every prompt has a score")
    return ahead


def main() -> None:
    """Ask for the word on every task and count what it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--dev", type=int, default=80)
    parser.add_argument("--confirmation", type=int, default=80)
    options = parser.parse_args()
    result: dict[str, int] = {}
    print(f"'nothing to gain' by the product's threshold, and by others: {_LIMITS}")
    for kind in KINDS:
        words = [
            word(kind, seed, options.dev, options.confirmation) for seed in range(options.tasks)
        ]
        result[kind] = sum(not one.headroom.seen for one in words)
        others = [sum(one.evidence < limit for one in words) for limit in _LIMITS]
        said = [one.headroom.gain for one in words if one.headroom.seen]
        print(
            f"{kind:8} {result[kind]:4} of {len(words)} nothing to gain {others}; "
            f"gain said of the others: {fmean(said or [0.0]):+.3f}",
            flush=True,
        )
    print(json.dumps({"benchmark": "headroom"} | vars(options) | {"nothing": result}))


if __name__ == "__main__":
    main()
