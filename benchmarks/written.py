"""Written against really generated: whether scores say what the model writes.

What: for 200 test rows of three tasks, the label that `--answers written` reads in one scoring pass
against the one read in a reply that was really generated, token by token; what it costs to ask of
each answer, while it is scored, whether it is what would be written; and what it saves that replies
go on from what was scored. Why: who pastes the prompt
gets replies, not log-likelihoods.

    export PROMPTFRONT_BENCH_DATA=DIR
    python benchmarks/written.py --model FOLDER --out runs
    python benchmarks/written.py --model NAME --backend openai --option base_url=URL --out runs

Each task has two prompts: its start, in chat where the model has a template, and one that a person
wrote with definitions and four examples. The last line of stdout is one JSON object; replies that
differ are in it. A task that is done lies in a file of its own, with all replies.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from search_arena import answer
from search_tasks import hand_prompts, load_bench_task

from promptfront.search.assembly import make_backend, make_evaluator
from promptfront.search.contracts import GreedyReader, Written
from promptfront.search.evaluation.answers import AnswerScores
from promptfront.search.evaluation.cached_model import WrittenRequest
from promptfront.search.evaluation.written import WrittenScores
from promptfront.search.prompts.render import render, stops

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptfront.search.contracts import Backend, Example, LikelihoodRequest, Prompt
    from promptfront.search.evaluation.evaluator import Evaluator

WAYS = (("seconds", "with", "without"), ("replies", "scored", "alone"))
"""What is timed in two ways, and which of them is divided by which."""
REPLY_TOKENS = 64
"""Of a really generated reply: more than a label and a sentence around it."""


def compare(evaluator: Evaluator, prompt: Prompt, rows: list[Example]) -> list[dict[str, Any]]:
    """Return both replies to each row, and the labels read in them."""
    labels, backend = evaluator.task.labels, evaluator.backend
    prompts = [render(prompt, row.inputs) for row in rows]
    replies = backend.generate(
        prompts, max_tokens=REPLY_TOKENS, temperature=0, seed=0, stop=stops(prompt.structure)
    )
    compared = []
    for row, output, reply in zip(rows, evaluator.measure([prompt], rows)[0], replies, strict=True):
        said, generated = answer(prompt, labels, output), answer(prompt, labels, reply)
        compared.append(
            {"row": row.id, "gold": row.target, "said": said.reply, "said_label": said.label}
            | {"generated": generated.reply, "generated_label": generated.label}
            | {"scored": isinstance(output, Written) and bool(output.logs)}
        )
    return compared


def flag_cost(
    evaluator: Evaluator, prompt: Prompt, rows: list[Example], repeats: int
) -> dict[str, list[float]]:
    """Return the seconds of scoring the answers, without and with what would be written.

    The two take turns, with the prompt's prefix known to both.
    """
    scoring, backend = evaluator.scoring, evaluator.backend
    if not isinstance(scoring, AnswerScores) or not _reads_greedily(backend):
        return {}
    requests = [scoring.likelihoods(evaluator.task, prompt, row) for row in rows]
    ways: dict[str, Callable[[list[LikelihoodRequest]], Any]] = {
        "without": backend.loglikelihoods,
        "with": getattr(backend, "greedy"),  # noqa: B009 (only some backends have it)
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(requests[:8])
    for _ in range(repeats):
        for name, way in ways.items():
            seconds[name].append(_took(partial(way, requests)))
    return seconds


def reply_cost(
    evaluator: Evaluator, prompt: Prompt, rows: list[Example], repeats: int
) -> dict[str, list[float]]:
    """Return the seconds of writing replies, alone and to prompts whose answers were just scored.

    The two take turns, with the prompt's prefix known to both.
    """
    scoring, backend = evaluator.scoring, evaluator.backend
    if not isinstance(scoring, WrittenScores) or not _reads_greedily(backend):
        return {}
    made = [scoring.request(evaluator.task, prompt, row) for row in rows]
    requests = [request for request in made if isinstance(request, WrittenRequest)]
    asked, reply = [request.likelihoods for request in requests], requests[0].reply
    before: dict[str, Callable[[list[LikelihoodRequest]], Any]] = {
        "alone": backend.loglikelihoods,
        "scored": getattr(backend, "greedy"),  # noqa: B009 (only some backends have it)
    }
    write = partial(
        backend.generate,
        [request.prompt for request in requests],
        max_tokens=reply.max_tokens,
        temperature=0,
        seed=0,
        stop=reply.stop,
    )
    seconds: dict[str, list[float]] = {name: [] for name in before}
    for _ in range(repeats):
        for name, score in before.items():
            score(asked)
            seconds[name].append(_took(write))
    return seconds


def _took(call: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _reads_greedily(backend: Backend) -> bool:
    return isinstance(backend, GreedyReader) and backend.reads_greedily


def run(task_name: str, given: argparse.Namespace, backend: Backend) -> dict[str, Any]:
    """Return what one task gives."""
    task = load_bench_task(task_name, given.data_dir, 0, (300, 100, given.rows), written=True)
    evaluator = make_evaluator(task, backend=backend)
    structure = evaluator.task.start.structure
    prompts = [evaluator.task.start, *hand_prompts(task_name, given.data_dir, structure)[-1:]]
    rows = list(evaluator.task.test)
    compared = [compare(evaluator, prompt, rows) for prompt in prompts]
    timed = rows[: given.timed]
    return {
        "task": task_name,
        "scoring": backend.scoring,
        "rows": len(rows),
        "agree": [sum(_same(row) for row in one) for one in compared],
        "without_writing": [sum(row["scored"] for row in one) for one in compared],
        "seconds": [flag_cost(evaluator, prompt, timed, given.repeats) for prompt in prompts],
        "replies": [reply_cost(evaluator, prompt, timed, given.repeats) for prompt in prompts],
        "compared": compared,
    }


def _same(row: dict[str, Any]) -> bool:
    return bool(row["said_label"] == row["generated_label"])


def main() -> None:
    """Compare what is missing and print what all of it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("PROMPTFRONT_BENCH_DATA"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--model")
    parser.add_argument("--backend", default="hf")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE of the backend")
    parser.add_argument("--tasks", default="sst5,subj,agnews")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--timed", type=int, default=200, help="rows that costs are of")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    if given.data_dir is None:
        parser.error("expected --data-dir or PROMPTFRONT_BENCH_DATA: where the data sets are")
    given.data_dir = Path(given.data_dir)
    given.out.mkdir(parents=True, exist_ok=True)
    backend: Backend | None = None
    records = []
    for name in given.tasks.split(","):
        path = given.out / f"written-{given.backend}-{name}.json"
        if not path.exists():
            backend = backend or make_backend(given.backend, given.model, _options(given.option))
            path.write_text(json.dumps(run(name, given, backend), ensure_ascii=False))
        records.append(json.loads(path.read_text()))
        print(_line(records[-1]), flush=True)
    print(json.dumps(_summary(records), ensure_ascii=False))


def _options(pairs: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        options[name] = int(value) if value.isdigit() else value
    return options


def _line(record: dict[str, Any]) -> str:
    flags, replies = (
        ", ".join(f"{ratio:.2f}" for ratio in _ratios([record], *ways)) or "-" for ways in WAYS
    )
    return (
        f"{record['task']}: of {record['rows']} rows {record['agree']} agree (start, by hand); "
        f"seconds with the flag / without: {flags}; replies after scoring / alone: {replies}"
    )


def _ratios(records: list[dict[str, Any]], of: str, one: str, other: str) -> list[float]:
    timed = [seconds for record in records for seconds in record[of] if seconds]
    return [median(seconds[one]) / median(seconds[other]) for seconds in timed]


def _summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for record in records for one in record["compared"] for row in one]
    flags, replies = (_ratios(records, *ways) for ways in WAYS)
    return {
        "benchmark": "written",
        "rows": len(rows),
        "agreement": sum(map(_same, rows)) / len(rows),
        "unread": sum(row["generated_label"] is None for row in rows),
        "flag_cost": median(flags) if flags else None,
        "replies_after_scoring": median(replies) if replies else None,
        "differ": [row for row in rows if not _same(row)],
    }


if __name__ == "__main__":
    main()
