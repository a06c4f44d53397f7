"""Tasks with nothing to find, where labels are shuffled: how often a search claims a gain there.

What: the sentiment task with its labels shuffled over the rows, as many times as asked; each time a
search, and its verdict on the held-out rows. Why: a tool that tries many prompts finds a lucky one;
its report must not call it a gain.

    python benchmarks/null.py --tasks 100

Demonstrations and proposals by the model are left out, so that all tasks try much the same prompts
and share their scores: what a model answers does not depend on the labels of the row. The last line
of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from promptfront.search import load_task, optimize
from promptfront.search.assembly import make_backend
from promptfront.search.cli.tables import verdict
from promptfront.search.contracts import ANSWERS
from promptfront.search.proposals.inventory import load_mutators

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import Example, Task

ROWS = 100, 80, 200
WITHOUT = ("paraphrase", "induce", "crossover")


def shuffled(task: Task, seed: int) -> Task:
    """Return a small task of as many rows of each label in each split, the labels shuffled.

    The same number of each: else a prompt that favours the more frequent label would be truly
    better.
    """
    rng = random.Random(seed)
    train, dev, test = (
        _even(part, most, rng)
        for part, most in zip((task.train, task.dev, task.test), ROWS, strict=True)
    )
    return replace(task, train=train, dev=dev, test=test, notes=())


def _even(rows: Sequence[Example], most: int, rng: random.Random) -> tuple[Example, ...]:
    labels = sorted({row.target for row in rows})
    chosen = [
        row
        for label in labels
        for row in [r for r in rows if r.target == label][: most // len(labels)]
    ]
    targets = rng.sample([row.target for row in chosen], len(chosen))
    return tuple(replace(row, target=target) for row, target in zip(chosen, targets, strict=True))


def main() -> None:
    """Search every shuffled task and count the verdicts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--budget", type=int, default=16)
    parser.add_argument("--model")
    parser.add_argument("--answers", choices=ANSWERS)
    options = parser.parse_args()
    task, backend = load_task("sentiment"), make_backend("hf", options.model, {})
    demonstrations = [
        name for name, mutator in load_mutators(()).items() if mutator.gene == "demonstrations"
    ]
    claims = hopeless = 0
    dev: list[float] = []
    confirmation: list[float] = []
    test: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.tasks):
            front = optimize(
                shuffled(task, seed),
                backend=backend,
                budget=options.budget,
                answers=options.answers,
                without=(*WITHOUT, *demonstrations),
                storage=f"sqlite:///{folder}/null.db",
                study=f"null-{seed}",
            )
            said = verdict(front)
            claims += said.startswith("gain")
            hopeless += front.headroom is not None and not front.headroom.seen
            print(seed, said, flush=True)
            if front.best.test and front.best.confirmation:
                dev.append(front.best.quality)
                confirmation.append(front.best.confirmation.score)
                test.append(front.best.test.score)
    print(f"{claims} of {options.tasks} claim a gain; {hopeless} said early: nothing to gain")
    print(
        f"of the chosen prompts: dev {fmean(dev):.3f}, "
        f"confirmation rows {fmean(confirmation):.3f}, test {fmean(test):.3f}"
    )
    result = {
        "benchmark": "null",
        "tasks": options.tasks,
        "budget": options.budget,
        "claims": claims,
        "nothing_to_gain": hopeless,
    }
    means = {"dev": fmean(dev), "confirmation": fmean(confirmation), "test": fmean(test)}
    print(json.dumps(result | means))


if __name__ == "__main__":
    main()
