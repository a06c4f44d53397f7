"""Every page of the site runs as it is printed, in an empty folder, or says what it leaves out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.blocks import DOCS, blocks, is_quick, pages, run, tours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.blocks import Block

_PAGES = pages()
_TOURS = tours(_PAGES)
_QUICK = [start for start, tour in _TOURS.items() if all(is_quick(_PAGES[one]) for one in tour)]
_SLOW = [start for start in _TOURS if start not in _QUICK]


@pytest.mark.parametrize("name", _PAGES)
def test_each_block_is_run_or_marked(name: str) -> None:
    """A block is a script, a program, a file, an output, or is marked with why it is not run."""
    unaccounted = [
        f"{name}:{block.line}: ```{block.language}"
        for block in blocks(_PAGES[name])
        if not (block.runs or block.excerpt or block.language == "text")
    ]
    assert [] == unaccounted


@pytest.mark.parametrize("name", _PAGES)
def test_each_program_of_a_page_is_used(name: str) -> None:
    """A block that is only written to a file would not be run: a later command names that file."""
    found = blocks(_PAGES[name])
    idle = [
        block.file
        for number, block in enumerate(found)
        if block.runs and block.file and not _named_later(block.file, found[number + 1 :])
    ]
    assert [] == idle


def _named_later(file: str, later: list[Block]) -> bool:
    return any(file in block.text for block in later)


def test_pages_continue_pages_that_are_there() -> None:
    """A page that goes on in another's folder names that page."""
    assert [] == [start for start in _TOURS if start not in _PAGES]


@pytest.mark.parametrize("start", _QUICK)
def test_a_quick_page_runs_as_printed(start: str, tmp_path: Path) -> None:
    """What needs no model is run in every test run."""
    for name in _TOURS[start]:
        run(_PAGES[name], tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("start", _SLOW)
def test_a_page_runs_as_printed(start: str, tmp_path: Path) -> None:
    """A page and those that continue it, one after the other."""
    for name in _TOURS[start]:
        run(_PAGES[name], tmp_path)


@pytest.mark.slow
def test_the_notebook_runs_as_it_stands(tmp_path: Path) -> None:
    """Its cells in order, as one program; what a cell ends with can be shown."""
    cells = json.loads((DOCS / "study.ipynb").read_text("utf-8"))["cells"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    program += "\nprint(front._repr_html_(), parts._repr_html_())\n"
    (tmp_path / "study.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<table>") == 2
    assert "<title>sentiment" in (tmp_path / "report.html").read_text("utf-8")
