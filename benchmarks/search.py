"""Search quality against real peers: the same rows, model, rule and budget of evaluations.

What: held-out accuracy of the prompt each optimizer returns, on six label tasks in English and
Chinese, with its dev score, prompt tokens, scored evaluations, what it would have returned with
less of the budget, and the hypervolume of its front. Why: a gain over the starting prompt says
little; the best of some random demonstration sets often has more.

    PROMPTFRONT_BENCH_DATA=DIR python benchmarks/search.py --out runs --seeds 0,1     # runs what is
    missing python benchmarks/search.py --out runs --table                                    #
    reads what is there

Each task, optimizer and seed is a piece of its own with a file of its own, so the whole can be
ended and continued. DIR holds NAME/{train,test}.jsonl with `input`, `target` and `choices` in each
line: SST-5, Subj, AG News and ChnSentiCorp as their authors split them, sports_understanding of
BIG-Bench Hard, and sentence_similarity of Honovich et al. 2023. The peers need `pip install
promptolution gepa dspy`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_arena import TASKS, Arena, Incumbent, load_bench_task
from search_table import SHARES, table

if TYPE_CHECKING:
    from promptfront.search.contracts import Prompt
    from promptfront.search.evaluation.evaluator import Evaluator

SIZES = 300, 100, 500
"""Rows of train, dev and test."""
DTYPE = "bfloat16"
"""Of the model, for everyone: faster than float32 where the results come from.

The label is the same on 99 % of the rows.
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """promptfront as it is, or with a part of it switched off."""

    calibrated: bool = False
    sampler: str = "tpe"
    without: tuple[str, ...] = ()
    racing: bool = True
    bandit: bool = True


OURS = {
    "promptfront": Variant(),
    "promptfront-calibrated": Variant(calibrated=True),
    "promptfront-random": Variant(sampler="random"),
    "promptfront-no-fitting": Variant(without=("fit-verbalizers",)),
    "promptfront-no-levelling": Variant(without=("debias-demonstrations",)),
    "promptfront-no-model": Variant(without=("paraphrase", "induce", "crossover")),
    "promptfront-no-racing": Variant(racing=False),
    "promptfront-no-bandit": Variant(bandit=False),
}
PEERS = (
    "initial",
    "random_demonstrations",
    "random_search",
    "capo",
    "evoprompt_ga",
    "mipro",
    "gepa",
)


def run_ours(arena: Arena, variant: Variant) -> list[Incumbent]:
    """Run promptfront on the arena's task; the test rows stay outside.

    As it is, it runs once with each share of the evaluations as its budget; with a part switched
    off, with all of them.
    """
    from promptfront.search import optimize
    from promptfront.search.options import Limits

    _switch_off(variant)
    task = replace(arena.task, test=arena.task.test[:2], instructions=arena.instructions[1:])
    held = []
    for share in (*(SHARES if variant == Variant() else ()), 1.0):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            front = optimize(
                task,
                backend=arena.evaluator.backend,
                budget=100_000,
                seed=arena.seed,
                sampler=variant.sampler,
                without=variant.without
                if variant.calibrated
                else (*variant.without, "calibration"),
                limits=Limits(max_evaluations=round(share * arena.evaluations)),
                storage=f"sqlite:///{folder}/study.db",
            )
        best = front.best
        claimed = best.confirmation.score if best.confirmation else best.quality
        held.append(
            Incumbent(front.evaluations, time.perf_counter() - started, best.prompt, claimed)
        )
    arena.spent = front.evaluations
    arena.front = [entry.prompt for entry in front.front]
    return held


def _switch_off(variant: Variant) -> None:
    """Take a part out of this process's promptfront: a user has no switch for these two."""
    from promptfront.search import budget
    from promptfront.search.proposals import composer

    if not variant.racing:
        budget.blocks = lambda examples: [examples]
    if not variant.bandit:
        setattr(  # noqa: B010
            composer, "choose_mutator", lambda mutators, _, __, rng: rng.choice(sorted(mutators))
        )


def run_peer(arena: Arena, name: str) -> list[Incumbent]:
    """Run a peer in the arena."""
    from search_peers import PEERS as ADAPTERS

    ADAPTERS[name](arena)
    held: list[Incumbent] = arena.incumbents
    arena.front = [incumbent.prompt for incumbent in held]
    return held


def run_piece(
    task_name: str, optimizer: str, seed: int, evaluations: int, data_dir: Path
) -> dict[str, Any]:
    """Run one optimizer on one task and return its record."""
    from promptfront.search.assembly import make_evaluator

    task = load_bench_task(task_name, data_dir, seed, SIZES)
    evaluator = make_evaluator(task, backend_options={"dtype": DTYPE})
    arena = Arena(evaluator, TASKS[task_name].instructions, evaluations, seed)
    started = time.perf_counter()
    ours = OURS.get(optimizer)
    held = run_ours(arena, ours) if ours else run_peer(arena, optimizer)
    seconds = held[-1].seconds if ours else time.perf_counter() - started
    tested = {
        share: _test(evaluator, _held_at(held, share * evaluations)) for share in (*SHARES, 1.0)
    }
    front = [
        _test(evaluator, Incumbent(0, 0, prompt, 0.0)) for prompt in dict.fromkeys(arena.front)
    ]
    return {
        "task": task_name,
        "optimizer": optimizer,
        "seed": seed,
        "evaluations": evaluations,
        "spent": arena.spent,
        "seconds": round(seconds, 1),
        "proposer_calls": arena.proposer_calls,
        "proposer_seconds": round(arena.proposer_seconds, 1),
        "dev": held[-1].quality,
        "held": tested,
        "front": [(record["tokens"], record["accuracy"]) for record in front if record],
        "start": _test(evaluator, Incumbent(0, 0, task.start, 0.0)),
    }


def _held_at(held: list[Incumbent], evaluations: float) -> Incumbent | None:
    return next((i for i in reversed(held) if i.evaluations <= evaluations), None)


def _test(evaluator: Evaluator, incumbent: Incumbent | None) -> dict[str, Any] | None:
    """Return a prompt's right and wrong test answers; calibration offsets come from dev inputs."""
    from promptfront.search.prompts.render import prompt_to_dict

    if incumbent is None:
        return None
    prompt: Prompt = incumbent.prompt
    offsets = evaluator.evaluate(prompt, evaluator.task.dev).offsets
    values = evaluator.evaluate(prompt, evaluator.task.test, offsets).values
    return {
        "accuracy": sum(values) / len(values),
        "right": "".join(str(int(value)) for value in values),
        "tokens": evaluator.tokens.of_prompt(prompt),
        "evaluations": incumbent.evaluations,
        "seconds": round(incumbent.seconds, 1),
        "prompt": prompt_to_dict(prompt),
    }


def main() -> None:
    """Run the missing pieces, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("PROMPTFRONT_BENCH_DATA"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument(
        "--optimizers", default=",".join(("promptfront", "promptfront-calibrated", *PEERS))
    )
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--table", action="store_true", help="print what is there and run nothing")
    parser.add_argument("--piece", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.table and options.data_dir is None:
        parser.error("expected --data-dir or PROMPTFRONT_BENCH_DATA: where the data sets are")
    if options.piece:
        task, optimizer, seed = options.piece.split(",")
        record = run_piece(task, optimizer, int(seed), options.evaluations, options.data_dir)
        _file(options.out, task, optimizer, seed).write_text(json.dumps(record, ensure_ascii=False))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    pieces = [
        (task, optimizer, seed)
        for seed in options.seeds.split(",")
        for task in options.tasks.split(",")
        for optimizer in options.optimizers.split(",")
    ]
    for piece in pieces:
        if not options.table and not _file(options.out, *piece).exists():
            print(*piece, flush=True)
            subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--piece", ",".join(piece)], check=False
            )
    print(table([json.loads(path.read_text()) for path in sorted(options.out.glob("*.json"))]))


def _file(out: Path, task: str, optimizer: str, seed: str) -> Path:
    return out / f"{task}-{optimizer}-{seed}.json"


if __name__ == "__main__":
    main()
