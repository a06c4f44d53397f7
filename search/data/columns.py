"""Rows from typed columns: Parquet files and Hugging Face data sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from .cells import UNLABELLED, Gap, Row, Tell, row_of

Feature = Any
"""What a column holds, as Hugging Face data sets write it.

That is ``{"_type": "ClassLabel", "names": [...]}``, and lists and records of such.
"""


def read_parquet(path: Path, tell: Tell) -> Iterator[Row]:
    """Read a Parquet file; classes that its Hugging Face metadata names get their names."""
    try:
        import pyarrow.parquet as parquet
        from pyarrow import ArrowException
    except ImportError:
        raise InputError(
            f'{path}: reading Parquet needs pyarrow: pip install "promptfront[parquet]"'
        ) from None
    try:
        names = parquet.read_schema(path).names if path.is_file() else []
        if len(set(names)) < len(names):
            raise InputError(f"{path}: expected different column names, found {', '.join(names)}")
        table = parquet.read_table(path)
        names = table.column_names
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected column names in UTF-8") from None
    except ArrowException as error:
        raise InputError(f"{path}: not a Parquet file ({_reason(error)})") from None
    yield from _rows(table, _features(table.schema.metadata), str(path), tell)


def read_data_set(source: str, split: str, tell: Tell) -> Iterator[Row]:
    """Read a split of a Hugging Face data set, by its id or its folder."""
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{source}: there is no such file; to load it as a Hugging Face data set, run "
            'pip install "promptfront[datasets]"'
        ) from None
    try:
        loaded = datasets.load_dataset(source, split=split)
        table = loaded.with_format("arrow")[:]
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise InputError(
            f"{source}: expected a file or the id of a Hugging Face data set with the "
            f"split {split!r}, but loading it failed ({_reason(error)})"
        ) from error
    yield from _rows(table, loaded.features.to_dict(), source, tell)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


def _features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Feature]:
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):  # it is only a help
        return {}
    return features if isinstance(features, dict) else {}


def _rows(
    table: Any,  # noqa: ANN401 (pyarrow has no types)
    features: Mapping[str, Feature],
    source: str,
    tell: Tell,
) -> Iterator[Row]:
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    if len(names) < len(table.column_names):
        tell(f"{source}: the row numbers that pandas saved are left out")
    columns = []
    for name in names:
        named = _namer(features.get(name))
        values = _values(table.column(name), f"{source}: the column {name!r}")
        columns.append(values if named is None else [named(value) for value in values])
    for number, record in enumerate(zip(*columns, strict=True), start=1):
        yield row_of(zip(names, record, strict=True), f"{source}:{number}")


def _values(column: Any, where: str) -> list[Any]:  # noqa: ANN401 (pyarrow has no types)
    import pyarrow as pa

    try:
        if pa.types.is_float32(column.type):  # 0.1 is to stay 0.1, not 0.10000000149011612
            column = column.cast(pa.string()).cast(pa.float64())
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:  # decoded cell by cell, later
            return list(column.cast(pa.large_binary()).to_pylist())
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise InputError(f"{where} cannot be read ({_reason(error)})") from None


def _namer(feature: Feature) -> Callable[[Any], Any] | None:
    """Return what puts classes' names for their numbers, anywhere in a value, if there are any."""
    if isinstance(feature, list) and len(feature) == 1:
        return _of_list(_namer(feature[0]))
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") == "ClassLabel":
        return _of_class(feature.get("names"))
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return _of_list(_namer(feature.get("feature")))
    inner = {name: _namer(part) for name, part in feature.items()}
    return _of_record({name: namer for name, namer in inner.items() if namer})


def _of_list(inner: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if inner is None:
        return None

    def named(values: Any) -> Any:  # noqa: ANN401 (what the column holds)
        if not isinstance(values, list):
            return inner(values)
        return [None if isinstance(value, Gap) else value for value in map(inner, values)]

    return named


def _of_record(inner: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any] | None:
    if not inner:
        return None

    def named(record: Any) -> Any:  # noqa: ANN401 (what the column holds)
        if not isinstance(record, dict):
            return record
        return {
            name: inner[name](value) if name in inner else value for name, value in record.items()
        }

    return named


def _of_class(names: Any) -> Callable[[Any], Any] | None:  # noqa: ANN401 (what the metadata holds)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None

    def named(value: Any) -> Any:  # noqa: ANN401 (what the column holds)
        if value is None or value == -1:
            return UNLABELLED
        if not isinstance(value, int):
            return value
        if not 0 <= value < len(names):
            return Gap(f"it is class {value}, but only 0 to {len(names) - 1} have names")
        return names[value]

    return named
