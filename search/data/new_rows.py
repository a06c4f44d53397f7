"""Rows that come later, for prompts that are there already: read as those of their search were."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..contracts import Example
from ..errors import InputError
from .duplicates import deduplicate, join_references
from .examples import choose_columns, choose_labels, read_examples
from .rows import Row, labelled, read_rows
from .task_file import TaskFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cells import Tell

MUST_PASS = "must_pass"  # noqa: S105 (the name of a column)
"""The column that marks rows which no new prompt may lose, and what such a row carries."""
_YES = ("1", "true", "yes")
_NO = ("", "0", "false", "no")


def read_new_rows(
    source: str, inputs: Sequence[str], target: str, labels: Sequence[str], tell: Tell
) -> tuple[Example, ...]:
    """Return the rows of a file as examples; those that must pass carry `MUST_PASS`.

    Parameters
    ----------
    source
        A file or data set.
    inputs, target
        Its columns.
    labels
        The labels of the task; none for free text.
    tell
        Is told in a sentence what was left out, joined or taken for granted.

    Raises
    ------
    InputError
        If it cannot be read, or lacks a column, a label or an answer.
    """
    spec = TaskFile(
        "new rows",
        inputs=tuple((name, None) for name in inputs),
        target=target,
        labels=tuple((label, label) for label in labels),
    )
    rows = read_rows(source, tell=tell)
    columns = choose_columns(spec, rows, source)
    rows = labelled(rows, target, source, tell)
    named = choose_labels(spec, target, rows, source) if labels else None
    examples = [
        replace(example, hidden=((MUST_PASS, ""),)) if _must_pass(row) else example
        for row, example in zip(rows, read_examples(rows, columns, named), strict=True)
    ]
    examples.sort(key=must_pass, reverse=True)  # of rows of one input the first stays
    if named is None:
        examples = join_references(examples, source, tell)
    kept, notes = deduplicate(examples)
    for note in (*(named.notes() if named else ()), *notes):
        tell(note)
    if not kept:
        raise InputError(f"{source}: expected rows to score, but none is left")
    return kept


def must_pass(example: Example) -> bool:
    """Whether no new prompt may lose a row."""
    return any(name == MUST_PASS for name, _ in example.hidden)


def _must_pass(row: Row) -> bool:
    value = row.cells.get(MUST_PASS, "").strip().casefold()
    if value not in (*_YES, *_NO):
        raise InputError(
            f"{row.origin}: expected yes or no (true or false, 1 or 0) in {MUST_PASS!r}, "
            f"found {value!r}"
        )
    return value in _YES
