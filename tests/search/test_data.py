"""Reading rows and dividing them: what is read, what is said about what cannot be, and what no split may share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptfront.search.contracts import Example
from promptfront.search.data import read_rows
from promptfront.search.errors import InputError
from promptfront.search.splits import Sizes, deduplicate, given_splits, split_rows

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
        ("a.csv", b"text,label\ncaf\xe9,b\n", r"a.csv:2: expected UTF-8 text, found the byte 0xe9; save the file"),
        ("a.jsonl", b'{"a": 1}\n\n{"a": "\xff"}\n', r"a.jsonl:3: expected UTF-8 text, found the byte 0xff"),
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


@pytest.mark.parametrize("name", ["reviews.txt", "sub/reviews.txt", "./none"])
def test_a_misspelt_file_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
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
    """A table's text stays as written, other values become text, and what is missing is no value."""
    (tmp_path / "a.csv").write_text("x\n1.0\n007\n")
    assert ["1.0", "007"] == [row.cells["x"] for row in read_rows(f"{tmp_path}/a.csv")]
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": 2.0, "c": 0.5, "d": true, "e": null, "f": NaN, "g": ["很"]}\n')
    found = read_rows(f"{tmp_path}/a.jsonl")[0].cells
    assert {"a": "1", "b": "2", "c": "0.5", "d": "true", "g": '["很"]'} == found


def test_a_parquet_file_has_different_columns(tmp_path: Path) -> None:
    """Two columns of one name are told."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([pa.array(["x"]), pa.array(["y"])], names=["t", "t"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet: expected different column names, found t, t"):
        read_rows(f"{tmp_path}/a.parquet")


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("pyarrow.parquet", "a.parquet", r'a.parquet: .* pip install "promptfront\[parquet\]"'),
        ("datasets", "owner/name", r'owner/name: .* pip install "promptfront\[datasets\]"'),
    ],
)
def test_missing_libraries_are_told(monkeypatch: pytest.MonkeyPatch, module: str, source: str, says: str) -> None:
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
def test_a_broken_data_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that do not go together are one sentence, not the library's own error."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.csv").write_text("a,b\n1,2\n")
    (folder / "b.csv").write_text("c,d\n1,2\n")
    with pytest.raises(InputError, match=r"mine: expected a file or .* cannot be loaded \(") as caught:
        read_rows(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_data_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that cannot be loaded, or no network, is one sentence."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="expected a file or the id of a Hugging Face data set") as caught:
        read_rows("nobody/has-this")
    assert "\n" not in str(caught.value)


_EXAMPLES = st.lists(
    st.builds(
        lambda text, label: Example((("text", text),), label), st.text("aA b", max_size=5), st.sampled_from("xy")
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
    everything = [*splits.pool, *splits.dev, *splits.test]
    assert sorted(everything, key=str) == sorted(kept, key=str)
    folded = [" ".join(e.inputs[0][1].split()).casefold() for e in everything]
    assert len(set(folded)) == len(folded)
    assert "" not in folded


@given(st.integers(0, 9), st.integers(2, 5), st.lists(st.sampled_from("abc"), min_size=8, max_size=40))
def test_the_pool_has_every_label_it_has_room_for(seed: int, size: int, labels: list[str]) -> None:
    """A rare label is not lost to the other splits, so demonstrations can show it; what is not used is counted."""
    made = [Example((("text", str(i)),), label) for i, label in enumerate(labels)]
    splits = split_rows(made, Sizes(pool=size), seed, "here")
    assert len({e.target for e in splits.pool}) == min(len(set(labels)), len(splits.pool))
    unused = len(made) - len(splits.pool) - len(splits.dev) - len(splits.test)
    assert splits.notes == ((f"{unused} rows not used: pool has at most {size}",) if unused else ())


def test_given_splits_over_their_sizes_are_told() -> None:
    """Rows that a user gave and that are not used are counted."""
    train, dev, test = ([Example((("text", f"{part} {i}"),), "xy"[i % 2]) for i in range(10)] for part in range(3))
    splits = given_splits(train, dev, test, Sizes(pool=9, dev=8, test=10), 0, "here")
    assert (9, 8, 10) == (len(splits.pool), len(splits.dev), len(splits.test))
    assert ("1 rows not used: pool has at most 9", "2 rows not used: dev has at most 8") == splits.notes


@given(_EXAMPLES, _EXAMPLES, _EXAMPLES)
def test_given_splits_share_nothing(train: list[Example], dev: list[Example], test: list[Example]) -> None:
    """Whatever the files repeat, each input is used in one role, test before dev before pool."""
    try:
        splits = given_splits(train, dev, test, Sizes(), 0, "here")
    except InputError:
        return
    ids = [{" ".join(e.inputs[0][1].split()).casefold() for e in s} for s in (splits.pool, splits.dev, splits.test)]
    assert len(ids[0] | ids[1] | ids[2]) == len(ids[0]) + len(ids[1]) + len(ids[2])


def test_dropped_rows_are_counted() -> None:
    """Duplicates, contradictions and empty inputs are each said."""
    made = [
        Example((("text", t),), label) for t, label in (("a", "x"), ("A ", "x"), ("b", "x"), ("b", "y"), (" ", "x"))
    ]
    kept, notes = deduplicate(made)
    assert (made[0],) == kept
    assert {
        "1 rows without input dropped",
        "2 rows dropped whose input stands with different targets",
        "1 duplicate rows dropped",
    } == set(notes)
