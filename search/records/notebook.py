"""Results in a notebook: tables of HTML, and data frames."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STYLE = "text-align:left;vertical-align:top;white-space:pre-wrap"


def html_table(caption: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows with the same keys as a table of HTML in which all values are text."""
    head = "".join(f"<th>{escape(name)}</th>" for name in (rows[0] if rows else ()))
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def data_frame(rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 (pandas is optional)
    """Return rows as a pandas DataFrame.

    Raises
    ------
    InputError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise InputError("`to_pandas` needs pandas: pip install pandas") from None
    return pandas.DataFrame([dict(row) for row in rows])


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
    return f'<td style="{_STYLE}">{escape(text)}</td>'
