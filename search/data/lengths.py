"""Long inputs are cut to what a model's context leaves for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..contracts import Example, Task
from ..errors import InputError
from ..prompts.own import repeats
from ..prompts.render import render
from .duplicates import untaken

if TYPE_CHECKING:
    from ..contracts import Text

MAX_FIELD_TOKENS = 512
"""Of an input field, where the context has room: a page of text."""
_MIN_FIELD_TOKENS = 16
"""Less of an input says nothing."""


def shorten_inputs(
    task: Task,
    truncate: Callable[[str, int], str],
    count: Callable[[Sequence[str]], list[int]],
    max_tokens: int = MAX_FIELD_TOKENS,
    why: str = "",
) -> Task:
    """Return the task with no input field over ``max_tokens`` tokens.

    In dev and test a longer field is cut to its first ``max_tokens`` tokens; a training row that
    has one is dropped, or cut where no row is short. Both are counted in the task's notes, with
    ``why`` the limit is what it is, and so are rows that are the same as another once cut, which
    go.
    """
    long = _long_texts(task, count, max_tokens)
    if not long:
        return task
    cut = {text: truncate(text, max_tokens) for text in long}
    short = tuple(row for row in task.train if not _has(row, long))
    train_cut = 0 if short else len(task.train)
    short = short or _cut(task.train, cut)

    taken: set[str] = set()
    test = untaken(_cut(task.test, cut), taken)
    dev = untaken(_cut(task.dev, cut), taken)
    train = untaken(short, set() if task.shared else taken)
    for kept, given in ((train, task.train), (dev, task.dev), (test, task.test)):
        if given and not kept:
            raise InputError(
                f"{task.source}: expected inputs of at most {max_tokens} tokens, found too few; "
                "give rows with shorter inputs"
            )

    cut_rows = sum(_has(row, long) for row in (*task.dev, *task.test))
    same = len(task.test) + len(task.dev) + len(short) - len(test) - len(dev) - len(train)
    counts = (
        (
            cut_rows,
            f"dev or test rows over {max_tokens} tokens cut to their first {max_tokens}{why}",
        ),
        (train_cut, f"training rows over {max_tokens} tokens cut, because none is shorter{why}"),
        (len(task.train) - len(short), f"training rows over {max_tokens} tokens dropped{why}"),
        (same, "rows dropped because cutting made them duplicates"),
    )
    notes = tuple(f"{count} {what}" for count, what in counts if count)
    return replace(task, train=train, dev=dev, test=test, notes=task.notes + notes)


def _long_texts(
    task: Task, count: Callable[[Sequence[str]], list[int]], max_tokens: int
) -> frozenset[str]:
    # A token is at least one byte, so short texts need no counting.
    doubtful = [
        text for text in _texts(task) if len(text.encode("utf-8", "surrogatepass")) > max_tokens
    ]
    if not doubtful:
        return frozenset()
    lengths = zip(doubtful, count(doubtful), strict=True)
    return frozenset(text for text, tokens in lengths if tokens > max_tokens)


def _has(row: Example, texts: frozenset[str]) -> bool:
    return any(text in texts for _, text in row.inputs)


def _cut(rows: Sequence[Example], cut: Mapping[str, str]) -> tuple[Example, ...]:
    return tuple(
        replace(row, inputs=tuple((name, cut.get(text, text)) for name, text in row.inputs))
        for row in rows
    )


def field_limit(
    task: Task, count: Callable[[Sequence[Text]], list[int]], max_context: int, model: str
) -> tuple[int, str]:
    """Return how many tokens an input field may have, and why where it is not `MAX_FIELD_TOKENS`.

    Beside the starting prompt and an answer, inputs have half of a short context at most: the rest
    is for other prompts.

    Raises
    ------
    InputError
        If there is no room for any input.
    """
    answer = max(count(task.labels)) if task.labels else task.max_tokens
    start = count([render(task.start, dict.fromkeys(task.input_fields, ""))])[0]
    times = repeats(task.start, task.input_fields)
    room = (max_context - start - answer) // times
    if room >= len(task.input_fields) * MAX_FIELD_TOKENS:
        return MAX_FIELD_TOKENS, ""
    rows = _field_lengths(task, count)
    longest = _longest(rows, MAX_FIELD_TOKENS)
    if longest <= room and max_context >= 2 * MAX_FIELD_TOKENS:
        return MAX_FIELD_TOKENS, ""
    room = min(room, max_context // 2 // times)
    limits = range(MAX_FIELD_TOKENS, 0, -1)
    limit = next((limit for limit in limits if _longest(rows, limit) <= room), 0)
    if limit < min(_MIN_FIELD_TOKENS, longest):
        raise InputError(
            f"{task.source}: the starting prompt has {start} tokens and an answer {answer}, so the "
            f"context of {model} ({max_context} tokens) has no room for an input; shorten the "
            "prompt, or choose a `model` with a longer context"
        )
    return limit, f", because the context of {model} has {max_context}"


def _longest(rows: Iterable[Sequence[int]], limit: int) -> int:
    """Return the tokens of the longest row once its fields are cut to a limit."""
    return max(sum(min(tokens, limit) for tokens in fields) for fields in rows)


def _field_lengths(
    task: Task, count: Callable[[Sequence[Text]], list[int]]
) -> set[tuple[int, ...]]:
    """Return the tokens of the fields of each row, each combination once."""
    texts = _texts(task)
    tokens = dict(zip(texts, count(texts), strict=True))
    rows = (*task.train, *task.dev, *task.test)
    return {tuple(tokens[text] for _, text in row.inputs) for row in rows}


def _texts(task: Task) -> list[str]:
    """Return the different texts of all input fields, in an order of their own."""
    return sorted({text for row in (*task.train, *task.dev, *task.test) for _, text in row.inputs})
