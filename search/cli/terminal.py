"""Results on a terminal: a table that fits its width, and the prompts below it.

What is piped stays the plain text of `tables.py`, for programs and people who search in it.
"""

from __future__ import annotations

import os
import shutil
import sys
from io import StringIO
from typing import TYPE_CHECKING

from ..page.wording import side_by_side
from .explanation_table import effect_lines
from .mutator_table import mutator_rows
from .streams import printable
from .tables import FrontRow, front_rows, notes, warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from ..page.wording import Said
    from ..records.results import Frontier

_LEFT_OUT = ("written", "n", "confirmation", "reply", "tokens")
"""Columns of the front that a narrow terminal does without, the first first."""
_MUTATORS_LEFT_OUT = ("seconds", "evaluations", "raced", "tokens", "calls")
_LINES = 5
"""Lines of a prompt at most."""
_BEFORE = 40
"""Characters shown before the first word that changed."""


def is_terminal() -> bool:
    """Return whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def terminal_text(frontier: Frontier, width: int | None = None) -> str:
    """Return the results as a terminal shows them.

    Parameters
    ----------
    frontier
        What was found.
    width
        Columns of the terminal; by default those of this one.
    """
    from rich.console import Console
    from rich.text import Text

    columns = width or shutil.get_terminal_size().columns
    written = StringIO()
    console = Console(
        file=written,
        width=columns,
        force_terminal=True,
        color_system=None if os.environ.get("NO_COLOR") else "standard",
        highlight=False,
    )
    for line in warnings(frontier):
        console.print(Text(line))
    rows = front_rows(frontier)
    console.print(_table([row.cells[:-1] for row in rows], columns, _LEFT_OUT))
    for row in rows[1:]:
        if row.entry:
            console.print(_prompt(frontier, row, columns))
    if told := mutator_rows(frontier.mutators):
        console.print()
        console.print(_table(told, columns, _MUTATORS_LEFT_OUT))
    console.print()
    for line in effect_lines(frontier.explanation):
        console.print(Text(line), overflow="ellipsis", no_wrap=True)
    for line in notes(frontier):
        console.print(Text(line))
    return written.getvalue().rstrip("\n")


def _table(rows: Sequence[Sequence[str]], width: int, left_out: Sequence[str]) -> RenderableType:
    """Return rows as a table, without columns for which there is no room."""
    from rich.table import Table
    from rich.text import Text

    head, *others = _fitting(rows, width, left_out)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for i, title in enumerate(head):
        table.add_column(Text(title), justify="left" if i == 0 else "right", overflow="ellipsis")
    for row in others:
        bold = "bold" if row[0] == "best" else ""
        table.add_row(*map(Text, row), style=bold)
    return table


def _fitting(rows: Sequence[Sequence[str]], width: int, left_out: Sequence[str]) -> list[list[str]]:
    kept = [list(row) for row in rows]
    for title in left_out:
        if sum(max(map(len, column)) + 2 for column in zip(*kept, strict=True)) <= width:
            break
        if title in kept[0]:
            place = kept[0].index(title)
            kept = [row[:place] + row[place + 1 :] for row in kept]
    return kept


def _prompt(frontier: Frontier, row: FrontRow, width: int) -> Text:
    """Return a prompt of the table, wrapped, with what is unlike the start marked."""
    from rich.text import Text

    entry, start, fields = row.entry, frontier.start, frontier.config.input_fields
    text = Text("\n").append(f"{row.cells[0] or 'front'}, trial {row.cells[1]}: ", style="bold")
    if entry is None:
        return text
    _, after = side_by_side(start.prompt, entry.prompt, fields)
    body = _marked(after, marked=entry.number != start.number)
    first = min((span.start for span in body.spans if span.style == "green"), default=0)
    if first > _LINES * width // 2:
        body = Text("… ") + body[first - _BEFORE :]
    most = _LINES * width - len(text)
    return text + (body if len(body) <= most else body[: most - 1] + Text("…"))


def _marked(turns: Sequence[Said], *, marked: bool) -> Text:
    from rich.text import Text

    text = Text()
    for turn in turns:
        text.append(f"[{turn.role}] " if turn.role else "", style="dim")
        for piece in turn.pieces:
            shown = f"{{{piece.text}}}" if piece.kind == "slot" else piece.text
            text.append(printable(shown), style="green" if piece.changed and marked else "")
        text.append(" ")
    return text
