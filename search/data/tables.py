"""Tables of text: a header, then a row a line, with cells between delimiters and perhaps in quotes.

A cell stands in quotes where it begins with one, after spaces or not; it may then hold delimiters, line breaks and doubled
quotes. A table with tabs may be written without quoting: where it cannot be read with quotes, or a quoted cell holds lines
that are rows of their own, quotes are text - if every line then has as many cells as the header. Any other table in which
a stray quote opens a cell is refused, with the line where the quote stands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import InputError
from .cells import Row, Tell

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BREAK = re.compile(r"\r\n|\r|\n")
_DECLARED = re.compile(r'"?sep=([^\r\n])"?(?=[\r\n])', re.IGNORECASE)
_IN_QUOTES = re.compile(r'\s*".+"\s*')
_DOUBLED = re.compile(r'\s*"[^"]*"".*"\s*')
_NAMELESS = re.compile(r"(Unnamed: [\d.]+)?")


class _Line(NamedTuple):
    """A row's cells, the lines it begins and ends on, and where a cell of several lines opens (0: nowhere)."""

    cells: list[str]
    begins: int
    ends: int
    opens: int = 0


@dataclass(slots=True)
class _Table:
    first: _Line
    header: list[str]
    lines: list[_Line]
    notes: list[str] = field(default_factory=list)


class _Fault(Exception):  # noqa: N818 (it says where, and becomes an InputError)
    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def read_table(path: str, text: str, usual: str, tell: Tell) -> Iterator[Row]:
    """Read the rows of a table.

    Parameters
    ----------
    path
        Its file, for messages.
    text
        Its text. A first line ``sep=;`` names the delimiter.
    usual
        The delimiter that its ending stands for. Where the header does not hold it, or rows do not fit, the others are tried.
    tell
        Is told what was left out, joined or taken for granted.

    Raises
    ------
    InputError
        If it is no table: a row has more or fewer cells than the header, or a stray quote opens a cell.
    """
    if "\0" in text:
        number = len(_BREAK.findall(text, 0, text.index("\0"))) + 1
        raise InputError(
            f"{path}:{number}: expected text, found a NUL character; save the file as UTF-8 text"
        )
    try:
        table = _table(text, usual)
    except _Fault as fault:
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
        except _Fault as fault:
            faults.append(fault)
            continue
        if delimiter != usual:
            table.notes.insert(0, f"read as cells between {_DELIMITERS[delimiter]}")
        return table
    raise faults[0]


def _delimiters(text: str, usual: str) -> list[str]:
    """Return the delimiters that the header holds, the usual one first, then those that make most cells of it."""
    widths = {delimiter: _width(text, delimiter) for delimiter in _DELIMITERS}
    found = [delimiter for delimiter in _DELIMITERS if widths[delimiter] > 1]
    return sorted(found, key=lambda delimiter: (delimiter != usual, -widths[delimiter])) or [usual]


def _width(text: str, delimiter: str) -> int:
    try:
        return next((len(line.cells) for line in _quoted(text, delimiter)), 0)
    except _Fault:
        return 0


def _read(text: str, delimiter: str) -> _Table:
    """Read with quotes, or without where that alone makes sense."""
    fault = None
    try:
        table = _shaped(_quoted(text, delimiter))
        joined, sure = _joined(table, text, delimiter)
        if joined:
            fault = _Fault(
                joined,
                "a quote opens a cell here that holds rows of its own; take the quote out, or close the cell",
            )
    except _Fault as error:
        fault, sure = error, True
    if fault and delimiter == "\t" and (plain := _unquoted(text, delimiter)):
        plain.notes.append(
            f"read without quoting, quotes are text: the one on line {fault.line} closes no cell"
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


def _quoted(text: str, delimiter: str) -> Iterator[_Line]:
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
            raise _Fault(line, _stray(text, at, line, delimiter))
        cells.append(match[0] if inside is None else inside.replace('""', '"'))
        if breaks := len(_BREAK.findall(inside or "")):
            opens = opens or line
            line += breaks
        at = match.end()
        if text.startswith(delimiter, at):
            at += 1
            if at < len(text):
                continue
            cells.append("")
        if len(cells) > 1 or cells[0].strip():
            yield _Line(cells, begins, line, opens)
        at += 2 if text.startswith("\r\n", at) else 1
        line += 1
        cells, begins, opens = [], line, 0


def _stray(text: str, at: int, line: int, delimiter: str) -> str:
    closed = re.compile(r'"[^"]*+(?:""[^"]*+)*+"').match(text, at)
    if closed is None:
        return "a quote opens a cell here and none closes it; put a quote at its end, or take this one out"
    last = line + len(_BREAK.findall(closed[0]))
    where = "this line" if last == line else f"line {last}"
    return (
        f"a quote opens a cell here, and after the one that closes it on {where} expected {_DELIMITERS.get(delimiter, delimiter)} or the "
        f"line's end, found {text[closed.end()]!r}; double the quotes inside a quoted cell"
    )


def _unquoted(text: str, delimiter: str) -> _Table | None:
    """Return the table as one written without quoting; None where it is none, or its writer does use quotes."""
    lines = enumerate(_BREAK.split(text), start=1)
    try:
        table = _shaped(
            _Line(line.split(delimiter), number, number) for number, line in lines if line.strip()
        )
    except _Fault:
        return None
    rows = [line.cells for line in table.lines]
    columns = [[cell for cell in column if cell.strip()] for column in zip(*rows, strict=True)]
    in_quotes = any(column and all(map(_IN_QUOTES.fullmatch, column)) for column in columns)
    doubled = any(_DOUBLED.fullmatch(cell) for row in rows for cell in row)
    return None if in_quotes or doubled or all(map(_IN_QUOTES.fullmatch, table.header)) else table


def _shaped(lines: Iterable[_Line]) -> _Table:
    """Return the table of rows that are as wide as the header; rows of empty cells, and an empty last column, are left out."""
    found = iter(lines)
    first = next(found, _Line([""], 1, 1))
    header = [name.strip() for name in _trimmed(first.cells, 1)]
    table = _Table(first, header, [])
    rows = [(line, _trimmed(line.cells, len(header))) for line in found]
    numbers = [cells[0] for _, cells in rows]
    if (
        len(rows) > 1
        and all(len(cells) == len(header) + 1 for _, cells in rows)
        and _are_numbers(numbers)
    ):
        header.insert(0, "")  # as R writes row names
    if rows and not any(header):
        raise _Fault(first.begins, "expected a header of column names, found none")
    for line, cells in rows:
        if len(cells) != len(header):
            expected = f"expected {len(header)} cells ({', '.join(header)})"
            raise _Fault(line.opens or line.begins, f"{expected}, found {len(cells)}")
        if any(cell.strip() for cell in cells):
            table.lines.append(line if cells is line.cells else line._replace(cells=cells))
    if len(table.lines) < len(rows):
        table.notes.append(f"rows without any text, left out: {len(rows) - len(table.lines)}")
    if len(first.cells) > len(header) or any(len(line.cells) > len(header) for line, _ in rows):
        table.notes.append("an empty last column is left out")
    return table


def _trimmed(cells: list[str], width: int) -> list[str]:
    """Return the cells without empty ones at the end that are beyond a width."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _named(table: _Table) -> _Table:
    """Return the table with no name for the columns to leave out: those without one, and row numbers that pandas wrote."""
    columns = list(zip(*(line.cells for line in table.lines), strict=True))
    for place, name in enumerate(table.header if columns else []):
        if _NAMELESS.fullmatch(name) and (not name or _are_numbers(columns[place])):
            table.header[place] = ""
            what = "holds row numbers" if _are_numbers(columns[place]) else "has no name"
            table.notes.append(f"column {place + 1} {what}: left out")
    names = [name for name in table.header if name]
    if table.lines and len(set(names)) < len(names):
        raise _Fault(
            table.first.begins,
            f"expected a header of different column names, found {', '.join(table.header)}",
        )
    return table


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(map(str.isdecimal, cells)) and len(set(cells)) == len(cells)


def _joined(table: _Table, text: str, delimiter: str) -> tuple[int, bool]:
    """Return the line of the first quote that opens a cell with rows in it (0: none does), and whether that is sure.

    Each of the row's lines has as many cells as a row. It is sure where some column then holds values that it often holds, such
    as labels; in a table of tabs without such a column it is likely.
    """
    opened = [line for line in (table.first, *table.lines) if line.opens]
    parts = _BREAK.split(text) if opened else []
    suspects = [(line, rows) for line in opened if (rows := _rows_in(line, parts, delimiter))]
    if not suspects:
        return 0, False
    clean = [line.cells for line in table.lines if not line.opens]
    usual = _usual(clean) or _usual([*clean, *(row for _, rows in suspects for row in rows)])
    for line, rows in suspects:
        if any(
            all(row[place].strip(' "') in values for row in rows) for place, values in usual.items()
        ):
            return line.opens, True
    return (suspects[0][0].opens if delimiter == "\t" and not usual else 0), False


def _rows_in(line: _Line, parts: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the cells of each of a row's lines, as though there were no quotes; nothing where one has too many or too few.

    Nor where quotes are doubled: no stray quote is.
    """
    own = parts[line.begins - 1 : line.ends]
    if any('""' in part for part in own):
        return []
    rows = [_trimmed(part.split(delimiter), len(line.cells)) for part in own if part.strip()]
    return rows if all(len(row) == len(line.cells) for row in rows) else []


def _usual(rows: Sequence[Sequence[str]]) -> dict[int, set[str]]:
    """Return the values that columns repeat, where most of a column is such."""
    found = {}
    for place, column in enumerate(zip(*rows, strict=False)):
        counts = Counter(text for cell in column if (text := cell.strip(' "')))
        if 2 * len(counts) <= counts.total() and (
            usual := {text for text, count in counts.items() if count > 1}
        ):
            found[place] = usual
    return found
