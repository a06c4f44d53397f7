"""Where the files of a study are found again.

They are sought beside its exported file, in the folder it was started in, and here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..sources import files_named

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES = ("data", "train", "dev", "test")


def local_files(load: Mapping[str, Any]) -> dict[str, Any]:
    """Return the folder a study is started in, and which of its inputs are files or folders."""
    return {
        "folder": str(Path.cwd()),
        "local": sorted(text for text in _named(load) if _is_there(Path(text))),
    }


@dataclass(frozen=True, slots=True)
class Places:
    """Where an exported file's data, model and plugins may lie.

    Parameters
    ----------
    file
        The exported file.
    folder
        The folder that its study was started in, where it is known.
    local
        What was a file or folder there.
    """

    file: Path
    folder: str | None
    local: frozenset[str]

    def found(self, load: Mapping[str, Any]) -> dict[str, Any]:
        """Return what loads task and model with every file where it is now.

        Raises
        ------
        InputError
            If one of them is nowhere.
        """
        data = {
            key: self._find(value) if key in _FILES else value
            for key, value in load["data"].items()
        }
        if prompts := load["data"].get("prompts"):
            data["prompts"] = [self._find(path) for path in prompts]
        if scorer := load["data"].get("scorer"):
            data["scorer"] = self.scorer(str(scorer))
        task = load["task"]
        task = self._find(task) if _is_task_file(task) else task
        return {**self.models(load), "data": data, "task": task}

    def models(self, load: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same where only its models are sought."""
        return {**load, **{key: self._find(load.get(key)) for key in ("model", "proposer")}}

    def scorer(self, text: str) -> str:
        """Return a scorer's name with its file where it is now."""
        for path in files_named(text):
            text = text.replace(f"{path}:", f"{self._find(path)}:")
        return text

    def _find(self, text: str | None) -> str | None:
        if text is None or Path(text).is_absolute():
            return text
        folders = [
            self.file.resolve().parent,
            *([Path(self.folder)] if self.folder else []),
            Path(),
        ]
        for folder in folders:
            if _is_there(folder / text):
                return str(folder / text)
        if text in self.local or (
            not self.folder and re.search(r"\.(csv|tsv|jsonl?|parquet|ya?ml|py)$", text)
        ):
            where = f", in {self.folder}, where the search ran," if self.folder else ""
            raise InputError(
                f"{self.file}: expected the file {text} beside it{where} or in {Path.cwd()}, found "
                "none; put it beside the exported file"
            )
        return text


def _named(load: Mapping[str, Any]) -> list[str]:
    data = load["data"]
    given = [
        load["task"] if _is_task_file(load["task"]) else None,
        load["model"],
        load["proposer"],
        *(data[key] for key in _FILES),
        *data.get("prompts", ()),
    ]
    return [text for text in given if text] + files_named(data["scorer"] or "")


def _is_task_file(task: str | None) -> bool:
    return task is not None and task.lower().endswith((".yaml", ".yml"))


def _is_there(path: Path) -> bool:
    """Whether there is a file, or a folder that is not empty: a model or a data set."""
    try:
        return path.is_file() or (path.is_dir() and any(path.iterdir()))
    except (OSError, ValueError):
        return False
