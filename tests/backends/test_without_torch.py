"""Where models are behind a server, no library for local ones is needed."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.backends.scenarios import Answer, Body, chat, serving, without_logprobs

if TYPE_CHECKING:
    from pathlib import Path

_LOCAL = ("torch", "transformers", "accelerate", "gguf", "safetensors", "tokenizers")
_BLOCKING = f"""
import sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {_LOCAL}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Absent())
from promptfront.search.cli.main import main

sys.exit(main())
"""
"""The command where nothing of `requirements-local.txt` is installed."""


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _BLOCKING, *words],
        cwd=folder,
        env=os.environ | {"OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        check=False,
    )


def _by_length(body: Body) -> Answer:
    return chat(("good", "bad")[len(body["messages"][-1]["content"]) % 2])


def test_a_search_on_a_server_reaches_its_table(tmp_path: Path) -> None:
    """With exit code 0, and its prompt can be exported."""
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["text", "label"], *([f"film {'x' * i}", ("good", "bad")[i % 2]] for i in range(40))]
        )
    with serving(without_logprobs(_by_length)) as (address, _):
        words = ("--data", "rows.csv", "--backend", "openai", "--base-url", address)
        done = _run(tmp_path, *words, "--budget", "2")
    assert done.returncode == 0, done.stderr
    assert "start" in done.stdout
    assert _run(tmp_path, "export", "-o", "best.json").returncode == 0
    assert (tmp_path / "best.json").is_file()


def test_what_needs_a_local_model_says_what_to_install(tmp_path: Path) -> None:
    """In one sentence, with exit code 2."""
    done = _run(tmp_path, "--task", "sentiment", "--budget", "2")
    assert done.returncode == 2
    assert "No module named 'torch'; pip install torch" in done.stderr
    assert "Traceback" not in done.stderr
