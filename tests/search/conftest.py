"""A study of a prompt of the user's own, for what is told of a study."""

from __future__ import annotations

import csv
import shutil
from contextlib import chdir
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPT = """[[not a role]] You sort tickets. Be brief. Bananas are yellow.
The ticket of {author} reads: {text}
Answer with hardware or billing.
"""
HOSTILE = "</script><img src=x onerror=alert(1)> {{x}} <b>票</b>"


@pytest.fixture(scope="session")
def tickets(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., str]) -> Path:
    """Return a folder with a study that has ended, of two candidates on hostile rows."""
    from promptfront.search import DataOptions, optimize

    folder = tmp_path_factory.mktemp("tickets")
    (folder / "prompt.txt").write_text(PROMPT, encoding="utf-8")
    short = "{author} wrote: {text}\nTeam:\n"
    (folder / "short.txt").write_text(short, encoding="utf-8")
    with (folder / "tickets.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["author", "text", "label"])
        for i in range(130):
            text = f"my thing {i} 很好 {'long ' * 2000 if i == 5 else ''}{'שלום ' if i % 7 else ''}"
            writer.writerow([f"{i} {HOSTILE}", text, ("hardware", "billing")[i % 2]])
    with chdir(folder):
        data, prompts = DataOptions(data="tickets.csv"), ("prompt.txt", "short.txt")
        optimize(None, prompt=prompts, data=data, model=tiny(), budget=2)
    return folder


@pytest.fixture
def searched(tickets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder with that study, to do with as one likes."""
    copy = shutil.copytree(tickets, tmp_path / "copy")
    monkeypatch.chdir(copy)
    return copy
