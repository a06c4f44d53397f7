"""Train, dev and test: fixed by the seed, and no input is in two of them.

Of few rows all are train and dev at once.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..contracts import Example
from ..errors import InputError
from .duplicates import CONTRADICTION, deduplicate, untaken

MIN_ROWS = 8
"""Divided, these are 3 train, 2 dev and 3 test: the least that a search makes sense on."""
FEW_ROWS = 100
"""Up to here rows are shared; benchmarks/few_rows.py measures what a search makes of them."""
_MIN_SPLIT = 2
_TEST_SHARE = 0.4
_DEV_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Sizes:
    """The most rows each split may have."""

    train: int = 2000
    dev: int = 300
    test: int = 1000

    def __post_init__(self) -> None:
        for name in ("train", "dev", "test"):
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool) or size < _MIN_SPLIT:
                raise InputError(f"sizes: expected {name} of at least {_MIN_SPLIT}, found {size}")


@dataclass(frozen=True, slots=True)
class Splits:
    """The three splits, and what was left out on the way."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    notes: tuple[str, ...] = ()


def split_rows(examples: Sequence[Example], sizes: Sizes, seed: int, source: str) -> Splits:
    """Divide rows by the seed: test at most 40 %, dev at most 30 %, the rest train.

    Where a label is missing from train, one of its rows changes places with one of another label.

    Raises
    ------
    InputError
        If there are too few rows.
    """
    unique, notes = deduplicate(examples)
    if len(unique) < MIN_ROWS:
        raise InputError(
            f"{source}: expected at least {MIN_ROWS} different rows to divide into train, dev "
            f"and test, found {len(unique)}{_why(notes)}"
        )
    rows = list(unique)
    random.Random(seed).shuffle(rows)  # noqa: S311 (not cryptography)
    n_test = min(sizes.test, round(_TEST_SHARE * len(rows)))
    n_dev = min(sizes.dev, round(_DEV_SHARE * len(rows)))
    test, dev, rest = rows[:n_test], rows[n_test : n_test + n_dev], rows[n_test + n_dev :]
    train, unused = rest[: sizes.train], rest[sizes.train :]
    _cover_labels(train, (unused, dev, test))
    notes += _unused("train", len(rest), sizes.train)
    return Splits(tuple(train), tuple(dev), tuple(test), notes)


def shared_rows(examples: Sequence[Example], seed: int) -> Splits | None:
    """Return few rows as train and dev at once, with no test; None where there are enough.

    Of a hundred rows a fixed dev split would be thirty, and what is chosen by thirty rows is mostly
    luck. Here a prompt is scored on the rows that it does not show, and its gain is cross-fitted.
    """
    unique, notes = deduplicate(examples)
    if not MIN_ROWS <= len(unique) <= FEW_ROWS:
        return None
    rows = tuple(random.Random(seed).sample(unique, len(unique)))  # noqa: S311 (not cryptography)
    note = (
        f"only {len(rows)} rows, so they are not split: a prompt may show some of them and is "
        "scored on the others"
    )
    return Splits(rows, rows, (), (*notes, note))


def _cover_labels(train: list[Example], others: Sequence[list[Example]]) -> None:
    """Swap rows until train, which demonstrations come from, holds every label it has room for."""
    counts = Counter(row.target for row in train)
    for rows in others:
        for place, row in enumerate(rows):
            if counts[row.target]:
                continue
            last_first = reversed(range(len(train)))
            spare = next((i for i in last_first if counts[train[i].target] > 1), None)
            if spare is None:
                return
            counts[train[spare].target] -= 1
            counts[row.target] += 1
            rows[place], train[spare] = train[spare], row


def _unused(name: str, count: int, limit: int) -> tuple[str, ...]:
    return (f"{count - limit} rows not used: {name} has at most {limit}",) if count > limit else ()


def given_splits(
    train: Sequence[Example],
    dev: Sequence[Example],
    test: Sequence[Example],
    sizes: Sizes,
    seed: int,
    source: str,
) -> Splits:
    """Use splits that are already made; what is missing is taken from ``train`` by the seed.

    An input that is in two of them stays in test before dev before train. Without ``train`` there
    is no train.
    """
    notes: tuple[str, ...] = ()
    if train and not (dev and test):
        made = split_rows(train, sizes, seed, source)
        missing = [name for name, rows in (("dev", dev), ("test", test)) if not rows]
        notes += (*made.notes, *(f"{name} taken from train" for name in missing))
        train = [*made.train, *(made.dev if dev else ()), *(made.test if test else ())]
        dev, test = dev or made.dev, test or made.test
    kept, more = _disjoint({"test": test, "dev": dev, "train": train}, source)
    notes += more
    # A race looks at the first rows first, and files are often sorted by label.
    rng = random.Random(seed)  # noqa: S311 (not cryptography)
    splits = {}
    for name in ("train", "dev", "test"):
        rows = rng.sample(kept[name], len(kept[name]))
        limit = getattr(sizes, name)
        notes += _unused(name, len(rows), limit)
        splits[name] = tuple(rows[:limit])
    return Splits(**splits, notes=notes)


def _disjoint(
    splits: dict[str, Sequence[Example]], source: str
) -> tuple[dict[str, tuple[Example, ...]], tuple[str, ...]]:
    """Return the splits without inputs that one before has, and notes on what that leaves out."""
    kept: dict[str, tuple[Example, ...]] = {}
    notes: tuple[str, ...] = ()
    taken: set[str] = set()
    removed = 0
    for name, rows in splits.items():
        unique, more = deduplicate(rows)
        notes += more
        kept[name] = untaken(unique, taken)
        removed += len(unique) - len(kept[name])
        if len(kept[name]) < _MIN_SPLIT and (rows or name != "train"):
            raise InputError(
                f"{source}: expected at least {_MIN_SPLIT} different rows in {name}, "
                f"found {len(kept[name])}{_why(more)}"
            )
    if removed:
        notes += (f"{removed} rows removed because another split has them",)
    return kept, notes


def _why(notes: Sequence[str]) -> str:
    """Return what notes say of few rows, and what to do about it."""
    if not notes:
        return ""
    contradiction = any(note.endswith(CONTRADICTION) for note in notes)
    return f" ({', '.join(notes)})" + ("; give each input one target" if contradiction else "")


def by_turns(rows: Sequence[Example]) -> tuple[Example, ...]:
    """Return the rows with their targets taking turns.

    A beginning of any length then has about the mix of the whole.
    """
    counts = Counter(row.target for row in rows)
    seen: Counter[str] = Counter()
    turns = []
    for row in rows:
        turns.append((seen[row.target] + 0.5) / counts[row.target])
        seen[row.target] += 1
    order = sorted(range(len(rows)), key=turns.__getitem__)
    return tuple(rows[i] for i in order)
