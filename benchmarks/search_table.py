"""The records of benchmarks/search.py as a table: test accuracy by task, and what is behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from statistics import fmean, variance
from typing import Any

Record = dict[str, Any]
SHARES = 0.1, 0.25, 0.5
"""Parts of the budget at which the prompt held is tested too."""
_BEHIND = (
    "below start",
    "dev - test",
    "hypervolume",
    "tokens",
    "evaluations",
    "seconds",
    "writing",
    "read, k",
    "written, k",
)
"""Runs below the start, means over runs, and thousands of tokens that the model read and wrote."""
_MOST_TOKENS = 1000


def table(records: Sequence[Record]) -> str:
    """Return a row per optimizer: mean test accuracy over the seeds of each task, other means.

    The lead of the first optimizer over each other one is that on the pieces that both have, with a
    95 % interval for other test rows; it does not say what other seeds would change.
    """
    if not records:
        return "no records yet"
    tasks = list(dict.fromkeys(record["task"] for record in records))
    head = ["optimizer", *tasks, "mean", "lead", *(f"at {share}" for share in SHARES), *_BEHIND]
    rows = [head, _row("start", records, tasks, lambda record: record["start"])]
    names = sorted(
        {record["optimizer"] for record in records}, key=lambda name: (name != "promptfront", name)
    )
    first = [record for record in records if record["optimizer"] == names[0]]
    for name in names:
        own = [record for record in records if record["optimizer"] == name]
        row = _row(name, own, tasks, lambda record: record["held"]["1.0"])
        rows.append([*row, _lead(first, own) if name != names[0] else "", *_behind(own, tasks)])
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _row(
    name: str, records: Sequence[Record], tasks: Sequence[str], held: Callable[[Record], Record]
) -> list[str]:
    means = [_mean([held(r)["accuracy"] for r in records if r["task"] == task]) for task in tasks]
    complete = None not in means
    return [
        name,
        *map(_percent, means),
        _percent(fmean(m for m in means if m is not None) if complete else None),
    ]


def _lead(ours: Sequence[Record], theirs: Sequence[Record]) -> str:
    """Return the mean difference over tasks and its half interval over test rows.

    It is that of what both did with the same seed.
    """
    right = {(r["task"], r["seed"]): [int(c) for c in r["held"]["1.0"]["right"]] for r in ours}
    by_task: dict[str, list[list[int]]] = {}
    for record in theirs:
        if own := right.get((record["task"], record["seed"])):
            other = map(int, record["held"]["1.0"]["right"])
            by_task.setdefault(record["task"], []).append(
                [a - b for a, b in zip(own, other, strict=True)]
            )
    if not by_task:
        return "-"
    rows = [[fmean(seeds) for seeds in zip(*pieces, strict=True)] for pieces in by_task.values()]
    error = sqrt(sum(variance(row) / len(row) for row in rows)) / len(rows)
    return f"{100 * fmean(map(fmean, rows)):+.1f} ± {196 * error:.1f}"


def _behind(records: Sequence[Record], tasks: Sequence[str]) -> list[str]:
    return [
        *(_percent(_at(records, tasks, share)) for share in SHARES),
        f"{sum(map(below_start, records))} of {len(records)}",
        f"{100 * fmean(r['dev'] - r['held']['1.0']['accuracy'] for r in records):+.1f}",
        _percent(_mean([hypervolume(_points(r)) for r in records if r.get("front")])),
        f"{fmean(r['held']['1.0']['tokens'] for r in records):.0f}",
        f"{fmean(r['spent'] for r in records):.0f}",
        f"{fmean(r['seconds'] for r in records):.0f}",
        f"{fmean(r['proposer_seconds'] for r in records):.0f}",
        f"{fmean(r.get('read', 0) for r in records) / 1000:.0f}",
        f"{fmean(r.get('written', 0) for r in records) / 1000:.0f}",
    ]


def below_start(record: Record) -> bool:
    """Whether a run ended with a prompt that scores less on the test rows than the start."""
    return bool(record["held"]["1.0"]["accuracy"] < record["start"]["accuracy"])


def _at(records: Sequence[Record], tasks: Sequence[str], share: float) -> float | None:
    """Return the mean accuracy with a part of the budget, if there is one for each task."""
    held = [(record["task"], record["held"].get(str(share))) for record in records]
    means = [
        _mean(
            [held_prompt["accuracy"] for name, held_prompt in held if name == task and held_prompt]
        )
        for task in tasks
    ]
    known = [mean for mean in means if mean is not None]
    return fmean(known) if len(known) == len(tasks) else None


def hypervolume(front: Sequence[tuple[int, float]]) -> float:
    """Return the share of the square that the prompts dominate.

    It reaches from no tokens to `_MOST_TOKENS`, from accuracy 0 to 1.
    """
    area, best, ordered = (
        0.0,
        0.0,
        sorted((tokens, accuracy) for tokens, accuracy in front if tokens < _MOST_TOKENS),
    )
    for tokens, accuracy in ordered:
        area += max(0.0, accuracy - best) * (1 - tokens / _MOST_TOKENS)
        best = max(best, accuracy)
    return area


def _points(record: Record) -> list[tuple[int, float]]:
    return [(prompt["tokens"], prompt["accuracy"]) for prompt in record["front"]]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
