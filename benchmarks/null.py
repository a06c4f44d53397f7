"""Tasks with nothing to find, and tasks with ten points to gain: what a search says of each.

What: the movie reviews with other labels, as many times as asked, and each time a search as
`--answers written`: how often it claims a gain, and what it says early on of what there is to gain.
Why: a tool that tries many prompts finds a lucky one; its report must not call it a gain, and it
should say so before the budget is spent - but not where there is something to find.

    python benchmarks/null.py --out runs --tasks 100               # nothing to find
    python benchmarks/null.py --out runs --tasks 100 --gain 0.1    # ten points to gain

The start shows four reviews, so that the model writes a label to nearly every row; eight other
instructions are tried first. Where nothing is to be found, the labels are shuffled over the rows.
Where there is, they are drawn so that the start is right on 65 % of the rows and one of the
instructions, another one each time, on so many more, by what the model really writes.
Demonstrations and proposals by the model are left out, so that all tasks try much the same prompts
and share their scores: what a model answers does not depend on the labels of the row.

A task that is done is a line of a file, the whole can be ended and continued. The last line of
stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from promptfront.search import load_task, optimize
from promptfront.search.assembly import make_backend, make_evaluator
from promptfront.search.contracts import usage_of
from promptfront.search.proposals.inventory import load_mutators
from promptfront.search.records.verdict import verdict
from promptfront.search.storage.database import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptfront.search.contracts import Backend, Example, Prompt, Task

ROWS = 100, 80, 200
SHOWN = 4
START = 0.65
"""What the start scores where there is something to gain."""
LEAST_DIFFERENCE = 0.15
"""Share of rows on which an instruction that is to be better must answer unlike the start."""
INSTRUCTIONS = (
    "Is the review positive or negative?",
    "Decide whether the reviewer liked the movie: positive or negative.",
    "Label each review as negative or positive.",
    "You are a film critic. Say whether the review is positive or negative.",
    "positive means praise, negative means criticism.",
    "Read the sentence and choose: negative or positive.",
    "Would the writer see the movie again? Answer positive for yes and negative for no.",
    "Sentiment analysis: positive, negative.",
)


def base_task() -> Task:
    """Return the reviews, as many of each label in each split, and a start that shows some.

    As many of each: else a prompt that favours the more frequent label would be truly better.
    """
    task = load_task("sentiment", answers="written")
    train, dev, test = (
        _even(part, most)
        for part, most in zip((task.train, task.dev, task.test), ROWS, strict=True)
    )
    shown = _even([row for row in task.train if row not in train], SHOWN)
    structure = replace(task.start.structure, layout="plain")
    start = replace(task.start, structure=structure, demonstrations=shown)
    return replace(
        task, start=start, instructions=INSTRUCTIONS, train=train, dev=dev, test=test, notes=()
    )


def _even(rows: Sequence[Example], most: int) -> tuple[Example, ...]:
    labels = sorted({row.target for row in rows})
    of_label = [[row for row in rows if row.target == label] for label in labels]
    return tuple(row for some in of_label for row in some[: most // len(labels)])


def shuffled(task: Task, seed: int) -> Task:
    """Return the task with the labels of each split shuffled over its rows."""
    rng = random.Random(seed)

    def shuffle(rows: Sequence[Example]) -> tuple[Example, ...]:
        targets = rng.sample([row.target for row in rows], len(rows))
        return tuple(replace(row, target=to) for row, to in zip(rows, targets, strict=True))

    return replace(task, train=shuffle(task.train), dev=shuffle(task.dev), test=shuffle(task.test))


def with_gain(
    task: Task, said: Mapping[Prompt, Mapping[Example, str]], gain: float, seed: int
) -> Task:
    """Return the task with labels by which one other instruction is better than the start.

    Parameters
    ----------
    task
        The task.
    said
        The label that the model writes to each row, with each instruction.
    gain
        By how much it is better, on each split.
    seed
        Chooses the instruction, and draws the labels.
    """
    rng, rows = random.Random(seed), (*task.train, *task.dev, *task.test)
    start = said[task.start]
    unlike = {p: fmean(start[row] != of[row] for row in rows) for p, of in said.items()}
    better = said[rng.choice([p for p, share in unlike.items() if share >= LEAST_DIFFERENCE])]

    def relabel(part: Sequence[Example]) -> tuple[Example, ...]:
        differ = [row for row in part if start[row] != better[row]]
        same = [row for row in part if start[row] == better[row]]
        won = round((len(differ) + gain * len(part)) / 2)
        right = round(START * len(part)) - (len(differ) - won)
        rng.shuffle(differ)
        rng.shuffle(same)
        gold = {row: better[row] for row in differ[:won]}
        gold |= {row: start[row] for row in differ[won:]}
        gold |= {row: start[row] for row in same[:right]}
        gold |= {row: _other(task, start[row]) for row in same[right:]}
        return tuple(replace(row, target=gold[row] or task.labels[0]) for row in part)

    return replace(task, train=relabel(task.train), dev=relabel(task.dev), test=relabel(task.test))


def _other(task: Task, label: str) -> str:
    return next(other for other in task.labels if other != label)


def written_labels(task: Task, backend: Backend, store: Store) -> dict[Prompt, dict[Example, str]]:
    """Return the label that the model writes to each row, with each instruction."""
    evaluator = make_evaluator(task, backend=backend, store=store)
    rows = (*task.train, *task.dev, *task.test)
    prompts = [task.start, *(replace(task.start, instruction=text) for text in INSTRUCTIONS)]
    return {p: dict(zip(rows, evaluator.chosen(p, rows, ()), strict=True)) for p in prompts}


def search(task: Task, backend: Backend, budget: int, storage: str, study: str) -> dict[str, Any]:
    """Search a task and return what is said of it."""
    without = [
        name
        for name, mutator in load_mutators(()).items()
        if mutator.gene == "demonstrations" or usage_of(mutator).asks_model
    ]
    front = optimize(
        task,
        backend=backend,
        budget=budget,
        without=without,
        storage=storage,
        study=study,
    )
    best, start = front.best, front.start
    return {
        "verdict": verdict(front),
        "claims": verdict(front).startswith("gain"),
        "hopeless": front.headroom is not None and not front.headroom.seen,
        "start": start.test.score if start.test else None,
        "dev": best.quality,
        "confirmation": best.confirmation.score if best.confirmation else None,
        "test": best.test.score if best.test else None,
    }


def main() -> None:
    """Search the tasks that are missing and count what is said of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--budget", type=int, default=24)
    parser.add_argument("--gain", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--dtype", default="auto")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    done = given.out / f"null-{given.gain}.jsonl"
    records = list(map(json.loads, done.read_text().splitlines())) if done.exists() else []
    task, storage = base_task(), f"sqlite:///{given.out}/null-{given.gain}.db"
    backend = make_backend("hf", None, {"dtype": given.dtype})
    said = written_labels(task, backend, Store(storage)) if given.gain else {}
    for seed in range(len(records), given.tasks):
        labelled = with_gain(task, said, given.gain, seed) if given.gain else shuffled(task, seed)
        record = search(labelled, backend, given.budget, storage, f"null-{seed}")
        print(seed, record["verdict"], flush=True)
        records.append(record)
        with done.open("a") as file:
            file.write(json.dumps(record) + "\n")
    print(json.dumps(summary(records[: given.tasks], given.gain)))


def summary(records: Sequence[dict[str, Any]], gain: float) -> dict[str, Any]:
    """Return how often a gain is claimed, and the mean scores of start and best prompt."""
    known = [record for record in records if record["confirmation"] is not None]
    means = {
        name: round(fmean(record[name] for record in known), 3)
        for name in ("start", "dev", "confirmation", "test")
        if known
    }
    return {
        "benchmark": "null",
        "tasks": len(records),
        "gain": gain,
        "claims": sum(record["claims"] for record in records),
        "nothing_to_gain": sum(record["hopeless"] for record in records),
    } | means


if __name__ == "__main__":
    main()
