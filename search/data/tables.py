"""Tables of text: a header, then a row a line, with cells between delimiters and perhaps in quotes.

A cell stands in quotes where it begins with one, after spaces or not; it may then hold delimiters,
line breaks and doubled quotes. A table with tabs may be written without quoting: where it cannot be
read with quotes, or a quoted cell holds lines that are rows of their own, quotes are text - if
every line then has as many cells as the header. Any other table in which a stray quote opens a cell
is refused, with the line where the quote stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import InputError
from .cells import Row, Tell
from .quoting import BREAK, DELIMITERS, Fault, Line, quoted_lines, swallowing, trimmed

_DECLARED = re.compile(r'"?sep=([^\r\n])"?(?=[\r\n])', re.IGNORECASE)
_IN_QUOTES = re.compile(r'\s*".+"\s*')
_DOUBLED = re.compile(r'\s*"[^"]*"".*"\s*')
_NAMELESS = re.compile(r"(Unnamed: [\d.]+)?")


@dataclass(slots=True)
class _Table:
    first: Line
    header: list[str]
    lines: list[Line]
    notes: list[str] = field(default_factory=list)


def read_table(path: str, text: str, usual: str, tell: Tell) -> Iterator[Row]:
    """Read the rows of a table.

    Parameters
    ----------
    path
        Its file, for messages.
    text
        Its text. A first line ``sep=;`` names the delimiter.
    usual
        The delimiter that its ending stands for. Where the header does not hold it, or rows do not
        fit, the others are tried.
    tell
        Is told what was left out, joined or taken for granted.

    Raises
    ------
    InputError
        If it is no table: a row has more or fewer cells than the header, or a stray quote opens a
        cell.
    """
    if "\0" in text:
        number = len(BREAK.findall(text, 0, text.index("\0"))) + 1
        raise InputError(
            f"{path}:{number}: expected text, found a NUL character; save the file as UTF-8 text"
        )
    try:
        table = _table(text, usual)
    except Fault as fault:
        raise InputError(f"{path}:{fault.line}: {fault}") from None
    for note in table.notes:
        tell(f"{path}: {note}")
    named = [(name, place) for place, name in enumerate(table.header) if name]
    for line in table.lines:
        yield Row({name: line.cells[place] for name, place in named}, f"{path}:{line.begins}")


def _table(text: str, usual: str) -> _Table:
    declared = _DECLARED.match(text)
    if declared:
        return _named(_read(text[declared.end() :], declared[1]))
    faults = []
    for delimiter in _delimiters(text, usual):
        try:
            table = _named(_read(text, delimiter))
        except Fault as fault:
            faults.append(fault)
            continue
        if delimiter != usual:
            table.notes.insert(0, f"cells are separated by {DELIMITERS[delimiter]}")
        return table
    raise faults[0]


def _delimiters(text: str, usual: str) -> list[str]:
    """Return the delimiters that the header holds: the usual one, then those of most cells."""
    widths = {delimiter: _width(text, delimiter) for delimiter in DELIMITERS}
    held = [delimiter for delimiter in DELIMITERS if widths[delimiter] > 1]
    return sorted(held, key=lambda delimiter: (delimiter != usual, -widths[delimiter])) or [usual]


def _width(text: str, delimiter: str) -> int:
    try:
        return next((len(line.cells) for line in quoted_lines(text, delimiter)), 0)
    except Fault:
        return 0


def _read(text: str, delimiter: str) -> _Table:
    """Read with quotes, or without where that alone makes sense."""
    fault = None
    try:
        table = _shaped(quoted_lines(text, delimiter))
        stray, sure = swallowing((table.first, *table.lines), text, delimiter)
        if stray:
            fault = Fault(
                stray,
                "the quote here opens a cell that contains the next rows; "
                "remove the quote, or close the cell",
            )
    except Fault as error:
        fault, sure = error, True
    if fault and delimiter == "\t" and (plain := _unquoted(text, delimiter)):
        plain.notes.append(
            f"read with quotes as text, because the one on line {fault.line} opens no proper cell"
        )
        return plain
    if fault and sure:
        raise fault
    opens = [line.opens for line in table.lines if line.opens]
    if opens:
        table.notes.append(
            f"rows with a quoted cell of several lines: {len(opens)}, the first on line {opens[0]}"
        )
    return table


def _unquoted(text: str, delimiter: str) -> _Table | None:
    """Return the table as one written without quoting; None where that fails or quotes are real."""
    lines = enumerate(BREAK.split(text), start=1)
    try:
        table = _shaped(
            Line(line.split(delimiter), number, number) for number, line in lines if line.strip()
        )
    except Fault:
        return None
    rows = [line.cells for line in table.lines]
    columns = [[cell for cell in column if cell.strip()] for column in zip(*rows, strict=True)]
    in_quotes = any(column and all(map(_IN_QUOTES.fullmatch, column)) for column in columns)
    doubled = any(_DOUBLED.fullmatch(cell) for row in rows for cell in row)
    return None if in_quotes or doubled or all(map(_IN_QUOTES.fullmatch, table.header)) else table


def _shaped(lines: Iterable[Line]) -> _Table:
    """Return the table of rows that are as wide as the header.

    Rows of empty cells, and an empty last column, are left out.
    """
    first, *rest = list(lines) or [Line([""], 1, 1)]
    header = [name.strip() for name in trimmed(first.cells, 1)]
    table = _Table(first, header, [])
    rows = [(line, trimmed(line.cells, len(header))) for line in rest]
    if _has_row_names([cells for _, cells in rows], len(header)):
        header.insert(0, "")
    if rows and not any(header):
        raise Fault(first.begins, "expected a header of column names, found none")
    for line, cells in rows:
        if len(cells) != len(header):
            expected = f"expected {len(header)} cells ({', '.join(header)})"
            raise Fault(line.opens or line.begins, f"{expected}, found {len(cells)}")
        if any(cell.strip() for cell in cells):
            table.lines.append(line._replace(cells=cells))
    if len(table.lines) < len(rows):
        table.notes.append(f"rows without any text, left out: {len(rows) - len(table.lines)}")
    if any(len(line.cells) > len(header) for line in (first, *rest)):
        table.notes.append("an empty last column is left out")
    return table


def _has_row_names(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether each row has a number before the header's columns, as R writes row names."""
    return (
        len(rows) > 1
        and all(len(cells) == width + 1 for cells in rows)
        and _are_numbers([cells[0] for cells in rows])
    )


def _named(table: _Table) -> _Table:
    """Return the table with no name for the columns to leave out.

    These are the ones that have none, and row numbers that pandas wrote.
    """
    columns = list(zip(*(line.cells for line in table.lines), strict=True))
    for place, name in enumerate(table.header if columns else []):
        numbers = _are_numbers(columns[place])
        if _NAMELESS.fullmatch(name) and (not name or numbers):
            table.header[place] = ""
            what = "holds row numbers" if numbers else "has no name"
            table.notes.append(f"column {place + 1} {what}: left out")
    names = [name for name in table.header if name]
    if table.lines and len(set(names)) < len(names):
        raise Fault(
            table.first.begins,
            f"expected a header of different column names, found {', '.join(table.header)}",
        )
    return table


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(map(str.isdecimal, cells)) and len(set(cells)) == len(cells)
