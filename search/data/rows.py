"""Rows from files and data sets, each by the reader of its kind."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import InputError
from ..plugins import closest
from .cells import UNLABELLED, Row, Tell
from .columns import read_data_set, read_parquet
from .objects import read_json, read_json_lines, whole
from .tables import read_table

__all__ = ["Row", "is_list", "labelled", "read_rows", "read_text"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_DATA_SET_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)
"""Byte order marks; the longer one first where one begins with another."""


def read_rows(source: str, *, split: str = "train", tell: Tell = lambda _: None) -> list[Row]:
    """Read all rows of a file, or of a split of a Hugging Face data set.

    Parameters
    ----------
    source
        A CSV, TSV, JSONL, JSON or Parquet file, or a data set's id or folder.
    split
        The split of a data set.
    tell
        Is told in a sentence what was left out, joined or taken for granted.

    Raises
    ------
    InputError
        If it is missing, empty, or not what its name says.
    """
    path = Path(source)
    if "\0" in source or whole(source) != source:
        raise InputError(f"{source!a}: there is no such file")
    try:
        if path.suffix.lower() in SUFFIXES:
            rows = list(_read_file(path, tell))
        elif path.is_file():
            raise InputError(
                f"{source}: expected a file that ends in {', '.join(SUFFIXES)}, "
                f"found {path.suffix or 'no ending'}"
            )
        elif path.is_dir() or _may_be_data_set(source):
            rows = list(read_data_set(source, split, tell))
        else:
            raise FileNotFoundError
    except FileNotFoundError:
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{source}: there is no such file{closest(path.name, names)}") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from None
    if not rows:
        raise InputError(f"{source}: expected rows of data, but it has none")
    return rows


def _read_file(path: Path, tell: Tell) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return read_parquet(path, tell)
    text = read_text(path)
    if suffix == ".jsonl":
        return read_json_lines(str(path), text, tell)
    if suffix == ".json":
        return read_json(str(path), text, tell)
    return read_table(str(path), text, "\t" if suffix == ".tsv" else ",", tell)


def read_text(path: Path) -> str:
    """Return the text of a file: UTF-8, or what its byte order mark says.

    Raises
    ------
    InputError
        If it is not; with the line.
    """
    content = path.read_bytes()
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "UTF-8")
    )
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count("\n".encode(encoding), 0, len(mark) + error.start) + 1
        byte = error.object[error.start]
        raise InputError(
            f"{path}:{line}: expected {encoding} text, found the byte {byte:#x}; "
            "save the file as UTF-8"
        ) from None


def _may_be_data_set(source: str) -> bool:
    folder, _, name = source.rpartition("/")
    # "name.txt", and "folder/name.txt" beside an existing folder, are misspelt files: asking the
    # hub takes half a minute.
    file = "." in name and (not folder or Path(folder).is_dir())
    return _DATA_SET_ID.fullmatch(source) is not None and not file


def labelled(rows: Sequence[Row], target: str, source: str, tell: Tell) -> list[Row]:
    """Return the rows that data sets do not mark as unlabelled (-1) in a column of classes.

    Raises
    ------
    InputError
        If that leaves none.
    """
    kept = [row for row in rows if row.gaps.get(target) != UNLABELLED]
    if not kept:
        raise InputError(
            f"{source}: expected labels in {target!r}, but every row is unlabelled (-1); "
            "use a split with labels"
        )
    if len(kept) < len(rows):
        tell(f"{source}: rows without a label (-1) dropped: {len(rows) - len(kept)}")
    return kept


def is_list(label: str) -> bool:
    """Whether a label is a list or a record, written as JSON."""
    if not label.startswith(("[", "{")):
        return False
    try:
        return isinstance(json.loads(label), list | dict)
    except (ValueError, RecursionError):
        return False
