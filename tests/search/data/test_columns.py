"""Parquet files and data sets: values as one writes them, classes by their names."""

from __future__ import annotations

import contextlib
import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.data.rows import labelled, read_rows
from promptfront.search.errors import InputError


def test_typed_values_are_written_plainly(tmp_path: Path) -> None:
    """Bytes are text, numbers and dates are as one writes them, lists and records are JSON."""
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
    assert {"label": "it is class 2, but only 0 to 1 have names"} == read_rows(
        f"{tmp_path}/a.parquet"
    )[0].gaps


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


def test_a_parquet_file_has_different_columns(tmp_path: Path) -> None:
    """Two columns of one name are told."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table([pa.array(["x"]), pa.array(["y"])], names=["t", "t"]), tmp_path / "a.parquet"
    )
    with pytest.raises(InputError, match=r"a.parquet: expected different column names, found t, t"):
        read_rows(f"{tmp_path}/a.parquet")


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
        InputError, match=r"mine: expected a file or .* loading it failed \("
    ) as caught:
        read_rows(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_an_unknown_data_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that cannot be loaded, or no network, is one sentence."""
    pytest.importorskip("datasets")
    # The variable HF_HUB_OFFLINE is read once in a process, by whoever imports the hub first.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match="expected a file or the id of a Hugging Face data set"
    ) as caught:
        read_rows("nobody/has-this")
    assert "\n" not in str(caught.value)
