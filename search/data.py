"""Rows from files and data sets. Every row knows where it stands, so that what is wrong with it can be told."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import InputError
from .plugins import closest

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_MAX_FIELD = 1 << 27


@dataclass(frozen=True, slots=True)
class Row:
    """One row: text by column, and its origin as ``file:line`` (``file:row`` where there are no lines)."""

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
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        if path.is_file():
            raise InputError(
                f"{source}: expected a file that ends in {', '.join(SUFFIXES)}, found {suffix or 'no ending'}"
            )
        rows = list(_read_data_set(source, split))
    else:
        readers = {
            ".csv": _read_csv,
            ".tsv": _read_tsv,
            ".jsonl": _read_jsonl,
            ".json": _read_json,
            ".parquet": _read_parquet,
        }
        try:
            rows = list(readers[suffix](path))
        except FileNotFoundError:
            names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise InputError(f"{source}: there is no such file{closest(path.name, names)}") from None
        except UnicodeDecodeError as error:
            raise InputError(
                f"{source}: expected UTF-8 text, found the byte {error.object[error.start]:#x}; convert the file"
            ) from None
        except OSError as error:
            raise InputError(f"{source}: cannot be read ({error.strerror})") from None
    if not rows:
        raise InputError(f"{source}: expected rows of data, but it has none")
    return rows


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
    return Row({str(name): _cell(cell) for name, cell in value.items()}, where)


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet
        from pyarrow import ArrowInvalid
    except ImportError:
        raise InputError(f'{path}: reading Parquet needs pyarrow: pip install "promptfront[parquet]"') from None
    try:
        table = parquet.read_table(path)
    except ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from None
    yield from _records(table.to_pylist(), str(path))


def _read_data_set(source: str, split: str) -> Iterator[Row]:
    if "." in Path(source).name and not Path(source).is_dir() and "/" not in source:
        raise InputError(f"{source}: there is no such file, and files end in {', '.join(SUFFIXES)}")
    try:
        import datasets
    except ImportError:
        raise InputError(
            f'{source}: there is no such file; if it is a Hugging Face data set: pip install "promptfront[datasets]"'
        ) from None
    try:
        loaded = datasets.load_dataset(source, split=split)
    except (OSError, ValueError, RuntimeError) as error:
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
        yield Row({str(k): _cell(v) for k, v in record.items()}, f"{source}:{number}")


def _cell(value: Any) -> str:  # noqa: ANN401 (whatever a cell holds)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False, default=str)
