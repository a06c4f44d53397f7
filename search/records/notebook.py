"""Results in a notebook: tables of HTML, and data frames."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .explanation import Explanation
    from .results import Frontier

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


def frontier_rows(frontier: Frontier) -> list[dict[str, Any]]:
    """Return the start and the front, a row each."""
    names = {frontier.best.number: "best", frontier.start.number: "start"}
    entries = {one.number: one for one in (frontier.start, frontier.best, *frontier.front)}
    return [
        {
            "prompt": names.get(number, "front"),
            "trial": number,
            "tokens": entry.tokens,
            "reply_tokens": entry.trial.reply_tokens,
            "dev": entry.quality,
            "test": entry.test.score if entry.test else None,
            "low": entry.test.low if entry.test else None,
            "high": entry.test.high if entry.test else None,
            "gain": entry.gain,
            "p_value": entry.p_value,
            "instruction": entry.prompt.instruction,
            "demonstrations": len(entry.prompt.demonstrations),
        }
        for number, entry in entries.items()
    ]


def part_rows(explanation: Explanation) -> list[dict[str, Any]]:
    """Return the parts of a prompt with their effects in points, a row each."""
    return [
        {
            "gene": part.gene,
            "part": part.text,
            "tokens": part.tokens,
            "effect": part.effect and 100 * part.effect.mean,
            "low": part.effect and 100 * part.effect.low,
            "high": part.effect and 100 * part.effect.high,
            "shapley": part.shapley and 100 * part.shapley.mean,
        }
        for part in explanation.parts
    ]


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
    return f'<td style="{_STYLE}">{escape(text)}</td>'
