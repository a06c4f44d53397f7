"""Lines of delimited text, cells without their quotes; and quotes that were never meant as such.

Python's own `csv` reads a stray quote as the opening of a cell and swallows the rows up to the next
one without a word; here it is found, with its line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
BREAK = re.compile(r"\r\n|\r|\n")
_QUOTED_CELL = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')


class Line(NamedTuple):
    """A row's cells, the lines it begins and ends on, and where a cell of several lines opens.

    The last is 0 where none does.
    """

    cells: list[str]
    begins: int
    ends: int
    opens: int = 0


class Fault(Exception):  # noqa: N818 (it says where, and becomes an InputError)
    """What makes a text no table, and on which line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def quoted_lines(text: str, delimiter: str) -> Iterator[Line]:
    """Yield the rows that are not blank, cells without their quotes."""
    mark = re.escape(delimiter)
    cell = re.compile(rf'( *)"([^"]*+(?:""[^"]*+)*+)" *+(?={mark}|[\r\n]|\Z)|[^{mark}\r\n]*+')
    at, line = 0, 1
    cells, begins, opens = list[str](), 1, 0
    while at < len(text):
        match = cell.match(text, at)
        assert match is not None  # noqa: S101 (it matches the empty text)
        inside = match[2]
        if inside is None and match[0].startswith('"'):
            raise Fault(line, _stray(text, at, line, delimiter))
        cells.append(match[0] if inside is None else inside.replace('""', '"'))
        if breaks := len(BREAK.findall(inside or "")):
            opens = opens or line
            line += breaks
        at = match.end()
        if text.startswith(delimiter, at):
            at += 1
            if at < len(text):
                continue
            cells.append("")
        if len(cells) > 1 or cells[0].strip():
            yield Line(cells, begins, line, opens)
        at += 2 if text.startswith("\r\n", at) else 1
        line += 1
        cells, begins, opens = [], line, 0


def _stray(text: str, at: int, line: int, delimiter: str) -> str:
    closed = _QUOTED_CELL.match(text, at)
    if closed is None:
        return (
            "expected a quote that closes the cell opened here, found none; "
            "add it, or remove the opening quote"
        )
    last = line + len(BREAK.findall(closed[0]))
    where = "this line" if last == line else f"line {last}"
    return (
        f"expected {DELIMITERS.get(delimiter, delimiter)} or the end of the line after the quoted "
        f"cell that begins here and ends on {where}, found {text[closed.end()]!r}; double the "
        "quotes inside a quoted cell"
    )


def swallowing(lines: Sequence[Line], text: str, delimiter: str) -> tuple[int, bool]:
    """Return the line of the first quote whose cell swallows rows, and whether that is sure.

    The line is 0 where there is none. Each line of such a cell's row has as many cells as a row. It
    is sure where some column then holds values that it often holds, such as labels; in a table of
    tabs without such a column it is likely. The header is the first of ``lines``.
    """
    opened = [line for line in lines if line.opens]
    parts = BREAK.split(text) if opened else []
    suspects = [(line, rows) for line in opened if (rows := _rows_in(line, parts, delimiter))]
    if not suspects:
        return 0, False
    clean = [line.cells for line in lines[1:] if not line.opens]
    usual = _usual(clean) or _usual([*clean, *(row for _, rows in suspects for row in rows)])
    for line, rows in suspects:
        for column, values in usual.items():
            if all(row[column].strip(' "') in values for row in rows):
                return line.opens, True
    likely = delimiter == "\t" and not usual
    return (suspects[0][0].opens if likely else 0), False


def _rows_in(line: Line, parts: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the cells of each of a row's lines, as though there were no quotes.

    Nothing where a line has too many or too few, nor where quotes are doubled: no stray quote is.
    """
    own = parts[line.begins - 1 : line.ends]
    if any('""' in part for part in own):
        return []
    rows = [trimmed(part.split(delimiter), len(line.cells)) for part in own if part.strip()]
    return rows if all(len(row) == len(line.cells) for row in rows) else []


def _usual(rows: Sequence[Sequence[str]]) -> dict[int, set[str]]:
    """Return the values that columns repeat, where most of a column is such."""
    usual = {}
    for column, cells in enumerate(zip(*rows, strict=False)):
        counts = Counter(text for cell in cells if (text := cell.strip(' "')))
        repeated = {text for text, count in counts.items() if count > 1}
        if repeated and 2 * len(counts) <= counts.total():
            usual[column] = repeated
    return usual


def trimmed(cells: list[str], width: int) -> list[str]:
    """Return the cells without empty ones at the end that are beyond a width."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells
