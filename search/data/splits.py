"""Train, dev and test: fixed by the seed, with no input in two of them - or few rows that are train and dev at once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..contracts import Example, Task
from ..errors import InputError
from ..prompts.render import render
from .cells import Tell

if TYPE_CHECKING:
    from ..contracts import Text

MIN_ROWS, FEW_ROWS = 8, 100
MOST_TOKENS, _LEAST_TOKENS = 512, 16
"""Of an input field: what is cut off beyond, and what is too few to say anything."""
_MIN_SPLIT = 2
_CONTRADICTION = "rows dropped whose input stands with different targets"


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
            f"{source}: expected at least {MIN_ROWS} different rows to divide into train, dev and test, found {len(unique)}{_why(notes)}"
        )
    rows = list(unique)
    random.Random(seed).shuffle(rows)  # noqa: S311 (not cryptography)
    n_test = min(sizes.test, round(0.4 * len(rows)))
    n_dev = min(sizes.dev, round(0.3 * len(rows)))
    test, dev, rest = rows[:n_test], rows[n_test : n_test + n_dev], rows[n_test + n_dev :]
    train, unused = rest[: sizes.train], rest[sizes.train :]
    _cover_labels(train, (unused, dev, test))
    notes += _unused("train", len(rest), sizes.train)
    return Splits(tuple(train), tuple(dev), tuple(test), notes)


def shared_rows(examples: Sequence[Example], seed: int) -> Splits | None:
    """Return few rows as train and dev at once, with no test; nothing where there are rows enough to divide.

    Of a hundred rows a fixed dev split would be thirty, and what is chosen by thirty rows is mostly luck. Here each row both
    teaches and judges: a prompt is judged by the rows that it does not show, and its gain is cross-fitted (`judging.cross_fit`).
    """
    unique, notes = deduplicate(examples)
    if not MIN_ROWS <= len(unique) <= FEW_ROWS:
        return None
    rows = tuple(random.Random(seed).sample(unique, len(unique)))  # noqa: S311 (not cryptography)
    note = f"{len(rows)} rows in all: each is for showing and for judging, a prompt is judged by those it does not show"
    return Splits(rows, rows, (), (*notes, note))


def _cover_labels(train: list[Example], others: Sequence[list[Example]]) -> None:
    """Swap rows until train, which demonstrations come from, holds every label it has room for."""
    counts = Counter(row.target for row in train)
    for rows in others:
        for place, row in enumerate(rows):
            if counts[row.target]:
                continue
            spare = next(
                (i for i in reversed(range(len(train))) if counts[train[i].target] > 1), None
            )
            if spare is None:
                return
            counts[train[spare].target] -= 1
            counts[row.target] += 1
            rows[place], train[spare] = train[spare], row


def _unused(name: str, found: int, limit: int) -> tuple[str, ...]:
    return (f"{found - limit} rows not used: {name} has at most {limit}",) if found > limit else ()


def given_splits(
    train: Sequence[Example],
    dev: Sequence[Example],
    test: Sequence[Example],
    sizes: Sizes,
    seed: int,
    source: str,
) -> Splits:
    """Use splits that are already made; what is missing is taken from ``train`` by the seed.

    An input that is in two of them stays in test before dev before train. Without ``train`` there is no train.
    """
    notes: tuple[str, ...] = ()
    if train and not (dev and test):
        made = split_rows(train, sizes, seed, source)
        notes += made.notes + tuple(
            f"{name} taken from train" for name, rows in (("dev", dev), ("test", test)) if not rows
        )
        train = [*made.train, *(made.dev if dev else ()), *(made.test if test else ())]
        dev, test = dev or made.dev, test or made.test
    kept: dict[str, tuple[Example, ...]] = {}
    taken: set[str] = set()
    removed = 0
    for name, rows in (("test", test), ("dev", dev), ("train", train)):
        unique, more = deduplicate(rows)
        notes += more
        kept[name] = _untaken(unique, taken)
        removed += len(unique) - len(kept[name])
        if len(kept[name]) < _MIN_SPLIT and (train or name != "train"):
            raise InputError(
                f"{source}: expected at least {_MIN_SPLIT} different rows in {name}, found {len(kept[name])}{_why(more)}"
            )
    if removed:
        notes += (f"{removed} rows removed that were in two splits",)
    # Given splits are shuffled all the same: a race looks at their first rows first, and files are often sorted by
    # label.
    rng = random.Random(seed)  # noqa: S311 (not cryptography)
    shuffled = {
        name: tuple(rng.sample(kept[name], len(kept[name]))) for name in ("train", "dev", "test")
    }
    for name, rows in shuffled.items():
        notes += _unused(name, len(rows), getattr(sizes, name))
    return Splits(
        **{name: rows[: getattr(sizes, name)] for name, rows in shuffled.items()}, notes=notes
    )


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
        (contradictory, _CONTRADICTION),
        (len(filled) - contradictory - len(kept), "duplicate rows dropped"),
    )
    return kept, tuple(f"{count} {what}" for count, what in counts if count)


def _why(notes: Sequence[str]) -> str:
    """Return what notes say of few rows, and what to do about it."""
    if not notes:
        return ""
    contradiction = any(note.endswith(_CONTRADICTION) for note in notes)
    return f" ({', '.join(notes)})" + ("; give each input one target" if contradiction else "")


def join_references(examples: Sequence[Example], source: str, tell: Tell) -> list[Example]:
    """Make one row of those with the same input and different targets: each target is an accepted answer.

    Inputs that differ only in white space or case are the same. This is for free text: of labels only one is right.
    """
    golds: dict[str, list[tuple[str, ...]]] = {}
    for example in examples:
        if folded := _folded(example).strip("\0"):
            golds.setdefault(folded, []).append(example.golds)
    several = {
        folded for folded, answers in golds.items() if len({frozenset(a) for a in answers}) > 1
    }
    kept, first = list[Example](), set[str]()
    for example in examples:
        folded = _folded(example).strip("\0")
        if folded not in several:
            kept.append(example)
        elif folded not in first:
            first.add(folded)
            target, *others = dict.fromkeys(gold for answers in golds[folded] for gold in answers)
            kept.append(replace(example, target=target, references=tuple(others)))
    if first:
        rows = len(examples) - len(kept) + len(first)
        tell(
            f"{source}: {rows} rows of the same inputs with different answers joined to {len(first)}"
        )
    return kept


def by_turns(rows: Sequence[Example]) -> tuple[Example, ...]:
    """Return the rows with their targets taking turns: a beginning of any length has about the mix of the whole."""
    counts, places = Counter(row.target for row in rows), list[float]()
    seen: Counter[str] = Counter()
    for row in rows:
        places.append((seen[row.target] + 0.5) / counts[row.target])
        seen[row.target] += 1
    return tuple(rows[i] for i in sorted(range(len(rows)), key=lambda i: places[i]))


def shorten_inputs(
    task: Task,
    truncate: Callable[[str, int], str],
    count: Callable[[Sequence[str]], list[int]],
    max_tokens: int = MOST_TOKENS,
    why: str = "",
) -> Task:
    """Return the task with no input field over ``max_tokens`` tokens.

    In dev and test a longer field is cut to its first ``max_tokens`` tokens; a training row that has one is dropped, or cut
    where no row is short. Both are counted in the task's notes, with ``why`` the limit is what it is, and so are rows that
    are the same as another once cut, which go.
    """
    texts = sorted({text for row in (*task.train, *task.dev, *task.test) for _, text in row.inputs})
    # A token is at least one byte, so short texts need no counting.
    doubtful = [text for text in texts if len(text.encode("utf-8", "surrogatepass")) > max_tokens]
    long = {
        text
        for text, n in zip(doubtful, count(doubtful) if doubtful else [], strict=True)
        if n > max_tokens
    }
    if not long:
        return task
    cut = {text: truncate(text, max_tokens) for text in long}
    short = tuple(row for row in task.train if not any(text in long for _, text in row.inputs))
    train_cut = 0 if short else len(task.train)
    short = short or _cut(task.train, cut)
    taken: set[str] = set()
    test, dev = (_untaken(rows, taken) for rows in (_cut(task.test, cut), _cut(task.dev, cut)))
    train = _untaken(short, set() if task.shared else taken)
    if not all(
        kept or not had for kept, had in ((train, task.train), (dev, task.dev), (test, task.test))
    ):
        raise InputError(
            f"{task.source}: too few rows have at most {max_tokens} tokens; give shorter rows"
        )
    counts = (
        (
            sum(any(text in long for _, text in row.inputs) for row in (*task.dev, *task.test)),
            f"dev or test rows over {max_tokens} tokens cut to their first {max_tokens}{why}",
        ),
        (train_cut, f"training rows over {max_tokens} tokens cut, as none is shorter{why}"),
        (len(task.train) - len(short), f"training rows over {max_tokens} tokens dropped{why}"),
        (
            len(task.test) + len(task.dev) + len(short) - len(test) - len(dev) - len(train),
            "rows dropped that are the same as another once cut",
        ),
    )
    notes = tuple(f"{count} {what}" for count, what in counts if count)
    return replace(task, train=train, dev=dev, test=test, notes=task.notes + notes)


def field_limit(
    task: Task, count: Callable[[Sequence[Text]], list[int]], max_context: int, model: str
) -> tuple[int, str]:
    """Return how many tokens an input field may have, and why where it is not `MOST_TOKENS`: what the model's context leaves.

    Beside the starting prompt and an answer, inputs have half of a short context at most: the rest is for other prompts.

    Raises
    ------
    InputError
        If there is no room for any input.
    """
    answer = max(count(task.labels)) if task.labels else task.max_tokens
    start = count([render(task.start, dict.fromkeys(task.input_fields, ""))])[0]
    room, fields = max_context - start - answer, len(task.input_fields)
    if room >= fields * MOST_TOKENS:
        return MOST_TOKENS, ""
    lengths = _field_lengths(task, count)
    longest = max(sum(min(n, MOST_TOKENS) for n in row) for row in lengths)
    if longest <= room and max_context >= 2 * MOST_TOKENS:
        return MOST_TOKENS, ""
    room = min(room, max_context // 2)
    limit = next(
        (
            n
            for n in range(MOST_TOKENS, 0, -1)
            if all(sum(min(i, n) for i in row) <= room for row in lengths)
        ),
        0,
    )
    if limit < min(_LEAST_TOKENS, longest):
        raise InputError(
            f"{task.source}: the starting prompt has {start} tokens and an answer {answer}, which leaves too few of the "
            f"{max_context} that {model} reads for an input; give a shorter `instructions`, or a `model` that reads more"
        )
    return limit, f", since {model} reads {max_context}"


def _field_lengths(task: Task, count: Callable[[Sequence[Text]], list[int]]) -> list[list[int]]:
    """Return the tokens of each field of each row."""
    rows = (*task.train, *task.dev, *task.test)
    texts = sorted({text for row in rows for _, text in row.inputs})
    lengths = dict(zip(texts, count(texts), strict=True))
    return [[lengths[text] for _, text in row.inputs] for row in rows]


def _cut(rows: Sequence[Example], cut: Mapping[str, str]) -> tuple[Example, ...]:
    return tuple(
        replace(row, inputs=tuple((name, cut.get(text, text)) for name, text in row.inputs))
        for row in rows
    )


def _untaken(rows: Sequence[Example], taken: set[str]) -> tuple[Example, ...]:
    """Return the rows whose inputs are not in ``taken``, and add theirs to it."""
    kept = []
    for row in rows:
        folded = _folded(row)
        if folded not in taken:
            taken.add(folded)
            kept.append(row)
    return tuple(kept)


def _folded(example: Example) -> str:
    return "\0".join(" ".join(text.split()).casefold() for _, text in example.inputs)
