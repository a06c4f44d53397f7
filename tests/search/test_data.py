"""Reading rows: what is read, and what is said about what cannot be read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from promptfront.search.data import read_rows
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
def test_texts_come_back_as_they_are(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    """Braces, labels, control tokens, line breaks, Chinese and emoji survive every format."""
    write(tmp_path / name)
    rows = read_rows(str(tmp_path / name))
    assert NASTY == [row.cells["text"] for row in rows]


def test_origins_are_true_line_numbers(tmp_path: Path) -> None:
    """A row after a cell of several lines is named by the line it stands on."""
    (tmp_path / "a.csv").write_text('text,label\n"one\ntwo",a\n\nthree,b\n')
    assert [f"{tmp_path}/a.csv:2", f"{tmp_path}/a.csv:5"] == [row.origin for row in read_rows(f"{tmp_path}/a.csv")]


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
        ("a.csv", b'text,label\n"a,b\n', r"a.csv:\d: not a readable table"),
        ("a.csv", b"text,label\ncaf\xe9,b\n", "expected UTF-8 text, found the byte 0xe9"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a.jsonl:2: expected JSON"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', r"a.jsonl:2: expected an object with a value per column, found list"),
        ("a.json", b'{"a": 1}', "expected a JSON array of objects, found dict"),
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


def test_missing_file_names_the_closest(tmp_path: Path) -> None:
    """A misspelt file is recognised."""
    (tmp_path / "reviews.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"there is no such file \(did you mean 'reviews.csv'\?\)"):
        read_rows(f"{tmp_path}/revews.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_told(tmp_path: Path) -> None:
    """A file without read permission is one sentence."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.csv").chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(f"{tmp_path}/a.csv")


@pytest.mark.filterwarnings("ignore")
def test_a_data_set_is_read_with_its_label_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert [{"text": "x", "label": "good"}, {"text": "y", "label": "bad"}] == [r.cells for r in read_rows(str(folder))]


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_data_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that cannot be loaded, or no network, is one sentence."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="expected a file or the id of a Hugging Face data set") as caught:
        read_rows("nobody/has-this")
    assert "\n" not in str(caught.value)
