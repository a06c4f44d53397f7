"""Pool, dev and test: fixed by the seed, with no input in two of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .contracts import Example, Task
from .errors import InputError

MIN_ROWS = 8
_MIN_SPLIT = 2


@dataclass(frozen=True, slots=True)
class Sizes:
    """The most rows each split may have."""

    pool: int = 2000
    dev: int = 300
    test: int = 1000

    def __post_init__(self) -> None:
        for name in ("pool", "dev", "test"):
            if getattr(self, name) < _MIN_SPLIT:
                raise InputError(f"sizes: expected {name} of at least {_MIN_SPLIT}, found {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Splits:
    """The three splits, and what was left out on the way."""

    pool: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    notes: tuple[str, ...] = ()


def split_rows(examples: Sequence[Example], sizes: Sizes, seed: int, source: str) -> Splits:
    """Divide rows by the seed: test at most 40 %, dev at most 30 %, the rest pool.

    Raises
    ------
    InputError
        If there are too few rows.
    """
    unique, notes = deduplicate(examples)
    if len(unique) < MIN_ROWS:
        raise InputError(
            f"{source}: expected at least {MIN_ROWS} different rows to divide into pool, dev and test, found {len(unique)}"
        )
    rows = list(unique)
    random.Random(seed).shuffle(rows)  # noqa: S311 (not cryptography)
    test = min(sizes.test, round(0.4 * len(rows)))
    dev = min(sizes.dev, round(0.3 * len(rows)))
    rest = rows[test + dev :]
    return Splits(tuple(rest[: sizes.pool]), tuple(rows[test : test + dev]), tuple(rows[:test]), notes)


def given_splits(
    train: Sequence[Example], dev: Sequence[Example], test: Sequence[Example], sizes: Sizes, seed: int, source: str
) -> Splits:
    """Use splits that are already made; what is missing is taken from ``train`` by the seed.

    An input that is in two of them stays in test before dev before pool.
    """
    notes: tuple[str, ...] = ()
    if not dev or not test:
        made = split_rows(train, sizes, seed, source)
        notes += made.notes + tuple(
            f"{name} taken from train" for name, rows in (("dev", dev), ("test", test)) if not rows
        )
        train = [*made.pool, *(made.dev if dev else ()), *(made.test if test else ())]
        dev, test = dev or made.dev, test or made.test
    kept: dict[str, tuple[Example, ...]] = {}
    taken: set[str] = set()
    removed = 0
    for name, rows in (("test", test), ("dev", dev), ("pool", train)):
        unique, more = deduplicate(rows)
        notes += more
        kept[name] = tuple(row for row in unique if _folded(row) not in taken)
        removed += len(unique) - len(kept[name])
        taken |= {_folded(row) for row in kept[name]}
        if len(kept[name]) < _MIN_SPLIT:
            raise InputError(
                f"{source}: expected at least {_MIN_SPLIT} different rows in {name}, found {len(kept[name])}"
            )
    if removed:
        notes += (f"{removed} rows removed that were in two splits",)
    # Given splits are shuffled all the same: a race looks at their first rows first, and files are often sorted by
    # label.
    rng = random.Random(seed)  # noqa: S311 (not cryptography)
    pool, dev, test = (tuple(rng.sample(kept[name], len(kept[name]))) for name in ("pool", "dev", "test"))
    return Splits(pool[: sizes.pool], tuple(dev)[: sizes.dev], tuple(test)[: sizes.test], notes)


def deduplicate(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Drop rows without input, repeated inputs, and inputs that stand with different targets; say how many.

    Inputs that differ only in white space or case are the same.
    """
    filled = [e for e in examples if any(text.strip() for _, text in e.inputs)]
    targets: dict[str, set[str]] = {}
    for example in filled:
        targets.setdefault(_folded(example), set()).add(example.target)
    first = {_folded(e): e for e in reversed(filled)}
    kept = tuple(e for e in filled if first[_folded(e)] is e and len(targets[_folded(e)]) == 1)
    contradictory = sum(len(targets[_folded(e)]) > 1 for e in filled)
    counts = (
        (len(examples) - len(filled), "rows without input dropped"),
        (contradictory, "rows dropped whose input stands with different targets"),
        (len(filled) - contradictory - len(kept), "duplicate rows dropped"),
    )
    return kept, tuple(f"{count} {what}" for count, what in counts if count)


def shorten_inputs(
    task: Task, truncate: Callable[[str, int], str], count: Callable[[Sequence[str]], list[int]], max_tokens: int = 512
) -> Task:
    """Return the task with no input field over ``max_tokens`` tokens.

    In dev and test a longer field is cut to its first ``max_tokens`` tokens; a pool row that has one is dropped. Both
    are counted in the task's notes.
    """
    texts = sorted({text for row in (*task.pool, *task.dev, *task.test) for _, text in row.inputs})
    # A token is at least one byte, so short texts need no counting.
    doubtful = [text for text in texts if len(text.encode("utf-8", "surrogatepass")) > max_tokens]
    long = {text for text, n in zip(doubtful, count(doubtful) if doubtful else [], strict=True) if n > max_tokens}
    if not long:
        return task
    cut = {text: truncate(text, max_tokens) for text in long}

    def shorten(rows: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(
            replace(row, inputs=tuple((name, cut.get(text, text)) for name, text in row.inputs)) for row in rows
        )

    pool = tuple(row for row in task.pool if not any(text in long for _, text in row.inputs))
    if not pool:
        raise InputError(f"{task.source}: every pool row is over {max_tokens} tokens; give shorter rows")
    changed = sum(any(text in long for _, text in row.inputs) for row in (*task.dev, *task.test))
    notes = [f"{changed} dev or test rows over {max_tokens} tokens cut to their first {max_tokens}"] if changed else []
    notes += (
        [f"{len(task.pool) - len(pool)} pool rows over {max_tokens} tokens dropped"]
        if len(pool) < len(task.pool)
        else []
    )
    return replace(task, pool=pool, dev=shorten(task.dev), test=shorten(task.test), notes=(*task.notes, *notes))


def _folded(example: Example) -> str:
    return "\0".join(" ".join(text.split()).casefold() for _, text in example.inputs)
