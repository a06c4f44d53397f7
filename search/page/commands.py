"""The commands that run a study again and export its prompt."""

from __future__ import annotations

import csv
import io
import shlex
from typing import TYPE_CHECKING, Any

from ..options import DEFAULT_STORAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..records.config import StudyConfig
    from ..records.results import Entry, Frontier

_DATA = {
    "data": "--data",
    "train": "--train",
    "dev": "--dev",
    "test": "--test",
    "input_columns": "--input-column",
    "target_column": "--target-column",
    "instructions": "--instruction",
    "scorer": "--scorer",
    "prompts": "--prompt",
    "keep": "--keep",
}
_SEARCH = {
    "mutators": "--mutator",
    "without": "--without",
    "max_demonstrations": "--max-demonstrations",
    "max_instruction_tokens": "--max-instruction-tokens",
    "max_prompt_tokens": "--max-prompt-tokens",
}


def run_command(frontier: Frontier) -> str:
    """Return the command that runs the search again, so far as the study says how it was run.

    Empty where it was given a task or backend as an object.
    """
    config, load = frontier.config, frontier.config.load
    data: Mapping[str, Any] = load.get("data") or {}
    if not load.get("task") and not any(data.values()):
        return ""
    words = ["optimize"]
    words += ["--task", load["task"]] if load.get("task") else []
    for name, flag in _DATA.items():
        words += _flagged(flag, data.get(name))
    words += ["--choices", _row(data["choices"])] if data.get("choices") else []
    words += ["--answers", config.answers] if config.answers else []
    words += ["--model", load["model"]] if load.get("model") else []
    words += ["--backend", config.backend] if config.backend != "hf" else []
    words += _options("--backend-option", load.get("backend_options"))
    words += _flagged("--proposer-model", load.get("proposer"))
    words += _flagged("--proposer-backend", load.get("proposer_backend"))
    words += _options("--proposer-option", load.get("proposer_options"))
    words += ["--sampler", config.identity.sampler] if config.identity.sampler != "tpe" else []
    for name, flag in _SEARCH.items():
        words += _flagged(flag, getattr(config.identity, name))
    limits = {"budget": 0} | load.get("limits", {})
    limits["budget"] = max(limits["budget"], frontier.trials)
    for name, value in limits.items():
        words += _flagged(f"--{name.replace('_', '-')}", value)
    return shlex.join([*words, "--seed", str(config.seed)])


def export_command(config: StudyConfig, study: str, storage: str, entry: Entry) -> str:
    """Return the command that exports a prompt of the study."""
    words = ["optimize", "export", "--study", study, "--pick", str(entry.number)]
    words += ["--storage", storage] if storage != DEFAULT_STORAGE else []
    words += ["--format", "own"] if config.sources else []
    return shlex.join([*words, "-o", "prompt.txt" if config.sources else "best.json"])


def _flagged(flag: str, value: Any) -> list[str]:  # noqa: ANN401 (any option's value)
    if value is None or value == "" or value == []:
        return []
    values = value if isinstance(value, list | tuple) else [value]
    return [word for one in values for word in (flag, str(one))]


def _options(flag: str, options: Mapping[str, Any] | None) -> list[str]:
    return [w for name, value in (options or {}).items() for w in (flag, f"{name}={value}")]


def _row(values: list[str]) -> str:
    """Return labels as one row of CSV, as ``--choices`` takes them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()
