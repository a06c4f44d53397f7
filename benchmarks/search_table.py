"""The records of benchmarks/search.py as a table: test accuracy by task, and what stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

Record = dict[str, Any]


def table(records: Sequence[Record]) -> str:
    """Return one row per optimizer: mean test accuracy over the seeds of each task, and means over the pieces."""
    if not records:
        return "no records yet"
    tasks = list(dict.fromkeys(record["task"] for record in records))
    head = ["optimizer", *tasks, "mean", "at 1/4", "dev - test", "tokens", "pairs", "seconds", "writing"]
    rows = [head, _row("start", records, tasks, lambda record: record["start"])]
    for optimizer in dict.fromkeys(record["optimizer"] for record in records):
        own = [record for record in records if record["optimizer"] == optimizer]
        rows.append(_row(optimizer, own, tasks, lambda record: record["held"]["1.0"]) + _behind(own, tasks))
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=False)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def _row(name: str, records: Sequence[Record], tasks: Sequence[str], held: Callable[[Record], Record]) -> list[str]:
    means = [_mean([held(r)["accuracy"] for r in records if r["task"] == task]) for task in tasks]
    complete = None not in means
    return [name, *map(_percent, means), _percent(fmean(m for m in means if m is not None) if complete else None)]


def _behind(records: Sequence[Record], tasks: Sequence[str]) -> list[str]:
    quarter = [r["held"]["0.25"]["accuracy"] for r in records if r["held"]["0.25"]]
    whole = {r["task"] for r in records if r["held"]["0.25"]} == set(tasks)
    return [
        _percent(fmean(quarter) if whole else None),
        f"{100 * fmean(r['dev'] - r['held']['1.0']['accuracy'] for r in records):+.1f}",
        f"{fmean(r['held']['1.0']['tokens'] for r in records):.0f}",
        f"{fmean(r['spent'] for r in records):.0f}",
        f"{fmean(r['seconds'] for r in records):.0f}",
        f"{fmean(r['proposer_seconds'] for r in records):.0f}",
    ]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
