"""Tests of a promptfoo configuration as rows: their variables, and the answer they expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .cells import Row, Tell, row_of
from .prompt_files import Document, Keys, read_document
from .rows import read_text

EXPECTED = "__expected"
"""The column of expected answers, called as in promptfoo's own tables."""
_COMPARISONS = ("equals", "contains", "icontains")


def has_tests(path: str) -> bool:
    """Whether a prompt file brings rows of its own."""
    if Path(path).suffix.lower() not in (".json", ".yaml", ".yml"):
        return False
    value = read_document(path).value
    return isinstance(value, dict) and "prompts" in value and bool(value.get("tests"))


def read_tests(path: str, target: str | None, tell: Tell) -> list[Row]:
    """Return the tests that say which answer they expect.

    Parameters
    ----------
    path
        The configuration.
    target
        The variable that holds the answer; by default it is what a test asserts.
    tell
        Is told how many tests were left out.

    Raises
    ------
    InputError
        If there is none; with file and line.
    """
    document = read_document(path)
    tests = document.value.get("tests")
    if not isinstance(tests, list) or not tests:
        raise document.wrong(("tests",), "a list of tests, or rows in `data`")
    default = document.value.get("defaultTest")
    shared = default.get("vars") if isinstance(default, dict) else None
    rows = []
    for number, test in enumerate(tests):
        place: Keys = ("tests", number)
        values = test.get("vars") if isinstance(test, dict) else None
        if not isinstance(values, dict):
            raise document.wrong(place, f"a test with vars, found {type(test).__name__}")
        cells = {str(k): v for k, v in {**(shared or {}), **values}.items()}
        cells = {name: _value(document, place, value) for name, value in cells.items()}
        if target is None or target not in cells:
            cells[EXPECTED] = _expected(test.get("assert"))
        rows.append(row_of(cells.items(), f"{path}:{document.line(place)}"))
    answer = target if target and any(target in row.cells for row in rows) else EXPECTED
    kept = [row for row in rows if answer in row.cells]
    if not kept:
        raise document.wrong(
            ("tests",),
            f"tests that assert what is expected ({', '.join(_COMPARISONS)}), found none",
        )
    if len(kept) < len(rows):
        tell(f"{path}: tests without an expected answer left out: {len(rows) - len(kept)}")
    return kept


def _value(document: Document, place: Keys, value: Any) -> Any:  # noqa: ANN401 (any YAML value)
    if not isinstance(value, str) or not value.startswith("file://"):
        return value
    try:
        return read_text(Path(document.path).parent / value.removeprefix("file://")).rstrip("\n")
    except (OSError, ValueError):
        raise document.wrong(place, f"a text file, but {value} cannot be read") from None


def _expected(asserted: Any) -> Any:  # noqa: ANN401 (any YAML value)
    """Return the value that a test compares the answer with; None without any."""
    for item in asserted if isinstance(asserted, list) else [asserted]:
        if isinstance(item, dict) and item.get("type") in _COMPARISONS and "value" in item:
            return item["value"]
    return None
