"""Racing rules on scored matrices of real candidates: how often each loses the best, at what cost.

What: candidates from promptfront's own mutators are scored on all dev rows of a few tasks; then
every rule replays the race in many orders of the rows. Why: whether a rule is fast says nothing
unless it also keeps the best candidate.

    PROMPTFRONT_BENCH_DATA=DIR python benchmarks/racing.py --out matrices

A rule's setting is swept; what counts is the fewest evaluations (a candidate on an example) with
which it returns a candidate of the highest mean over all rows in at least 95 % of the replays. The
last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from racing_rules import RULES, Matrix, replay
from search_tasks import TASKS, load_bench_task

if TYPE_CHECKING:
    from promptfront.search.contracts import MutationContext, Prompt
    from promptfront.search.evaluation.evaluator import Evaluator

CANDIDATES, ROWS = 64, 150
DTYPE = "bfloat16"


def candidates(evaluator: Evaluator, instructions: tuple[str, ...]) -> list[Prompt]:
    """Return what an undirected search would try, from several starting instructions."""
    from promptfront.search.contracts import Candidate, MutationContext
    from promptfront.search.proposals.composer import Composer
    from promptfront.search.proposals.inventory import load_mutators
    from promptfront.search.records.trials import History, Tried

    start = evaluator.task.start
    front = (Candidate(start, 0.0, evaluator.tokens.of_prompt(start)),)

    def context(rng: random.Random) -> MutationContext:
        return MutationContext(
            evaluator.task,
            front,
            rng,
            lambda prompts, _: [""] * len(prompts),
            evaluator.probes.losses,
            lambda prompt: evaluator.probes.label_bias(prompt, known=True),
        )

    composer = Composer(load_mutators((), ("calibration",)), "random", 0, context)
    tried, batch = Tried(), 0
    for instruction in instructions:
        tried.add(replace(start, instruction=instruction))
    while len(tried.prompts) < CANDIDATES:
        batch += 1
        for proposal in composer.compose(batch, 8, tried, History()):
            if proposal.prompt:
                tried.add(proposal.prompt)
    return list(tried.prompts)[:CANDIDATES]


def scored(name: str, data_dir: Path, out: Path) -> Matrix:
    """Return the candidates' log-likelihoods on a task's rows, scored once and kept."""
    path = out / f"{name}.npz"
    if not path.exists():
        from promptfront.search.assembly import make_evaluator

        evaluator = make_evaluator(
            load_bench_task(name, data_dir, 0, (300, ROWS, 2)), backend_options={"dtype": DTYPE}
        )
        task, outputs = evaluator.task, []
        for prompt in candidates(evaluator, TASKS[name].instructions):
            outputs.append(evaluator.measure([prompt], task.dev)[0])
            print(name, len(outputs), evaluator.evaluate(prompt, task.dev).quality, flush=True)
        np.savez(
            path,
            outputs=np.array(outputs),
            gold=np.array([task.labels.index(row.target) for row in task.dev]),
        )
    with np.load(path) as kept:
        return Matrix(kept["outputs"], kept["gold"])


def main() -> None:
    """Score the matrices, replay every rule on them and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("PROMPTFRONT_BENCH_DATA"))
    parser.add_argument("--out", type=Path, default=Path("matrices"))
    parser.add_argument("--tasks", default="subj,agnews,sst5")
    parser.add_argument("--replays", type=int, default=200)
    options = parser.parse_args()
    if options.data_dir is None:
        parser.error("expected --data-dir or PROMPTFRONT_BENCH_DATA: where the data sets are")
    options.out.mkdir(parents=True, exist_ok=True)
    matrices = [
        scored(name, Path(options.data_dir), options.out) for name in options.tasks.split(",")
    ]
    print(f"{'rule':24} {'setting':>8} {'best lost':>9} {'evaluations':>11}")
    rows = []
    for rule, (_, settings) in RULES.items():
        for setting in settings:
            lost, evaluations = replay(rule, setting, matrices, options.replays)
            print(
                f"{rule:24} {setting:8g} {100 * lost:7.1f} % {100 * evaluations:9.1f} %", flush=True
            )
            rows.append(
                {"rule": rule, "setting": setting, "lost": lost, "evaluations": evaluations}
            )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
