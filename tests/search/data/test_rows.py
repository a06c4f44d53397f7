"""Reading rows and dividing them: what is read, what is refused, what no split may share."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.contracts import Example
from promptfront.search.data.duplicates import deduplicate
from promptfront.search.data.rows import labelled, read_rows
from promptfront.search.data.splits import Sizes, given_splits, split_rows
from promptfront.search.errors import InputError

NASTY = [
    "a {x} {{y}}",
    "Review: fake\nSentiment: positive",
    "<|im_end|> ok",
    "很好，推荐",
    "🎬 \u2028 end",
    'quote " and, comma\ttab',
]


def write_csv(path: Path) -> None:
    """Write the nasty texts as a table with quoted cells."""
    delimiter = "\t" if path.suffix == ".tsv" else ","
    rows = [["text", "label"], *([text, "a"] for text in NASTY)]
    lines = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")


def write_jsonl(path: Path) -> None:
    """Write the nasty texts as JSON lines."""
    lines = [json.dumps({"text": t, "label": "a"}, ensure_ascii=False) for t in NASTY]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")


def write_json(path: Path) -> None:
    """Write the nasty texts as a JSON array."""
    path.write_text(json.dumps([{"text": t, "label": "a"} for t in NASTY]), encoding="utf-8")


def write_parquet(path: Path) -> None:
    """Write the nasty texts as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": NASTY, "label": ["a"] * len(NASTY)}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", write_csv),
        ("a.tsv", write_csv),
        ("a.jsonl", write_jsonl),
        ("a.json", write_json),
        ("a.parquet", write_parquet),
    ],
)
def test_texts_come_back_as_they_are(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    """Braces, labels, control tokens, line breaks, Chinese and emoji survive every format."""
    write(tmp_path / name)
    rows = read_rows(str(tmp_path / name))
    assert NASTY == [row.cells["text"] for row in rows]


def test_origins_are_true_line_numbers(tmp_path: Path) -> None:
    """A row after a cell of several lines is named by the line it stands on."""
    (tmp_path / "a.csv").write_text('text,label\n"one\ntwo",a\n\nthree,b\n')
    assert [f"{tmp_path}/a.csv:2", f"{tmp_path}/a.csv:5"] == [
        row.origin for row in read_rows(f"{tmp_path}/a.csv")
    ]


def test_byte_order_mark_is_not_a_column_name(tmp_path: Path) -> None:
    """Files saved by spreadsheets are read."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext,label\nx,y\n")
    assert {"text": "x", "label": "y"} == read_rows(f"{tmp_path}/a.csv")[0].cells


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "expected rows of data, but it has none"),
        ("a.csv", b"text,label\n", "expected rows of data, but it has none"),
        ("a.jsonl", b"\n\n", "expected rows of data, but it has none"),
        ("a.csv", b"text,text\na,b\n", r"a.csv:1: expected a header of different column names"),
        ("a.csv", b"text,label\na,b\nc\n", r"a.csv:3: expected 2 cells \(text, label\), found 1"),
        ("a.csv", b'text,label\n"a,b\n', r"a.csv:2: a quote opens a cell here and none closes it"),
        (
            "a.csv",
            b"text,label\ncaf\xe9,b\n",
            r"a.csv:2: expected UTF-8 text, found the byte 0xe9; save the file",
        ),
        (
            "a.jsonl",
            b'{"a": 1}\n\n{"a": "\xff"}\n',
            r"a.jsonl:3: expected UTF-8 text, found the byte 0xff",
        ),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a.jsonl:2: expected JSON"),
        (
            "a.jsonl",
            b'{"a": 1}\n[1]\n',
            r"a.jsonl:2: expected an object with a value per column, found list",
        ),
        ("a.json", b"3", "expected a JSON array of objects, found int"),
        (
            "a.json",
            b'{"n": 1, "rows": [{"a": 1}]}',
            "found one object with the list 'rows'; save that list alone",
        ),
        ("a.json", b'[{"a": 1},\n{"a" 1}]', r"a.json:2: expected JSON"),
        ("a.json", b"[" * 100_000, r"a.json:1: .* nested too deep"),
        ("a.jsonl", b'{"a": 1, "a": 2}', r"a.jsonl:1: .* the key 'a' stands twice"),
        ("a.jsonl", b'{"a": ' + b"9" * 5000 + b"}", r"a.jsonl:1: expected JSON, but .*4300 digits"),
        ("a.csv", b"t,l\na,b\n\0,b\n", r"a.csv:3: expected text, found a NUL character"),
        ("a.csv", b"\xff\xfet\0,\0l\0\n\0a", r"a.csv:2: expected UTF-16-LE text"),
        (
            "a.csv",
            b'text,label\n"a" b,c\n',
            r"a.csv:2: a quote opens .* on this line expected commas .* found ' '",
        ),
        (
            "a.csv",
            b'text,label\nx,y\n"a,b\nc,d\n"e" f,g\n',
            r"a.csv:3: a quote opens .* on line 5 expected commas",
        ),
        (
            "a.csv",
            b"text,label\na,b\nc,d,e\n",
            r"a.csv:3: expected 2 cells \(text, label\), found 3",
        ),
        (
            "a.csv",
            b"text;label\na;b\nc;d;e\n",
            r"a.csv:3: expected 2 cells \(text, label\), found 3",
        ),
        ("a.csv", b",,\na,b,c\n", r"a.csv:1: expected a header"),
        ("a.csv", b" text,text\na,b\n", r"a.csv:1: expected a header of different column names"),
        ("a.parquet", b"not parquet at all", "not a Parquet file"),
        ("a.txt", b"hello", r"expected a file that ends in \.csv.*found \.txt"),
    ],
)
def test_unusable_files_are_told(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """Each is one sentence with the file and, where there is one, the line."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        read_rows(f"{tmp_path}/{name}")
    assert f"{tmp_path}/{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "rows", "says"),
    [
        # Spreadsheets of other countries, and what programs leave in their tables.
        ("a.csv", 'text, label\n1,  "good, bad"\n', [("1", "good, bad")], ""),
        ("a.csv", 'text, label\n1, "a" b\n', [("1", ' "a" b')], ""),
        ("a.csv", 'text,label\nthe "best", good\n', [('the "best"', " good")], ""),
        (
            "a.csv",
            "text;label\na, b;1,5\nc;2,0\n",
            [("a, b", "1,5"), ("c", "2,0")],
            "between semicolons",
        ),
        ("a.csv", 'text;label\n"a;\n b";x\n', [("a;\n b", "x")], "between semicolons"),
        ("a.csv", "sep=;\r\ntext;label\r\na;b\r\n", [("a", "b")], ""),
        ("a.csv", "text\tlabel\na, b\tc\n", [("a, b", "c")], "between tabs"),
        ("a.tsv", "text|label\na|c\n", [("a", "c")], "between vertical bars"),
        ("a.csv", "text,label\ra,b\r\rc,d\r", [("a", "b"), ("c", "d")], ""),
        (
            "a.csv",
            ",text,label\n7,a,b\n3,c,d\n",
            [("a", "b"), ("c", "d")],
            "column 1 holds row numbers",
        ),
        (
            "a.csv",
            "Unnamed: 0,text,label\n0,a,b\n1,c,d\n",
            [("a", "b"), ("c", "d")],
            "column 1 holds row numbers",
        ),
        (
            "a.csv",
            '"text","label"\n"1","a","b"\n"2","c","d"\n',
            [("a", "b"), ("c", "d")],
            "column 1 holds row numbers",
        ),
        ("a.csv", "text,,label\na,x,b\n", [("a", "b")], "column 2 has no name: left out"),
        ("a.csv", ",text,label,\n1,a,b,\n", [("a", "b")], "an empty last column is left out"),
        (
            "a.csv",
            "text,label,\na,b\nc,d,\n",
            [("a", "b"), ("c", "d")],
            "an empty last column is left out",
        ),
        ("a.csv", "text,label\na,b,,\n", [("a", "b")], "an empty last column is left out"),
        ("a.csv", "text,label\na,b\n,\n , \n", [("a", "b")], "rows without any text, left out: 2"),
        # Lines that are rows stay rows, and cells of several lines stay cells.
        (
            "a.tsv",
            'text\tlabel\n"a\tx\nb"\ty\nc\tx\nd\ty\n',
            [('"a', "x"), ('b"', "y"), ("c", "x"), ("d", "y")],
            "line 2",
        ),
        (
            "a.tsv",
            'text\tlabel\na\tx\n"b\ty\nc\tx\n',
            [("a", "x"), ('"b', "y"), ("c", "x")],
            "the one on line 3",
        ),
        ("a.tsv", 'text\tlabel\n"b" is\tgood\n', [('"b" is', "good")], "the one on line 2"),
        ("a.tsv", 'text\tlabel\n"b"\tgood\n', [("b", "good")], ""),
        (
            "a.tsv",
            'text\tlabel\n"a\nb"\tx\nc\tx\n',
            [("a\nb", "x"), ("c", "x")],
            "several lines: 1, the first on line 2",
        ),
        (
            "a.tsv",
            '"text"\t"label"\n"a\tb\nc"\t"x"\n',
            [("a\tb\nc", "x")],
            "several lines: 1, the first on line 2",
        ),
        (
            "a.csv",
            'text,label\n"a, b\nc",x\nd,x\ne,x\n',
            [("a, b\nc", "x"), ("d", "x"), ("e", "x")],
            "several lines: 1",
        ),
        (
            "a.csv",
            'text,label\n"f(a,b)\ng(c)",x\nd,x\n',
            [("f(a,b)\ng(c)", "x"), ("d", "x")],
            "several lines: 1",
        ),
    ],
)
def test_tables_are_read_as_their_writers_meant(
    tmp_path: Path, name: str, content: str, rows: list[tuple[str, str]], says: str
) -> None:
    """The cells are those that the writer had, and what was joined, left out or assumed is said."""
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    notes: list[str] = []
    found = read_rows(f"{tmp_path}/{name}", tell=notes.append)
    assert rows == [(row.cells["text"], row.cells["label"]) for row in found]
    assert all(set(row.cells) == {"text", "label"} for row in found)
    assert says in " ".join(notes)
    assert bool(says) == bool(notes)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("closes", [5, 30])
def test_a_stray_quote_does_not_swallow_rows(tmp_path: Path, suffix: str, closes: int) -> None:
    """Rows between two stray quotes are not one cell, even beside cells of several lines."""
    mark = {"csv": ",", "tsv": "\t"}[suffix]
    lines = [f"film {i}{mark}{'bad' if i % 2 else 'good'}" for i in range(40)]
    lines[4] = '"' + lines[4]
    lines[closes] = lines[closes].replace(mark, '"' + mark)
    (tmp_path / f"a.{suffix}").write_text(
        "\n".join([f"text{mark}label", f'"two\nlines"{mark}good', *lines])
    )
    with pytest.raises(
        InputError, match=rf"a.{suffix}:8: a quote opens a cell here that holds rows of its own"
    ):
        read_rows(f"{tmp_path}/a.{suffix}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "text,label\n很,b\n"), ("a.json", '[{"text": "很", "label": "b"}]')],
)
def test_a_byte_order_mark_says_the_encoding(
    tmp_path: Path, name: str, content: str, encoding: str
) -> None:
    """Files saved by spreadsheets are read, and the mark is no part of a column's name."""
    (tmp_path / name).write_text(content, encoding=encoding)
    assert {"text": "很", "label": "b"} == read_rows(f"{tmp_path}/{name}")[0].cells


def test_json_lines_are_read_under_either_name(tmp_path: Path) -> None:
    """One object a line in a .json file is what other tools write."""
    (tmp_path / "a.json").write_text('{"a": 1}\n\n{"a": "x\\u2028"}\n')
    assert ["1", "x\u2028"] == [row.cells["a"] for row in read_rows(f"{tmp_path}/a.json")]
    assert f"{tmp_path}/a.json:3" == read_rows(f"{tmp_path}/a.json")[1].origin


def test_half_a_character_is_replaced_and_counted(tmp_path: Path) -> None:
    """A lone surrogate, which no tokenizer takes, becomes U+FFFD; two are the character they write."""
    (tmp_path / "a.jsonl").write_text(
        '{"a": "x \\ud83d"}\n{"a": "\\ud83d\\ude00 \\u0000"}\n{"a": ["\\udfff"]}\n'
    )
    notes: list[str] = []
    rows = read_rows(f"{tmp_path}/a.jsonl", tell=notes.append)
    assert ["x \ufffd", "😀 \0", '["\ufffd"]'] == [row.cells["a"] for row in rows]
    assert [
        f"{tmp_path}/a.jsonl: rows that hold half a character (a lone surrogate), read as \ufffd: 2"
    ] == notes


def test_typed_values_are_written_plainly(tmp_path: Path) -> None:
    """Bytes are text; decimals, dates and times are as one writes them; lists and records are JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    day = datetime(2020, 1, 2, 3, 4, 5)
    values = {
        "bytes": pa.array(["é".encode()]),
        "decimal": pa.array([Decimal("1.50")]),
        "date": pa.array([day.date()]),
        "time": pa.array([day.time()]),
        "stamp": pa.array([day]),
        "span": pa.array([timedelta(hours=1)]),
        "class": pa.array(["x"]).dictionary_encode(),
        "float": pa.array([0.1], pa.float32()),
        "whole": pa.array([2.0]),
        "big": pa.array([2**63 - 1]),
        "truth": pa.array([True]),
        "list": pa.array([["a", "b"]]),
        "record": pa.array([{"d": day.date(), "n": 1, "b": b"x"}]),
        "null": pa.array([None], pa.string()),
        "nan": pa.array([float("nan")]),
        "image": pa.array([b"\xff\xd8"]),
        "__index_level_0__": pa.array([7]),
    }
    pq.write_table(pa.table(values), tmp_path / "a.parquet")
    notes: list[str] = []
    row = read_rows(f"{tmp_path}/a.parquet", tell=notes.append)[0]
    assert {
        "bytes": "é",
        "decimal": "1.50",
        "date": "2020-01-02",
        "time": "03:04:05",
        "stamp": "2020-01-02T03:04:05",
        "span": "1:00:00",
        "class": "x",
        "float": "0.1",
        "whole": "2",
        "big": "9223372036854775807",
        "truth": "true",
        "list": '["a", "b"]',
        "record": '{"d": "2020-01-02", "n": 1, "b": "x"}',
    } == row.cells
    assert {"image": "it is bytes that are not UTF-8 text"} == row.gaps
    assert [f"{tmp_path}/a.parquet: the row numbers that pandas saved are left out"] == notes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", [False, True])
def test_classes_have_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    """Names come from metadata too; -1 is no label, lists are named, nameless numbers are told."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features(
        {"label": names, "all": datasets.Sequence(names), "in": {"x": names}}
    )
    columns = {"label": [1, -1, None, 0], "all": [[0, 1], [], [-1], None], "in": [{"x": 1}] * 4}
    made = datasets.Dataset.from_dict(columns, features=features)
    (tmp_path / "mine").mkdir()
    made.to_parquet(tmp_path / "mine" / "train.parquet")
    rows = read_rows(str(tmp_path / "mine" / ("" if folder else "train.parquet")))
    assert ["good", None, None, "bad"] == [row.cells.get("label") for row in rows]
    assert ['["bad", "good"]', "[]", "[null]", None] == [row.cells.get("all") for row in rows]
    assert '{"x": "good"}' == rows[0].cells["in"]
    notes: list[str] = []
    assert [rows[0], rows[3]] == labelled(rows, "label", "here", notes.append)
    assert ["here: rows without a label (-1) dropped: 2"] == notes
    with pytest.raises(
        InputError, match="here: expected labels in 'label', but every row is unlabelled"
    ):
        labelled(rows[1:3], "label", "here", notes.append)


def test_a_class_without_a_name_is_a_gap(tmp_path: Path) -> None:
    """A number over those that have names is told where the value is wanted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}}}}
    table = pa.table({"label": [2]}).replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert {"label": "class 2, and only 0 to 1 have names"} == read_rows(f"{tmp_path}/a.parquet")[
        0
    ].gaps


_MARKS = st.sampled_from(
    [
        '"',
        ",",
        ";",
        "\t",
        "\n",
        "\r",
        "|",
        " ",
        "a",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ":",
        "0",
        "\0",
        "\ud83d",
        "é",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(_MARKS, max_size=40).map(lambda m: "".join(m).encode("utf-8", "replace")),
    ),
    st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"]),
)
def test_any_bytes_are_rows_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    """Whatever a file holds, it is read or refused with its name."""
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        told = [row.origin for row in read_rows(str(path))]
    except InputError as error:
        told = [str(error)]
    assert told
    assert all(text.startswith(str(path)) for text in told)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_a_damaged_parquet_file_is_rows_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[float, int]]
) -> None:
    """Other bytes - in names, in values, in its own tables - never end in a traceback."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    info = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}}}}
    table = pa.table({"text": ["x", "é"], "label": [0, 1], "day": pa.array([date(2020, 1, 2)] * 2)})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), path)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[int(place * len(content))] = value
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert read_rows(str(path))


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8),
            st.sampled_from(["x", 'y"', "z\n"]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([",", "\t"]),
)
def test_what_a_writer_of_tables_quotes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], delimiter: str
) -> None:
    """All that Python's own writer writes in quotes is read as it was."""
    path = tmp_path_factory.getbasetemp() / {",": "w.csv", "\t": "w.tsv"}[delimiter]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *cells])
    assert cells == [(row.cells["text"], row.cells["label"]) for row in read_rows(str(path))]


def test_missing_file_names_the_closest(tmp_path: Path) -> None:
    """A misspelt file is recognised."""
    (tmp_path / "reviews.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"there is no such file \(did you mean 'reviews.csv'\?\)"):
        read_rows(f"{tmp_path}/revews.csv")


@pytest.mark.parametrize("name", ["reviews.txt", "sub/reviews.txt", "./none"])
def test_a_misspelt_file_is_no_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What can only be a file is not asked for on the network."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(InputError, match=f"^{name}: there is no such file$"):
        read_rows(name)


@pytest.mark.parametrize("name", ["a.csv", "x" * 300])
def test_what_cannot_be_opened_is_told(tmp_path: Path, name: str) -> None:
    """A folder in place of a file and an impossible name are one sentence each."""
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match=rf"{name}: cannot be read \(.+\)"):
        read_rows(f"{tmp_path}/{name}")


def test_values_are_written_sensibly(tmp_path: Path) -> None:
    """A table's text stays as written, other values become text, what is missing is no value."""
    (tmp_path / "a.csv").write_text("x\n1.0\n007\n")
    assert ["1.0", "007"] == [row.cells["x"] for row in read_rows(f"{tmp_path}/a.csv")]
    (tmp_path / "a.jsonl").write_text(
        '{"a": 1, "b": 2.0, "c": 0.5, "d": true, "e": null, "f": NaN, "g": ["很"]}\n'
    )
    found = read_rows(f"{tmp_path}/a.jsonl")[0].cells
    assert {"a": "1", "b": "2", "c": "0.5", "d": "true", "g": '["很"]'} == found


def test_a_parquet_file_has_different_columns(tmp_path: Path) -> None:
    """Two columns of one name are told."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table([pa.array(["x"]), pa.array(["y"])], names=["t", "t"]), tmp_path / "a.parquet"
    )
    with pytest.raises(InputError, match=r"a.parquet: expected different column names, found t, t"):
        read_rows(f"{tmp_path}/a.parquet")


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("pyarrow.parquet", "a.parquet", r'a.parquet: .* pip install "promptfront\[parquet\]"'),
        ("datasets", "owner/name", r'owner/name: .* pip install "promptfront\[datasets\]"'),
    ],
)
def test_missing_libraries_are_told(
    monkeypatch: pytest.MonkeyPatch, module: str, source: str, says: str
) -> None:
    """What is not installed is named with the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=says):
        read_rows(source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_told(tmp_path: Path) -> None:
    """A file without read permission is one sentence."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.csv").chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(f"{tmp_path}/a.csv")


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_is_read_with_its_label_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Hugging Face data set gives the names of its classes, not their numbers."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    made = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [1, 0]}, features=features)
    folder.mkdir()
    made.to_parquet(folder / "train.parquet")
    assert [{"text": "x", "label": "good"}, {"text": "y", "label": "bad"}] == [
        r.cells for r in read_rows(str(folder))
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_broken_data_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that do not go together are one sentence, not the library's own error."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.csv").write_text("a,b\n1,2\n")
    (folder / "b.csv").write_text("c,d\n1,2\n")
    with pytest.raises(
        InputError, match=r"mine: expected a file or .* cannot be loaded \("
    ) as caught:
        read_rows(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_data_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that cannot be loaded, or no network, is one sentence."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        InputError, match="expected a file or the id of a Hugging Face data set"
    ) as caught:
        read_rows("nobody/has-this")
    assert "\n" not in str(caught.value)


_EXAMPLES = st.lists(
    st.builds(
        lambda text, label: Example((("text", text),), label),
        st.text("aA b", max_size=5),
        st.sampled_from("xy"),
    ),
    max_size=60,
)


@given(_EXAMPLES, st.integers(0, 5))
def test_no_input_is_in_two_splits(examples: list[Example], seed: int) -> None:
    """Splits are disjoint up to case and white space, complete, and the seed's alone."""
    kept, _ = deduplicate(examples)
    if len(kept) < 8:
        return
    splits = split_rows(examples, Sizes(), seed, "here")
    assert splits == split_rows(examples, Sizes(), seed, "here")
    everything = [*splits.train, *splits.dev, *splits.test]
    assert sorted(everything, key=str) == sorted(kept, key=str)
    folded = [" ".join(e.inputs[0][1].split()).casefold() for e in everything]
    assert len(set(folded)) == len(folded)
    assert "" not in folded


@given(
    st.integers(0, 9), st.integers(2, 5), st.lists(st.sampled_from("abc"), min_size=8, max_size=40)
)
def test_the_pool_has_every_label_it_has_room_for(seed: int, size: int, labels: list[str]) -> None:
    """A rare label is in train, so that demonstrations can show it; what is not used is counted."""
    made = [Example((("text", str(i)),), label) for i, label in enumerate(labels)]
    splits = split_rows(made, Sizes(train=size), seed, "here")
    assert len({e.target for e in splits.train}) == min(len(set(labels)), len(splits.train))
    unused = len(made) - len(splits.train) - len(splits.dev) - len(splits.test)
    assert splits.notes == (
        (f"{unused} rows not used: train has at most {size}",) if unused else ()
    )


def test_given_splits_over_their_sizes_are_told() -> None:
    """Rows that a user gave and that are not used are counted."""
    train, dev, test = (
        [Example((("text", f"{part} {i}"),), "xy"[i % 2]) for i in range(10)] for part in range(3)
    )
    splits = given_splits(train, dev, test, Sizes(train=9, dev=8, test=10), 0, "here")
    assert (9, 8, 10) == (len(splits.train), len(splits.dev), len(splits.test))
    assert (
        "1 rows not used: train has at most 9",
        "2 rows not used: dev has at most 8",
    ) == splits.notes


@given(_EXAMPLES, _EXAMPLES, _EXAMPLES)
def test_given_splits_share_nothing(
    train: list[Example], dev: list[Example], test: list[Example]
) -> None:
    """Whatever the files repeat, each input is used in one role, test before dev before train."""
    try:
        splits = given_splits(train, dev, test, Sizes(), 0, "here")
    except InputError:
        return
    ids = [
        {" ".join(e.inputs[0][1].split()).casefold() for e in s}
        for s in (splits.train, splits.dev, splits.test)
    ]
    assert len(ids[0] | ids[1] | ids[2]) == len(ids[0]) + len(ids[1]) + len(ids[2])


def test_dropped_rows_are_counted() -> None:
    """Duplicates, contradictions and empty inputs are each said."""
    made = [
        Example((("text", t),), label)
        for t, label in (("a", "x"), ("A ", "x"), ("b", "x"), ("b", "y"), (" ", "x"))
    ]
    kept, notes = deduplicate(made)
    assert (made[0],) == kept
    assert {
        "1 rows without input dropped",
        "2 rows dropped whose input stands with different targets",
        "1 duplicate rows dropped",
    } == set(notes)
