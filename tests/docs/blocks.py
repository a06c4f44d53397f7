"""The code blocks of a page, and how a page is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})(.*)$")
_EXCERPT = re.compile(r"<!-- excerpt: .+ -->")
_FILE = re.compile(r"# ([\w.-]+\.\w+)\n")
_CONTINUES = re.compile(r"^<!-- continues: (\S+) -->$", re.MULTILINE)
_QUICK = re.compile(r"^<!-- quick: .+ -->$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: its language, its text, its line, and whether it is marked as an excerpt."""

    language: str
    text: str
    line: int
    excerpt: bool

    @property
    def file(self) -> str:
        """The file that it is, which its first line names; empty of another block."""
        named = _FILE.match(self.text)
        return named[1] if named else ""

    @property
    def runs(self) -> bool:
        """Whether it is run: as a script of the shell, as a file, or as a program."""
        return not self.excerpt and (self.language in ("sh", "python") or bool(self.file))


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page's text in order."""
    found: list[Block] = []
    opened, mark, lines, before = 0, "", list[str](), ""
    language = ""
    for number, line in enumerate(page.splitlines(), 1):
        fence = _FENCE.match(line)
        if not mark and fence:
            opened, mark, language, lines = number, fence[1] + fence[2], fence[3], []
        elif mark and line == mark:
            text = "".join(f"{one}\n" for one in lines)
            found.append(Block(language, text, opened, bool(_EXCERPT.fullmatch(before))))
            mark = ""
        elif mark:
            lines.append(line)
        before = before if mark else line
    return found


def pages() -> dict[str, str]:
    """Return the text of each page by its path in docs/."""
    found = sorted(DOCS.rglob("*.md"))
    return {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in found}


def tours(texts: dict[str, str]) -> dict[str, list[str]]:
    """Return pages with those that continue them, which run in the same folder."""
    found: dict[str, list[str]] = {}
    for name, text in texts.items():
        continued = _CONTINUES.search(text)
        if continued:
            start = os.path.normpath(Path(name).parent / continued[1])
            found.setdefault(start, []).append(name)
        elif any(block.runs for block in blocks(text)):
            found.setdefault(name, [])
    return {start: [start, *more] for start, more in found.items()}


def is_quick(text: str) -> bool:
    """Return whether a page loads no model, as it says of itself."""
    return bool(_QUICK.search(text))


def run(page: str, folder: Path) -> None:
    """Run a page's blocks in order: files are written, programs and shell scripts end with 0."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks(page):
        if not block.runs:
            continue
        if block.file:
            (folder / block.file).write_text(block.text, "utf-8")
            continue
        command = ["bash", "-euc"] if block.language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*command, block.text],
            cwd=folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, f"{block.text}\n{done.stderr}"
