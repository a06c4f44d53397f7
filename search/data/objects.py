"""Rows from JSON: one object a line, or an array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..errors import InputError
from .cells import Row, Tell, row_of

_HALF = re.compile("[\ud800-\udfff]")


def whole(text: str) -> str:
    """Return the text with U+FFFD for each half of a character (a lone surrogate).

    No file and no model can hold one.
    """
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def read_json_lines(path: str, text: str, tell: Tell) -> Iterator[Row]:
    """Read one object a line."""
    # Only line feeds and carriage returns end a line: JSON strings may hold other line separators.
    lines = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    filled = ((line, number) for number, line in lines if line.strip())
    values = ((_parse(line, path, number), f"{path}:{number}") for line, number in filled)
    yield from _rows(values, path, tell)


def read_json(path: str, text: str, tell: Tell) -> Iterator[Row]:
    """Read an array of objects, or one object a line."""
    try:
        values = _parse(text, path, 1) if text.strip() else []
    except InputError:
        first = next(line for line in re.split(r"[\r\n]+", text) if line.strip())
        if not _is_object(first, path):
            raise
        yield from read_json_lines(path, text, tell)
        return
    if not isinstance(values, list):
        raise InputError(f"{path}: expected a JSON array of objects, found {_kind(values)}")
    yield from _rows(
        ((value, f"{path}:{number}") for number, value in enumerate(values, start=1)), path, tell
    )


def _kind(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    if not isinstance(value, dict):
        return type(value).__name__
    lists = [key for key, inner in value.items() if isinstance(inner, list)]
    inside = f" with the list {lists[0]!r}; save that list alone" if len(lists) == 1 else ""
    return f"one object{inside}"


def _is_object(text: str, path: str) -> bool:
    try:
        return isinstance(_parse(text, path, 1), dict)
    except InputError:
        return False


def _parse(text: str, path: str, line: int) -> Any:  # noqa: ANN401 (any JSON value)
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        problem = f"{error.msg} (column {error.colno})"
        raise InputError(
            f"{path}:{line + error.lineno - 1}: expected JSON, found an error: {problem}"
        ) from None
    except ValueError as error:
        # Of a number with too many digits Python goes on to say how to set its limit.
        problem = str(error).split(";")[0]
        raise InputError(f"{path}:{line}: expected JSON, but {problem}") from None
    except RecursionError:
        raise InputError(
            f"{path}:{line}: expected JSON, but its brackets are nested too deeply"
        ) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return record


def _rows(values: Iterator[tuple[Any, str]], path: str, tell: Tell) -> Iterator[Row]:
    mended = 0
    for value, where in values:
        if not isinstance(value, dict):
            raise InputError(
                f"{where}: expected an object with a value per column, found {type(value).__name__}"
            )
        row = row_of(value.items(), where)
        cells = {whole(name): whole(text) for name, text in row.cells.items()}
        mended += cells != row.cells
        yield replace(row, cells=cells)
    if mended:
        tell(f"{path}: rows with a lone surrogate, which is read as \ufffd: {mended}")
