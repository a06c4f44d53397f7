"""Reading rows: what is read, and what is said about what cannot be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.data.rows import read_rows
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
        (
            "a.csv",
            b'text,label\n"a,b\n',
            r"a.csv:2: expected a quote that closes the cell opened here, found none",
        ),
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
        ("a.json", b"[" * 100_000, r"a.json:1: .* nested too deeply"),
        ("a.jsonl", b'{"a": 1, "a": 2}', r"a.jsonl:1: .* the key 'a' occurs twice"),
        ("a.jsonl", b'{"a": ' + b"9" * 5000 + b"}", r"a.jsonl:1: expected JSON, but .*4300 digits"),
        ("a.csv", b"t,l\na,b\n\0,b\n", r"a.csv:3: expected text, found a NUL character"),
        ("a.csv", b"\xff\xfet\0,\0l\0\n\0a", r"a.csv:2: expected UTF-16-LE text"),
        (
            "a.csv",
            b'text,label\n"a" b,c\n',
            r"a.csv:2: expected commas .* begins here and ends on this line, found ' '",
        ),
        (
            "a.csv",
            b'text,label\nx,y\n"a,b\nc,d\n"e" f,g\n',
            r"a.csv:3: expected commas .* begins here and ends on line 5, found",
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
    """A lone surrogate, which no tokenizer takes, becomes U+FFFD.

    Two are the character they write.
    """
    (tmp_path / "a.jsonl").write_text(
        '{"a": "x \\ud83d"}\n{"a": "\\ud83d\\ude00 \\u0000"}\n{"a": ["\\udfff"]}\n'
    )
    notes: list[str] = []
    rows = read_rows(f"{tmp_path}/a.jsonl", tell=notes.append)
    assert ["x \ufffd", "😀 \0", '["\ufffd"]'] == [row.cells["a"] for row in rows]
    assert [f"{tmp_path}/a.jsonl: rows with a lone surrogate, which is read as \ufffd: 2"] == notes


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
