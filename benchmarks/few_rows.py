"""Few labelled rows in all: what a search makes of them, against showing the same rows.

What: 10, 30 or 100 rows are drawn from the movie reviews; promptfront searches with nothing else,
and the prompt it chooses is tested on 1,000 other reviews - beside the starting prompt, and that
prompt with the very rows as demonstrations. Why: with few rows a search may do worse than simply
showing all of them, and what it says of its own gain may be luck.

    python benchmarks/few_rows.py --out runs --rows 30 --draws 10

A draw that ended lies in a file of its own. "said" is the gain over the start that the report gave,
cross-fitted on the rows themselves; "gain" is the gain on the held-out reviews.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptfront.search.contracts import Example, Task
    from promptfront.search.evaluation.evaluator import Evaluator

_MOST_SHOWN = 30
"""Rows as fixed demonstrations; more would take the model's context."""


def drawn(task: Task, rows: int, draw: int) -> tuple[Example, ...]:
    """Return rows of train, each label at least twice."""
    rng = random.Random(f"{rows} {draw}")
    while True:
        chosen = tuple(rng.sample(task.train, rows))
        if all(sum(row.target == label for row in chosen) > 1 for label in task.labels):
            return chosen


def run(evaluator: Evaluator, rows: int, draw: int, budget: int) -> dict[str, Any]:
    """Search with a draw of rows and test what it gives."""
    from promptfront.search import optimize

    task = evaluator.task
    labelled = drawn(task, rows, draw)
    few = replace(task, name=f"few-{rows}-{draw}", train=labelled, dev=labelled, test=())
    with tempfile.TemporaryDirectory() as folder:
        front = optimize(
            few,
            budget=budget,
            seed=draw,
            backend=evaluator.backend,
            storage=f"sqlite:///{folder}/few.db",
        )
    shown = replace(task.start, demonstrations=labelled[:_MOST_SHOWN])
    prompts = {
        "start": (task.start, ()),
        "shown": (shown, ()),
        "search": (front.best.prompt, front.best.trial.offsets),
    }
    tested = {
        name: evaluator.evaluate(prompt, task.test, offsets).quality
        for name, (prompt, offsets) in prompts.items()
    }
    said = {
        "said": front.best.gain,
        "p": front.best.p_value,
        "dev": front.best.quality - front.start.quality,
    }
    tokens = {
        f"{name}_tokens": evaluator.tokens.of_prompt(prompt)
        for name, (prompt, _) in prompts.items()
    }
    return {"rows": rows, "draw": draw, "evaluations": front.evaluations} | tested | said | tokens


def summary(draws: list[dict[str, Any]]) -> str:
    """Return the draws of one size as a row of a Markdown table."""

    def mean(values: list[float]) -> str:
        return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")

    better = sum(draw["search"] > draw["shown"] for draw in draws)
    shown_tokens = fmean(draw["shown_tokens"] for draw in draws)
    search_tokens = fmean(draw["search_tokens"] for draw in draws)
    cells = (
        draws[0]["rows"],
        len(draws),
        *(mean([draw[name] for draw in draws]) for name in ("start", "shown", "search")),
        f"{better} of {len(draws)}",
        mean([draw["search"] - draw["start"] for draw in draws]),
        mean([draw["said"] for draw in draws]),
        mean([draw["dev"] for draw in draws]),
        f"{shown_tokens:.0f} / {search_tokens:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--rows", default="10,30,100")
    parser.add_argument("--draws", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--table", action="store_true", help="read what is there")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    evaluator: Evaluator | None = None
    draws_by_rows: dict[int, list[dict[str, Any]]] = {}
    for rows in map(int, options.rows.split(",")):
        for draw in map(int, options.draws.split(",")):
            path = options.out / f"few-{rows}-{draw}.json"
            if not path.exists() and not options.table:
                evaluator = evaluator or _evaluator(options.device)
                path.write_text(json.dumps(run(evaluator, rows, draw, options.budget)))
                print(path.read_text(), flush=True)
            if path.exists():
                draws_by_rows.setdefault(rows, []).append(json.loads(path.read_text()))
    print(
        "\n| rows | draws | start | rows shown | search | search > shown | gain | said | dev gain "
        "| tokens |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(map(summary, draws_by_rows.values())))
    print(json.dumps([draw for draws in draws_by_rows.values() for draw in draws]))


def _evaluator(device: str) -> Evaluator:
    from promptfront.search.assembly import make_evaluator
    from promptfront.search.data.load_task import load_task

    return make_evaluator(load_task("sentiment"), backend_options={"device": device})


if __name__ == "__main__":
    main()
