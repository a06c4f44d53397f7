"""The main job against its two baselines, on the same test rows.

What: held-out accuracy of the plain instruction, of the best of 20 random 4-demonstration prompts
(chosen on the same dev rows the search uses, with and without batch calibration), and of the prompt
that a search chose. Why: few published prompt optimizers beat "best of N random draws", so it
stands beside every claim of ours.

    python benchmarks/sentiment.py --budget 200 --seed 0

The last line of stdout is one JSON object. The search runs in `--storage` (default: a fresh
temporary database).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch

from promptfront.search import load_task, optimize
from promptfront.search.assembly import make_evaluator
from promptfront.search.evaluation.statistics import paired, paired_p_value, wilson_interval

if TYPE_CHECKING:
    from promptfront.search.contracts import Prompt
    from promptfront.search.evaluation.evaluator import Evaluator

DRAWS, SHOWN = 20, 4


def held_out_values(evaluator: Evaluator, prompt: Prompt) -> list[float]:
    """Return 0/1 per test row, read with offsets fitted on dev."""
    offsets = evaluator.evaluate(prompt, evaluator.task.dev).offsets
    return list(evaluator.evaluate(prompt, evaluator.task.test, offsets).values)


def best_of_random(evaluator: Evaluator, calibration: Literal["none", "batch"]) -> Prompt:
    """Return the draw of random demonstrations with the highest dev accuracy."""
    rng = random.Random(0)
    task = evaluator.task
    structure = replace(task.start.structure, calibration=calibration)
    draws = [
        replace(
            task.start, structure=structure, demonstrations=tuple(rng.sample(task.train, SHOWN))
        )
        for _ in range(DRAWS)
    ]
    return max(draws, key=lambda prompt: evaluator.evaluate(prompt, task.dev).quality)


def main() -> None:
    """Run the search and its baselines and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--storage", default=f"sqlite:///{tempfile.mkdtemp()}/benchmark.db")
    options = parser.parse_args()
    started = time.perf_counter()
    front = optimize("sentiment", budget=options.budget, seed=options.seed, storage=options.storage)
    seconds = time.perf_counter() - started
    evaluator = make_evaluator(load_task("sentiment", seed=options.seed))
    rows: dict[str, list[float]] = {
        "plain instruction": held_out_values(evaluator, front.start.prompt),
        f"best of {DRAWS} x {SHOWN} random demonstrations": held_out_values(
            evaluator, best_of_random(evaluator, "none")
        ),
        f"best of {DRAWS} x {SHOWN}, calibrated": held_out_values(
            evaluator, best_of_random(evaluator, "batch")
        ),
        "chosen by the search": held_out_values(evaluator, front.best.prompt),
    }
    chosen = rows["chosen by the search"]
    print(f"{'prompt':45} test accuracy (95 % interval)   chosen is better by (p)")
    for name, values in rows.items():
        low, high = wilson_interval(sum(values), len(values))
        gain = 100 * (sum(chosen) - sum(values)) / len(values)
        p_value = paired_p_value(paired(chosen, values))
        print(
            f"{name:45} {sum(values) / len(values):.3f} ({low:.3f}-{high:.3f})   "
            f"{gain:+.1f} ({p_value:.2g})"
        )
    print(
        f"search: {seconds:.0f} s, {front.trials} candidates, {front.evaluations} evaluations, "
        f"front of {len(front.front)}"
    )
    result = {
        "benchmark": "sentiment",
        "budget": options.budget,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "evaluations": front.evaluations,
        "front": [[e.tokens, e.quality, e.test.score if e.test else None] for e in front.front],
        "accuracy": {name: sum(values) / len(values) for name, values in rows.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
