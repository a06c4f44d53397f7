"""Every tutorial runs as it is printed, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_DOCS = Path(__file__).parent.parent / "docs"
_TUTORIALS = sorted(_DOCS.glob("own-*.md"))
"""Other pages show commands that need data, a server or an hour."""
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w.]+)\n")


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", _TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_as_printed(tutorial: Path, tmp_path: Path) -> None:
    """A block that begins with a file's name is that file.

    Shell blocks are run in order, and end with an answer.
    """
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    blocks = _BLOCK.findall(tutorial.read_text("utf-8"))
    assert {"sh"} < {language for language, _ in blocks}
    for language, text in blocks:
        named = _FILE.match(text)
        if language != "sh":
            assert named, text
            (tmp_path / named.group(1)).write_text(text, "utf-8")
            continue
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        assert done.stdout.strip() or "make_data" in text or "export" in text


@pytest.mark.slow
def test_the_notebook_runs_as_it_stands(tmp_path: Path) -> None:
    """Its cells in order, as one program; what a cell ends with can be shown."""
    cells = json.loads((_DOCS / "study.ipynb").read_text("utf-8"))["cells"]
    program = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    program += "\nprint(front._repr_html_(), parts._repr_html_())\n"
    (tmp_path / "study.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<table>") == 2
    assert "<title>sentiment" in (tmp_path / "report.html").read_text("utf-8")
