"""Data files that know what stands in them: what they were written as, and damage done to them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as parquet
from hypothesis import strategies as st

from tests.fuzz.oracle import numbered

_PIECES = [
    '"', '""', "'", ",", ";", "\t", "|", "\\", "\\n", "a", "film ", "é", "好", "🙂", "\u200b",
    "{x}", "%", "<b>", "NaN", "-", "=1+1", "#",
    "\u00a0", "\u2028", "\x85", "\x1c", "\u0301", "sep=;", "\ufeff", "“", "1", "1.5", "null", ":",
]  # fmt: skip
_BREAKS = ["\n", "\r\n", "\n\n"]
_TARGETS = ["label", "Label", "target", "sentiment", "class", "标签", "my label"]
_INPUTS = ["text", "Text", "review", "sentence", "文本", "my text", "user.text"]
_LABELS = [
    ["good", "bad"],
    ["0", "1"],
    ["pos", "neg", "neutral"],
    ["yes", "no"],
    ["a b", "c,d"],
    ['"x"', "y"],
    ["好", "坏"],
    ["-1", "1"],
]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as they were meant: text and label each, under two column names, and other columns."""

    columns: tuple[str, ...]
    text: str
    label: str
    rows: tuple[tuple[str, ...], ...]

    def records(self) -> list[dict[str, str]]:
        """Return each row by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    @property
    def texts(self) -> dict[int, str]:
        """The text of each row, by its number."""
        return {i: record[self.text] for i, record in enumerate(self.records())}

    @property
    def answers(self) -> dict[int, str]:
        """The label of each row, by its number."""
        return {i: record[self.label] for i, record in enumerate(self.records())}


@st.composite
def tables(draw: st.DrawFn, *, lines: bool = True) -> Table:
    """Return a table of eight rows or more; without ``lines`` no cell has a tab or a line break."""
    pieces = st.sampled_from([*_PIECES, *(_BREAKS if lines else [])])
    cell = st.lists(pieces, max_size=6).map("".join)
    if not lines:
        cell = cell.map(lambda text: text.replace("\t", " "))
    text, label = draw(st.sampled_from(_INPUTS)), draw(st.sampled_from(_TARGETS))
    others = draw(
        st.lists(
            st.sampled_from(["id", "date", "a,b", 'q"q', "n\u00e9", "0"]), max_size=2, unique=True
        )
    )
    labels = draw(st.sampled_from(_LABELS))
    columns = tuple(draw(st.permutations([text, label, *others])))
    rows = []
    for number in range(draw(st.integers(8, 14))):
        record = {text: numbered(number, draw(cell)), label: labels[number % len(labels)]}
        record |= {name: draw(cell) for name in others}
        rows.append(tuple(record[name] for name in columns))
    return Table(columns, text, label, tuple(rows))


@dataclass(frozen=True, slots=True)
class File:
    """Bytes under a suffix, and the table they were written from."""

    suffix: str
    content: bytes
    table: Table


@st.composite
def separated(draw: st.DrawFn) -> File:
    """Return a CSV or TSV file as programs write them."""
    suffix, delimiter = draw(
        st.sampled_from([(".csv", ","), (".tsv", "\t"), (".csv", ";"), (".csv", ",")])
    )
    table = draw(tables())
    out = io.StringIO()
    quotings: list[Literal[0, 1, 2]] = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
    quoting = draw(st.sampled_from(quotings))
    writer = csv.writer(
        out,
        delimiter=delimiter,
        quoting=quoting,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    text = out.getvalue()
    if delimiter == ";" and draw(st.booleans()):
        text = "sep=;\n" + text
    text = text.rstrip("\r\n") if draw(st.booleans()) else text
    return File(suffix, text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig"]))), table)


@st.composite
def raw_tsv(draw: st.DrawFn) -> File:
    """Return a TSV file without quoting: a quote is a quote."""
    table = draw(tables(lines=False))
    return File(
        ".tsv",
        ("\n".join("\t".join(row) for row in (table.columns, *table.rows)) + "\n").encode(),
        table,
    )


@st.composite
def json_files(draw: st.DrawFn) -> File:
    """Return JSON lines, or one JSON array."""
    table = draw(tables())
    ascii_only = draw(st.booleans())
    if draw(st.booleans()):
        text = json.dumps(
            table.records(), ensure_ascii=ascii_only, indent=draw(st.sampled_from([None, 2]))
        )
        return File(".json", text.encode(), table)
    end = draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    return File(
        ".jsonl",
        "".join(json.dumps(r, ensure_ascii=ascii_only) + end for r in table.records()).encode(),
        table,
    )


@st.composite
def parquet_files(draw: st.DrawFn) -> File:
    """Return a Parquet file with its labels as text, bytes, categories or numbers."""
    table = draw(tables())
    columns: dict[str, Any] = {
        name: pa.array([r[name] for r in table.records()]) for name in table.columns
    }
    labels = columns[table.label]
    forms = [
        labels,
        labels.cast(pa.binary()),
        labels.dictionary_encode(),
        labels.cast(pa.large_string()),
    ]
    if all(label.lstrip("-").isdigit() for label in table.answers.values()):
        forms += [labels.cast(t) for t in (pa.int8(), pa.int64(), pa.float64())]
    columns[table.label] = draw(st.sampled_from(forms))
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    return File(".parquet", out.getvalue(), table)


_BYTES = [
    b'"',
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b",",
    b"\t",
    b"{",
    b"}",
    b"[",
    b"null",
    b"\\",
    b"\\ud800",
    b"",
    b"1e999",
    b"NaN",
    b"-1",
    b"[" * 3000,
    b'{"a":' * 3000,
]


@st.composite
def damaged(draw: st.DrawFn) -> File:
    """Return a file with bytes changed, perhaps in another encoding or with another suffix."""
    file = draw(st.one_of(separated(), raw_tsv(), json_files(), parquet_files()))
    content = file.content
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        stop = start + draw(st.sampled_from([0, 0, 1, 5, 100]))
        content = content[:start] + draw(st.sampled_from(_BYTES)) + content[stop:]
    if file.suffix != ".parquet":
        encoding = draw(
            st.sampled_from(["utf-8"] * 5 + ["utf-16", "utf-32", "cp1252", "utf-8-sig", "gb18030"])
        )
        content = (
            content.decode("utf-8", "ignore").encode(encoding, "ignore")
            if encoding != "utf-8"
            else content
        )
        content = content.replace(b"\n", b"\r") if draw(st.integers(0, 9)) == 0 else content
    suffix = draw(
        st.sampled_from(
            [file.suffix] * 4 + [".csv", ".tsv", ".json", ".jsonl", ".parquet", ".CSV", ".txt"]
        )
    )
    return File(suffix, content, file.table)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 5),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.just("\ud800"),
    st.sampled_from(
        ["good", "bad", " good", "Good", "", "-1", "1.0", "\u200b", "[]", '["good", "fine"]']
    ),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def odd_records(draw: st.DrawFn) -> str:
    """Return JSON lines, some of which have values of every type, no value, or other columns."""
    labels = draw(st.sampled_from([("good", "bad"), (0, 1), (True, False), (1.0, 2.0), ("1", "2")]))
    records: list[Any] = [
        {"text": f"row {i}", "label": labels[i % 2]} for i in range(draw(st.integers(7, 14)))
    ]
    for _ in range(draw(st.integers(0, 3))):
        record = records[draw(st.integers(0, len(records) - 1))]
        name = draw(
            st.sampled_from(["text", "label", "label", "id", "", " ", "Text", "text\ud800"])
        )
        if draw(st.booleans()):
            record[name] = draw(_VALUES)
        else:
            record.pop(name, None)
    if draw(st.integers(0, 5)) == 0:
        records[-1] = draw(st.sampled_from([[], None, 1, "x", {}]))
    if draw(st.integers(0, 5)) == 0:
        column = draw(st.lists(_VALUES, min_size=len(records), max_size=len(records)))
        records = [{"text": f"row {i}", "label": value} for i, value in enumerate(column)]
    return "\n".join(map(json.dumps, records))
