"""Tables are read as their writers meant them, or refused with the line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.data.rows import read_rows
from promptfront.search.errors import InputError


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
            "separated by semicolons",
        ),
        ("a.csv", 'text;label\n"a;\n b";x\n', [("a;\n b", "x")], "separated by semicolons"),
        ("a.csv", "sep=;\r\ntext;label\r\na;b\r\n", [("a", "b")], ""),
        ("a.csv", "text\tlabel\na, b\tc\n", [("a, b", "c")], "separated by tabs"),
        ("a.tsv", "text|label\na|c\n", [("a", "c")], "separated by vertical bars"),
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
        InputError, match=rf"a.{suffix}:8: the quote here opens a cell that contains the next rows"
    ):
        read_rows(f"{tmp_path}/a.{suffix}")


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
