"""Every built-in task with one command: the starting against the chosen prompt on test rows.

What: `optimize --task T --budget 30` on the default model, and what a gold and an empty answer
score there. Why: a task is built in when it runs from an installed package and ends with a front,
whatever it asks for.

    python benchmarks/tasks.py --out runs                         # runs what is missing
    python benchmarks/tasks.py --out runs --tasks summarize,qa    # these alone
    python benchmarks/tasks.py --out runs --table                 # reads what is there

A run that ended lies in a file of its own; `--storage` of each is beside it, so the whole can be
ended and continued. Where the hub cannot be reached, `keywords` takes the same rows from
``DIR/keywords_inspec/{train,test}.jsonl`` (PROMPTFRONT_BENCH_DATA or ``--data-dir``), with `input`,
which holds title and abstract, and `references` in each line.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptfront.search.contracts import Task
    from promptfront.search.records.results import Entry

TASKS = (
    "summarize,sentiment-zh,qa,math,poem,keywords,story,news,topic,qa-choice,sentiment,"
    "code-complete,code-doc,code-translate"
)


def load(name: str, data_dir: Path | None) -> Task:
    """Return a built-in task."""
    from promptfront.search.data.load_task import load_task

    if name != "keywords" or data_dir is None:
        return load_task(name)
    from promptfront.search.contracts import Example
    from promptfront.search.tasks.answering import keywords

    def read() -> list[Example]:
        lines = [
            json.loads(line)
            for split in ("train", "test")
            for line in (data_dir / "keywords_inspec" / f"{split}.jsonl")
            .read_text("utf-8")
            .splitlines()
        ]
        return [
            Example(
                (("text", line["input"]),), ", ".join(line["references"]), tuple(line["references"])
            )
            for line in lines
        ]

    start = replace(
        keywords.start, structure=replace(keywords.start.structure, input_labels=("Abstract",))
    )
    return replace(keywords, read=read, start=start)()


def sanity(task: Task) -> tuple[float | None, float | None]:
    """Return the mean scores of gold and of empty answers; nothing for tasks with labels."""
    from promptfront.search.contracts import ReplyScorer
    from promptfront.search.scoring import load_scorer

    scorer = load_scorer(task.scorer)
    if not isinstance(scorer, ReplyScorer):
        return None, None
    golds = scorer.score_replies(task.test, [row.target for row in task.test])
    empty = scorer.score_replies(task.test, [""] * len(task.test))
    return fmean(value or 0.0 for value in golds), fmean(value or 0.0 for value in empty)


def run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Search for a task's prompt and return what is to be reported."""
    from promptfront.search import optimize

    started, task = time.monotonic(), load(name, options.data_dir)
    front = optimize(
        task,
        budget=options.budget,
        backend_options={"device": options.device},
        storage=f"sqlite:///{options.out}/{name}.db",
    )
    gold, empty = sanity(task)
    return {
        "task": name,
        "scorer": task.scorer,
        "gold": gold,
        "empty": empty,
        "front": len(front.front),
        "start": _entry(front.start),
        "best": _entry(front.best) | {"gain": front.best.gain, "p": front.best.p_value},
        "evaluations": front.evaluations,
        "seconds": round(time.monotonic() - started),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return entry.to_dict() | {"demonstrations": len(entry.prompt.demonstrations)}


def row(record: dict[str, Any]) -> str:
    """Return a run as a row of a Markdown table."""
    start, best = record["start"], record["best"]
    known = "" if record["gold"] is None else f"{record['gold']:.2f} / {record['empty']:.2f}"
    kept = best["test"]["constraints_met"]
    cells = (
        record["task"],
        record["scorer"],
        known,
        f"{start['test']['score']:.3f}",
        f"{best['test']['score']:.3f} ({best['test']['low']:.3f}-{best['test']['high']:.3f})",
        f"{best['gain']:+.3f} (p={best['p']:.2g})",
        best["test"]["n"],
        f"{start['tokens']} → {best['tokens']}",
        best["demonstrations"],
        "" if kept is None else f"{kept:.0%}",
        record["front"],
        record["seconds"],
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("PROMPTFRONT_BENCH_DATA"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.data_dir = options.data_dir and Path(options.data_dir)
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in options.tasks.split(","):
        path = options.out / f"{name}.json"
        if not path.exists() and not options.table:
            path.write_text(json.dumps(run(name, options), ensure_ascii=False))
            print(row(json.loads(path.read_text())), flush=True)
        if path.exists():
            results.append(json.loads(path.read_text()))
    print(
        "\n| task | metric | gold / empty | start | chosen (95 %) | gain | rows | tokens | demos "
        "| constraints met | front | s |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(map(row, results)))
    print(json.dumps(results, ensure_ascii=False))


if __name__ == "__main__":
    main()
