"""From rows to examples: which columns are input and target, and what their answers say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..contracts import Example
from ..errors import InputError
from ..plugins import closest
from .labels import Spellings, fold, quoted
from .rows import Row, is_list
from .task_file import TaskFile

_INPUT_NAMES = ("text", "input", "sentence", "review", "content", "question", "document", "文本")
TARGET_NAMES = ("label", "target", "sentiment", "category", "class", "answer", "output", "标签")
_MAX_LABELS = 50
"""More different values look like free text, unless the user says that they are labels."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The target column and the input columns, these with the labels that the user gives them."""

    inputs: tuple[tuple[str, str | None], ...]
    target: str

    @property
    def input_names(self) -> tuple[str, ...]:
        """The input columns alone."""
        return tuple(name for name, _ in self.inputs)


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels, each with its text in a prompt, and how rows spell them."""

    texts: Mapping[str, str]
    spellings: Spellings

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of the spellings."""
        return self.spellings.notes()


def choose_columns(spec: TaskFile, rows: Sequence[Row], source: str) -> Columns:
    """Return the columns that the user names, or those whose names leave no doubt.

    Raises
    ------
    InputError
        If there is no such column, one is named twice, or it is not clear which it is.
    """
    names = list(dict.fromkeys(name for row in rows for name in (*row.cells, *row.gaps)))
    inputs = spec.inputs
    if not inputs:
        inputs = ((_guess(names, _INPUT_NAMES, "input", source, {spec.target}), None),)
    columns = [name for name, _ in inputs]
    target = spec.target or _guess(names, TARGET_NAMES, "target", source, set(columns))
    for name in (*columns, target):
        if name not in names:
            raise InputError(
                f"{source}: there is no column {name!r}{closest(name, names)}; "
                f"the columns are {', '.join(names)}"
            )
    if len(set(columns)) < len(columns):
        raise InputError(f"{source}: expected different input columns, found {', '.join(columns)}")
    if target in columns:
        raise InputError(f"{source}: the column {target!r} cannot be both input and target")
    return Columns(inputs, target)


def _guess(
    names: Sequence[str], usual: Sequence[str], what: str, source: str, taken: set[str | None]
) -> str:
    free = [name for name in names if name not in taken]
    likely = [name for name in free if name.casefold() in usual] or free
    if len(likely) == 1:
        return likely[0]
    option = {"input": "input_columns", "target": "target_column"}[what]
    raise InputError(
        f"{source}: cannot tell which column is the {what}; "
        f"name one of {', '.join(names)} with `{option}`"
    )


def choose_labels(spec: TaskFile, target: str, rows: Sequence[Row], source: str) -> Labels:
    """Return the labels that the user says, or those that rows have.

    Raises
    ------
    InputError
        If there are fewer than two, two are the same, or they look like free text.
    """
    counts = Counter(row.cells.get(target, "").strip() for row in rows)
    if spec.labels:
        _check_named(spec.labels, source)
        return Labels(dict(spec.labels), Spellings(counts, [label for label, _ in spec.labels]))
    spellings = Spellings(counts)
    seen = spellings.labels
    # Who names the scorer says that these are labels, however many.
    if not spec.scorer and (len(seen) > _MAX_LABELS or len(seen) > max(2, len(rows) // 2)):
        raise InputError(
            f"{source}: the column {target!r} has {len(seen)} different values in {len(rows)} "
            "rows, which looks like free text; choose how to score it with `scorer` (see "
            "`optimize list scorers`), or `scorer` labels if they are labels"
        )
    if listed := next((row for row in rows if is_list(row.cells.get(target, "").strip())), None):
        raise InputError(
            f"{listed.origin}: expected one label in {target!r}, found the list "
            f"{listed.cells[target]}; name a column with one label per row"
        )
    if len(seen) < 2:
        raise _too_few(counts, target, source)
    return Labels({label: label for label in seen}, spellings)


def _check_named(labels: Sequence[tuple[str, str]], source: str) -> None:
    """Refuse labels that the user says if one is blank or two are the same."""
    names = [label.strip() for label, _ in labels]
    texts = [text.strip() for _, text in labels]
    if min(len(labels), len(set(names)), len(set(texts))) < max(2, len(labels)):
        raise InputError(
            f"{source}: expected at least 2 labels with different texts, found {', '.join(texts)}"
        )
    if not all(map(fold, (*names, *texts))):
        raise InputError(
            f"{source}: expected labels with a visible text, found {', '.join(map(repr, texts))}"
        )


def _too_few(counts: Mapping[str, int], target: str, source: str) -> InputError:
    spelt = [spelling for spelling in counts if fold(spelling)]
    apart = ""
    if len(spelt) > 1:
        apart = f", which count as one label; `choices` {quoted(spelt)} keeps them apart"
    return InputError(
        f"{source}: expected at least 2 different labels in the column {target!r}, "
        f"found {', '.join(spelt) or 'none'}{apart}"
    )


def read_examples(rows: Sequence[Row], columns: Columns, labels: Labels | None) -> list[Example]:
    """Return the examples that rows are, with labels or with free text as answers.

    Raises
    ------
    InputError
        If a row has no value in one of the columns, or no label or answer.
    """
    return [_example(row, columns, labels) for row in rows]


def _example(row: Row, columns: Columns, labels: Labels | None) -> Example:
    target = columns.target
    for column in (*columns.input_names, target):
        if column not in row.cells:
            why = f" ({row.gaps[column]})" if column in row.gaps else ""
            raise InputError(
                f"{row.origin}: expected a value for {column!r}, found none{why}; the row has "
                f"{', '.join(row.cells) or 'none'}; add the value, or remove the row"
            )
    inputs = tuple((column, row.cells[column]) for column in columns.input_names)
    if labels:
        return Example(inputs, _label(row, target, labels.spellings))
    answer, *others = _answers(row.cells[target])
    if not answer:
        raise InputError(f"{row.origin}: expected an answer in {target!r}, found none")
    return Example(inputs, answer, tuple(others))


def _label(row: Row, target: str, spellings: Spellings) -> str:
    spelling = row.cells[target].strip()
    label = spellings.label(spelling)
    if label is None:
        what = "no label"
        if fold(spelling):
            what = f"the label {spelling!r}{closest(spelling, spellings.labels)}"
        raise InputError(
            f"{row.origin}: expected one of {', '.join(spellings.labels)} in {target!r}, "
            f"found {what}"
        )
    return label


def _answers(cell: str) -> list[str]:
    """Return the accepted answers of a cell: one, or those of a JSON list of texts."""
    try:
        values = json.loads(cell) if cell.lstrip().startswith("[") else None
    except ValueError:
        values = None
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return [value.strip() for value in values]
    return [cell.strip()]
