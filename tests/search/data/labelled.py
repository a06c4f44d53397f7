"""Small labelled tables on disk."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(
    path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")
) -> str:
    """Write a table and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def rows(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Return different texts labelled good and bad in turn."""
    return [(f"text number {i}", ("good", "bad")[i % 2]) for i in range(start, start + count)]
