"""Rows, and the text of a cell.

Every row knows where it stands, so that what is wrong with it can be told.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

Tell = Callable[[str], None]
"""Takes what a reader has to say about a file: what it left out, joined or took for granted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: text by column, and its origin: ``file:line``, or ``file:row`` without lines.

    A column in which the row has no value (null, NaN) is left out; where there is more to say of
    it, ``gaps`` does.
    """

    cells: Mapping[str, str]
    origin: str
    gaps: Mapping[str, str] = field(default_factory=dict)


class Gap(str):
    """What stands for a value that cannot be used: why that is."""

    __slots__ = ()


UNLABELLED = Gap("the data set gives it no label")
_NOT_TEXT = Gap("it is bytes that are not UTF-8 text")
_TOO_DEEP = Gap("its brackets are nested too deeply")


def row_of(values: Iterable[tuple[str, Any]], origin: str) -> Row:
    """Return the row of some columns' values."""
    cells, gaps = {}, {}
    for name, value in values:
        text = _text(value)
        if isinstance(text, Gap):
            gaps[name] = str(text)
        elif text is not None:
            cells[name] = text
    return Row(cells, origin, gaps)


def _text(value: Any) -> str | None:  # noqa: ANN401 (whatever a cell holds)
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return None
    try:
        return _plain(value)
    except UnicodeDecodeError:
        return _NOT_TEXT
    except RecursionError:
        return _TOO_DEEP


def _plain(value: Any) -> str:  # noqa: ANN401 (whatever a cell holds)
    """Return a value as a person writes it; lists and records are JSON."""
    if hasattr(value, "item"):  # a number of NumPy's
        value = value.item()
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):  # pandas has its own, which is written otherwise
        return str(timedelta(value.days, value.seconds, value.microseconds))
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return str(value)
