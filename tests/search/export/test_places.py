"""`verify` finds data, model and scorer from wherever it is run, and says where it looked."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.search.cli.main import main
from promptfront.search.errors import InputError
from promptfront.search.export.document import load_prompt
from promptfront.search.export.verify import _load_of, verify
from promptfront.search.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def exported(tmp_path: Path, tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with data, model, scorer and an export that names them by relative paths."""
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    shutil.copytree(tiny("llama"), home / "model")
    rows = [f"film {i},{word}" for i in range(10) for word in ("good", "bad")]
    (home / "films.csv").write_text("\n".join(["text,label", *rows]))
    (home / "s.py").write_text("def mine(reply, example):\n    return 0.5\n")
    monkeypatch.chdir(home)
    words = [
        "--data",
        "films.csv",
        "--model",
        "model",
        "--scorer",
        "0.5*exact-match+0.5*s.py:mine",
        "--budget",
        "1",
    ]
    assert main(words) == 0
    assert main(["export", "-o", "best.json"]) == 0
    return home


def test_verify_works_from_any_folder(
    exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From another folder, after the whole folder or the file alone has moved.

    What is nowhere is named.
    """
    monkeypatch.chdir(exported / "sub")
    assert verify("../best.json").n
    alone = tmp_path / "alone.json"
    shutil.copy(exported / "best.json", alone)
    assert verify(alone).n
    exported.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert verify("moved/best.json").n
    with pytest.raises(
        InputError,
        match=r"alone\.json: expected the file .* beside it, in .*home, where the search ran,",
    ):
        verify(alone)
    for name in ("films.csv", "s.py", "model"):
        (tmp_path / "moved" / name).rename(tmp_path / "moved" / "gone")
        with pytest.raises(InputError, match=rf"best\.json: expected the file {name} beside it"):
            verify("moved/best.json")
        (tmp_path / "moved" / "gone").rename(tmp_path / "moved" / name)
    _damaged(tmp_path / "moved" / "best.json")


def _damaged(file: Path) -> None:
    """Whatever is missing or of another kind, it is one sentence."""
    whole = json.loads(file.read_text())
    broken: list[tuple[list[str], Any]] = []
    paths = [[key] for key in whole] + [
        [key, k] for key in ("data", "model", "scores", "prompt") for k in whole[key]
    ]
    needed = {
        "schema_version",
        "input_fields",
        "labels",
        "prompt",
        "answers",
        "calibration",
        "scores",
        "model",
        "data",
    }
    for path in paths:
        values: tuple[Any, ...] = (None, [], "x", {"a": 1}, 10**400)
        broken += [(path, value) for value in values if path[0] in needed]
    seen = 0
    for path, value in broken:
        document = json.loads(json.dumps(whole))
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
        file.write_text(json.dumps(document))
        try:
            load_prompt(file)
            _load_of(file, document)
        except InputError:
            seen += 1
    assert seen > 40
    file.write_text(json.dumps(whole))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100000, b"{}", b'{"schema_version": true}']
)
def test_what_is_no_export_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """Other bytes, endless nesting, a folder."""
    (tmp_path / "x.json").write_bytes(content)
    for path in (tmp_path / "x.json", tmp_path):
        with pytest.raises(InputError, match=r"x\.json: expected|cannot be read"):
            load_prompt(path)


def test_options_are_written_down_without_secrets() -> None:
    """A key is left out, in a URL it is masked, and a tokenizer stays what it is."""
    options = {
        "api_key": "sk-planted",
        "base_url": "http://h/v1?key=planted2",
        "tokenizer": "gpt2",
        "n": 2,
    }
    assert without_secrets(options) == {
        "base_url": "http://h/v1?key=***",
        "tokenizer": "gpt2",
        "n": 2,
    }
