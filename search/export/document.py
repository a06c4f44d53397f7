"""From a front member to a file and back: export, `load_prompt` and `verify`."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contracts import Example, Prompt, Task
from ..errors import InputError, VerificationError
from ..evaluation.statistics import scored_mean, wilson_interval
from ..options import DataOptions
from ..prompts.render import (
    Slot,
    Turn,
    continuation,
    prompt_from_dict,
    prompt_to_dict,
    read_reply,
    render,
    stops,
    template,
)
from ..prompts.rules import bound
from ..prompts.written_answers import without_thinking
from ..secrets import MASK
from .places import Places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records.results import Entry, Frontier

SCHEMA_VERSION = 1
_ROUNDING = 1e-6
"""By how much a mean of likelihoods may differ: a dev score was computed in blocks beside other candidates, and float32
sums depend on what else is in a pass. One answer more or less in a mean of 0/1 scores is far more than that."""
_EXPECTED = "expected a file written by `optimize export`"
_HALF_CHARACTERS = "backslashreplace"
"""What UTF-8 cannot hold is written as JSON writes it."""


@dataclass(frozen=True, slots=True)
class ExportedPrompt:
    """A prompt from an exported file.

    Parameters
    ----------
    prompt
        The prompt's parts.
    input_fields
        The names of the fields `render` takes.
    labels, answers
        The labels and the text that stands for each after the prompt.
    offsets
        What to subtract from each answer's log-likelihood; empty for none.
    document
        The whole file.
    """

    prompt: Prompt
    input_fields: tuple[str, ...]
    labels: tuple[str, ...]
    answers: tuple[str, ...]
    offsets: tuple[float, ...]
    document: dict[str, Any]

    def render(self, **inputs: str) -> str | list[dict[str, str]]:
        """Return the prompt for one input: text, or for a chat layout a list of ``{"role", "content"}``.

        Raises
        ------
        InputError
            If the fields given are not the prompt's input fields.
        """
        if set(inputs) != set(self.input_fields):
            raise InputError(
                f"expected the fields {', '.join(self.input_fields)}, found {', '.join(inputs) or 'none'}"
            )
        text = render(self.prompt, [(field, inputs[field]) for field in self.input_fields])
        return text if isinstance(text, str) else [message._asdict() for message in text]

    def read(self, reply: str) -> str:
        """Return the answer in what a model wrote after the prompt; only for free text.

        It is what follows the model's thinking, up to its end or its constraints' limits.
        """
        reply, _ = without_thinking(reply)
        for end in (self.document.get("reply") or {}).get("stop", ()):
            reply = reply.split(end, 1)[0]
        return bound(self.prompt.constraints, read_reply(self.prompt.structure, reply))


def export(frontier: Frontier, entry: Entry, lineage: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return everything about a prompt as one JSON document.

    Parameters
    ----------
    frontier
        The search it comes from.
    entry
        The prompt.
    lineage
        Its ancestors' trials, nearest first.
    """
    config, structure = frontier.config, entry.prompt.structure
    n = config["sizes"]["dev"] - entry.unscored
    low, high = wilson_interval(entry.quality * n, n)
    return {
        "schema_version": SCHEMA_VERSION,
        "task": frontier.task,
        "input_fields": config["input_fields"],
        "target_field": config["target_field"],
        "labels": config["labels"],
        "scorer": config["scorer"],
        "prompt": prompt_to_dict(entry.prompt),
        "tokens": entry.tokens,
        "template": _segments(entry.prompt, config["input_fields"]),
        "answers": {
            label: continuation(structure, structure.verbalize(label)) for label in config["labels"]
        },
        "reply": {
            "max_tokens": config["reply"]["max_tokens"],
            "stop": [*config["reply"]["stop"], *stops(structure)],
        }
        if "reply" in config
        else None,
        "calibration": {
            "method": structure.calibration,
            "offsets": dict(zip(config["labels"], entry.offsets, strict=True))
            if entry.offsets
            else {},
        },
        "scores": {
            "dev": {"score": entry.quality, "low": low, "high": high, "n": n}
            | {"unscored": entry.unscored, "reasons": entry.reasons},
            "confirmation": asdict(entry.confirmation) if entry.confirmation else None,
            "test": asdict(entry.test) if entry.test else None,
            "gain": entry.gain,
            "p_value": entry.p_value,
            "start": asdict(frontier.start.test) if frontier.start.test else None,
        },
        "model": {
            key: config[key]
            for key in ("model", "revision", "fingerprint", "backend", "scoring", "date")
            if key in config
        },
        "data": {key: config[key] for key in ("source", "data_hash", "sizes", "load")},
        "seed": frontier.seed,
        "study": frontier.study,
        "trial": entry.trial,
        "lineage": list(lineage),
        "versions": config["versions"],
    }


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(
                f"{path}: expected the name of a file, found a folder; choose another with -o"
            )
        if _is_stream(path):  # it is written to, not replaced by a file
            with path.open("a", encoding="utf-8", errors=_HALF_CHARACTERS) as stream:
                stream.write(text)
        else:
            _replace(path.resolve(), text)
    except InputError:  # a folder
        raise
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: cannot be written ({reason}); choose another file with -o"
        ) from None


def _is_stream(path: Path) -> bool:
    """Whether a name is that of a device, a pipe or an open file, to which `>>` may have led."""
    opened = str(path) in ("/dev/stdout", "/dev/stderr") or path.parent.resolve().match(
        "/proc/*/fd"
    )
    return opened or (path.exists() and not path.is_file())


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", errors=_HALF_CHARACTERS)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load_prompt(path: str | Path) -> ExportedPrompt:
    """Return the prompt of an exported file.

    Raises
    ------
    InputError
        If the file is missing, is not an export, or was written by a newer promptfront.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); write it with `optimize export -o FILE`"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: expected a file written by `optimize export`, but it is not JSON ({error})"
        ) from None
    found = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(found, int):
        raise InputError(
            f"{path}: expected a file written by `optimize export`, but it has no schema_version"
        )
    if found > SCHEMA_VERSION:
        raise InputError(
            f"{path}: has schema version {found}, this promptfront reads up to {SCHEMA_VERSION}: upgrade it"
        )
    try:
        labels = tuple(document["labels"])
        offsets = document["calibration"]["offsets"]
        return ExportedPrompt(
            prompt=prompt_from_dict(document["prompt"]),
            input_fields=tuple(document["input_fields"]),
            labels=labels,
            answers=tuple(document["answers"][label] for label in labels),
            offsets=tuple(offsets[label] for label in labels) if offsets else (),
            document=document,
        )
    except (AttributeError, ValueError) as error:
        raise InputError(f"{path}: {_EXPECTED}, but {error}") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {_EXPECTED}, but it lacks {error}") from None


@dataclass(frozen=True, slots=True)
class Verification:
    """The numbers of an exported file and those found by scoring its prompt again, on the same rows."""

    split: str
    n: int
    exported: float
    found: float
    exported_fingerprint: str
    found_fingerprint: str


def verify(path: str | Path, task: Task | None = None) -> Verification:
    """Score an exported prompt again, from nothing.

    The held-out score is checked, or the dev score where no rows were held out.

    Parameters
    ----------
    path
        The exported file.
    task
        The task, where the search was given a `Task` rather than a name or files.

    Raises
    ------
    VerificationError
        If the score is not the exported one (but for rounding), or the data are not those it was measured on.
    """
    from ..api import make_evaluator, make_judge
    from ..data.load_task import load_task
    from ..evaluation.holdout import held_out
    from ..storage.config import keep_day

    exported = load_prompt(path)
    document = exported.document
    load = _load_of(path, document)
    if task is None:
        options = load["data"] | {
            key: tuple(load["data"][key] or ()) for key in ("input_columns", "choices")
        }
        task = load_task(load["task"], **options, seed=document["seed"])
    backend = {"backend": document["model"]["backend"], "backend_options": load["backend_options"]}
    judge = make_judge(task, load.get("proposer"), **backend)
    evaluator = make_evaluator(task, model=load["model"], judge=judge, **backend)
    keep_day(document["model"], evaluator.backend, judge)
    if evaluator.task.data_hash != document["data"]["data_hash"]:
        raise VerificationError(
            f"{path}: its numbers were measured on other rows than {task.source} gives now"
        )
    split = "test" if document["scores"]["test"] and evaluator.task.test else "dev"
    expected = document["scores"][split]
    rows: tuple[Example, ...] = getattr(evaluator.task, split)[
        : expected["n"] + expected.get("unscored", 0)
    ]
    values = held_out(evaluator, exported.prompt, exported.offsets, rows).values
    found = scored_mean(values) if split == "test" else evaluator.mean(values, rows)
    fingerprint = evaluator.backend.fingerprint
    if not math.isclose(found, expected["score"], rel_tol=_ROUNDING):
        model = (
            "the same model"
            if fingerprint == document["model"]["fingerprint"]
            else "another model, tokenizer or dtype"
        )
        raise VerificationError(
            f"{path}: exported {split} score {expected['score']}, found {found} with {model}"
        )
    return Verification(
        split, len(rows), expected["score"], found, document["model"]["fingerprint"], fingerprint
    )


def _load_of(path: str | Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return what loads an exported file's task and model, with files where they are now."""
    try:
        _check(document)
        load = document["data"]["load"]
        masked = [name for name, value in load["backend_options"].items() if MASK in str(value)]
        places = Places(Path(path), load.get("folder"), frozenset(load.get("local", ())))
        if not masked:
            return places.found(load)
    except InputError:  # a file that is nowhere
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: {_EXPECTED}, but its parts are not as they were written ({error!r})"
        ) from None
    raise InputError(
        f"{path}: the secret in {masked[0]} was left out of it: write it where {MASK} stands"
    )


def _check(document: dict[str, Any]) -> None:
    """Look at what `verify` needs, so that a damaged file is told before anything is loaded."""
    scores = [
        document["scores"]["dev"],
        *([document["scores"]["test"]] if document["scores"]["test"] else []),
    ]
    for found in scores:
        if not (
            _is_number(found["score"]) and 0 < found["n"] < 10**9 and found.get("unscored", 0) >= 0
        ):
            raise ValueError("scores")
    data, model, load = document["data"], document["model"], document["data"]["load"]
    DataOptions(**load["data"])
    texts = [data["data_hash"], model["backend"], model["fingerprint"], model.get("date", "")]
    texts += [value for key in ("task", "model") if (value := load[key]) is not None]
    if not all(isinstance(text, str) for text in texts) or not isinstance(document["seed"], int):
        raise ValueError("data, model or seed")
    if model.get("date"):
        date.fromisoformat(model["date"])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _segments(prompt: Prompt, fields: Sequence[str]) -> list[dict[str, Any]]:
    def plain(parts: Sequence[str | Slot]) -> list[dict[str, str]]:
        return [
            {"field": part.field} if isinstance(part, Slot) else {"text": part} for part in parts
        ]

    parts = template(prompt, fields)
    if prompt.structure.layout == "chat":
        return [
            {"role": turn.role, "content": plain(turn.content)}
            for turn in parts
            if isinstance(turn, Turn)
        ]
    return list(plain([part for part in parts if not isinstance(part, Turn)]))
