"""Data files of every form: what was written is what is scored, or one sentence says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptfront.search import assembly
from tests.fuzz import tables
from tests.fuzz.harness import few, folder, run
from tests.fuzz.oracle import Oracle

if TYPE_CHECKING:
    from tests.fuzz.tables import File


@few(70)
@given(
    file=st.one_of(
        tables.separated(), tables.raw_tsv(), tables.json_files(), tables.parquet_files()
    )
)
def test_what_was_written_is_read(file: File) -> None:
    """A file as programs write it is read whole.

    Every row is scored as it was meant, none is lost.
    """
    table = file.table
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        oracle = Oracle(table.texts, table.answers)
        patch.setattr(assembly, "make_backend", lambda *_: oracle)
        data = home / f"data{file.suffix}"
        data.write_bytes(file.content)
        columns = ["--input-column", table.text, "--target-column", table.label]
        done = run("data files", "--data", str(data), *columns)
        assert done.code == 0, done.err
        assert not oracle.misread
        assert done.rows() == len(table.rows), done.err
        assert done.dev() == pytest.approx(1.0)


@few(100)
@given(file=tables.damaged(), guess=st.integers(0, 3))
def test_a_damaged_file_is_one_sentence_at_most(file: File, guess: int) -> None:
    """Whatever the bytes: a table, or one sentence."""
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "make_backend", lambda *_: Oracle({}, {}))
        data = home / f"data{file.suffix}"
        data.write_bytes(file.content)
        named = ["--input-column", file.table.text, "--target-column", file.table.label]
        columns = named if guess else []
        run("damaged data files", "--data", str(data), *columns)


@few(100)
@given(records=tables.odd_records(), scorer=st.sampled_from([None, None, "exact-match"]))
def test_values_of_every_type(records: str, scorer: str | None) -> None:
    """Whatever the values: a table, or one sentence."""
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "make_backend", lambda *_: Oracle({}, {}))
        data = home / "data.jsonl"
        data.write_text(records)
        extra = ["--scorer", scorer] if scorer else []
        columns = ["--input-column", "text", "--target-column", "label"]
        run("values in data files", "--data", str(data), *columns, *extra)
