"""Rows from files and data sets. Every row knows where it stands, so that what is wrong with it can be told."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import InputError
from .plugins import closest

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_MAX_FIELD = 1 << 27
_DATA_SET_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: text by column, and its origin as ``file:line`` (``file:row`` where there are no lines).

    A column in which the row has no value (null, NaN) is left out.
    """

    cells: Mapping[str, str]
    origin: str


def read_rows(source: str, *, split: str = "train") -> list[Row]:
    """Read all rows of a file, or of a split of a Hugging Face data set.

    Parameters
    ----------
    source
        A CSV, TSV, JSONL, JSON or Parquet file, or a data set's id or folder.
    split
        The split of a data set.

    Raises
    ------
    InputError
        If it is missing, empty, or not what its name says.
    """
    path = Path(source)
    try:
        if path.suffix.lower() in SUFFIXES:
            rows = list(_read_file(path))
        elif path.is_file():
            raise InputError(
                f"{source}: expected a file that ends in {', '.join(SUFFIXES)}, found {path.suffix or 'no ending'}"
            )
        elif path.is_dir() or _may_be_data_set(source):
            rows = list(_read_data_set(source, split))
        else:
            raise FileNotFoundError
    except FileNotFoundError:
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{source}: there is no such file{closest(path.name, names)}") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
    if not rows:
        raise InputError(f"{source}: expected rows of data, but it has none")
    return rows


def _read_file(path: Path) -> Iterator[Row]:
    readers = {
        ".csv": _read_csv,
        ".tsv": _read_tsv,
        ".jsonl": _read_jsonl,
        ".json": _read_json,
        ".parquet": _read_parquet,
    }
    suffix = path.suffix.lower()
    try:
        yield from readers[suffix](path)
    except UnicodeDecodeError as error:
        # The error counts from the start of a buffer, not of the file.
        where = str(path) if suffix == ".parquet" else f"{path}:{_undecodable_line(path)}"
        raise InputError(
            f"{where}: expected UTF-8 text, found the byte {error.object[error.start]:#x}; save the file as UTF-8"
        ) from None


def _undecodable_line(path: Path) -> int:
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content.count(b"\n", 0, error.start) + 1
    return 1


def _may_be_data_set(source: str) -> bool:
    folder, _, name = source.rpartition("/")
    # "name.txt", and "folder/name.txt" beside an existing folder, are misspelt files: asking the hub takes half a minute.
    file = "." in name and (not folder or Path(folder).is_dir())
    return _DATA_SET_ID.fullmatch(source) is not None and not file


def _read_csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from _read_table(path, file, ",")


def _read_tsv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from _read_table(path, file, "\t")


def _read_table(path: Path, file: IO[str], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            return
        if len(set(header)) < len(header) or not all(name.strip() for name in header):
            raise InputError(f"{path}:1: expected a header of different column names, found {', '.join(header)}")
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                raise InputError(
                    f"{path}:{line}: expected {len(header)} cells ({', '.join(header)}), found {len(cells)}"
                )
            if cells:
                yield Row(dict(zip(header, cells, strict=True)), f"{path}:{line}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}:{reader.line_num}: not a readable table ({error}); quote cells that hold quotes or line breaks"
        ) from None


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as file:
        # Only "\n" ends a line: JSON strings may hold other line separators.
        for line, text in enumerate(file, start=1):
            if text.strip():
                yield _json_row(_parse_json(text, f"{path}:{line}"), f"{path}:{line}")


def _read_json(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    values = _parse_json(text, str(path)) if text.strip() else []
    if not isinstance(values, list):
        raise InputError(f"{path}: expected a JSON array of objects, found {type(values).__name__}")
    for number, value in enumerate(values, start=1):
        yield _json_row(value, f"{path}:{number}")


def _parse_json(text: str, where: str) -> Any:  # noqa: ANN401 (any JSON value)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: expected JSON, but {error}") from None


def _json_row(value: Any, where: str) -> Row:  # noqa: ANN401 (any JSON value)
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object with a value per column, found {type(value).__name__}")
    return Row(_cells(value), where)


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet
        from pyarrow import ArrowException
    except ImportError:
        raise InputError(f'{path}: reading Parquet needs pyarrow: pip install "promptfront[parquet]"') from None
    try:
        names = parquet.read_schema(path).names if path.is_file() else []
        if len(set(names)) < len(names):
            raise InputError(f"{path}: expected different column names, found {', '.join(names)}")
        table = parquet.read_table(path)
    except ArrowException as error:
        raise InputError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    yield from _records(table.to_pylist(), str(path))


def _read_data_set(source: str, split: str) -> Iterator[Row]:
    try:
        import datasets
    except ImportError:
        raise InputError(
            f'{source}: there is no such file; if it is a Hugging Face data set: pip install "promptfront[datasets]"'
        ) from None
    try:
        loaded = datasets.load_dataset(source, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{source}: expected a file or the id of a Hugging Face data set with a split {split!r}, but it cannot be loaded ({reason})"
        ) from error
    features = loaded.features
    named = {name: f for name, f in features.items() if isinstance(f, datasets.ClassLabel)}
    records = ({k: named[k].int2str(v) if k in named and v is not None else v for k, v in r.items()} for r in loaded)
    yield from _records(records, source)


def _records(records: Iterable[Mapping[str, Any]], source: str) -> Iterator[Row]:
    for number, record in enumerate(records, start=1):
        yield Row(_cells(record), f"{source}:{number}")


def _cells(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(name): _cell(value)
        for name, value in record.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }


def _cell(value: Any) -> str:  # noqa: ANN401 (whatever a cell holds)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False, default=str)
