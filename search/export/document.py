"""From a front member to a file and back: export and `load_prompt`."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..contracts import Unscored
from ..errors import InputError
from ..prompts.reading import label_limits, said_label
from ..prompts.reasoning import reply_tokens
from ..prompts.render import (
    continuation,
    prompt_from_dict,
    prompt_to_dict,
    read_reply,
    render,
    stops,
    template,
)
from ..prompts.rules import bound
from ..prompts.slots import Slot, Turn
from ..prompts.written_answers import without_thinking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Prompt
    from ..records.config import StudyConfig
    from ..records.results import Entry, Frontier
    from ..records.trials import Interval

SCHEMA_VERSION = 2
_RULES_BEFORE = {"words": "max_words", "lines": "max_lines"}
"""Rules of constraints as version 1 names them."""
NOT_AN_EXPORT = "expected a file written by `optimize export`"
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
        """Return the prompt for one input.

        Text, or for a chat layout a list of ``{"role", "content"}``.

        Raises
        ------
        InputError
            If the fields given are not the prompt's input fields.
        """
        if set(inputs) != set(self.input_fields):
            raise InputError(
                f"expected the fields {', '.join(self.input_fields)}, found "
                f"{', '.join(inputs) or 'none'}"
            )
        text = render(self.prompt, [(field, inputs[field]) for field in self.input_fields])
        return text if isinstance(text, str) else [message._asdict() for message in text]

    def read(self, reply: str) -> str:
        """Return the answer in what a model wrote after the prompt.

        Of labels it is the one that the reply says, or nothing where it says none or several (the
        rules are those of `promptfront.search.prompts.written_answers.read_label`). Free text is
        what follows the model's thinking, up to its end or its constraints' limits.
        """
        if self.labels:
            label = said_label(self.prompt.structure, self.labels, reply)
            return "" if isinstance(label, Unscored) else self.labels[label]
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
    return {
        "schema_version": SCHEMA_VERSION,
        "task": frontier.task,
        "input_fields": config.input_fields,
        "target_field": config.target_field,
        "labels": config.labels,
        "scorer": config.scorer,
        "prompt": prompt_to_dict(entry.prompt),
        "tokens": entry.tokens,
        "reply_tokens": entry.trial.reply_tokens,
        "template": _segments(entry.prompt, config.input_fields),
        "answers": {
            label: continuation(structure, structure.verbalize(label)) for label in config.labels
        },
        "answers_by": config.answers,
        "reply": _reply(config, entry.prompt),
        "calibration": _calibration(config, entry),
        "scores": _scores(frontier, entry),
        "model": _model(config),
        "data": {
            "source": config.source,
            "data_hash": config.data_hash,
            "sizes": asdict(config.sizes),
            "load": config.load,
        },
        "seed": frontier.seed,
        "study": frontier.study,
        "trial": entry.number,
        "lineage": list(lineage),
        "versions": config.versions,
        **({"sources": config.sources} if config.sources else {}),
    }


def _reply(config: StudyConfig, prompt: Prompt) -> dict[str, Any] | None:
    """Return where a reply ends; nothing where none need be written."""
    structure = prompt.structure
    if config.answers == "written":
        limits = label_limits(structure, config.labels)
        return {"max_tokens": limits.max_tokens, "stop": list(limits.stop)}
    if config.reply is None:
        return None
    ends = () if structure.reasoning else config.reply.stop
    most = reply_tokens(structure, config.reply.max_tokens)
    return {"max_tokens": most, "stop": [*ends, *stops(structure)]}


def _calibration(config: StudyConfig, entry: Entry) -> dict[str, Any]:
    """Return what is subtracted from each label's log-likelihood, where anything is."""
    offsets = entry.trial.offsets
    return {
        "method": entry.prompt.structure.calibration,
        "offsets": dict(zip(config.labels, offsets, strict=True)) if offsets else {},
    }


def _scores(frontier: Frontier, entry: Entry) -> dict[str, Any]:
    start = frontier.start.test
    return {
        "dev": _dev_score(entry, frontier.config.sizes.dev),
        "confirmation": asdict(entry.confirmation) if entry.confirmation else None,
        "test": asdict(entry.test) if entry.test else None,
        "gain": entry.gain,
        "p_value": entry.p_value,
        "start": asdict(start) if start else None,
    }


def _dev_score(entry: Entry, rows: int) -> dict[str, Any]:
    """Return the dev score with its interval, and what became of the rows it is not of."""
    interval = cast("Interval", entry.trial.interval)
    return {
        "score": entry.quality,
        **interval._asdict(),
        "unscored": entry.unscored,
        "shown": rows - interval.n - entry.unscored,
        "reasons": entry.trial.reasons,
    }


def _model(config: StudyConfig) -> dict[str, Any]:
    names = ("model", "revision", "fingerprint", "backend", "scoring")
    model = {name: getattr(config, name) for name in names}
    return model | ({"date": config.date} if config.date else {})


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
                f"{path}: expected a file name, found a folder; choose another with -o"
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
        raise InputError(f"{path}: {NOT_AN_EXPORT}, but it is not JSON ({error})") from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, int):
        raise InputError(f"{path}: {NOT_AN_EXPORT}, but it has no schema_version")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: expected schema version {SCHEMA_VERSION} or lower, found {version}; "
            "upgrade promptfront"
        )
    try:
        labels = tuple(document["labels"])
        offsets = document["calibration"]["offsets"]
        return ExportedPrompt(
            prompt=prompt_from_dict(_renamed(document["prompt"], version)),
            input_fields=tuple(document["input_fields"]),
            labels=labels,
            answers=tuple(document["answers"][label] for label in labels),
            offsets=tuple(offsets[label] for label in labels) if offsets else (),
            document=document,
        )
    except (AttributeError, ValueError) as error:
        raise InputError(f"{path}: {NOT_AN_EXPORT}, but {error}") from None
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {NOT_AN_EXPORT}, but it lacks {error}") from None


def _renamed(prompt: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a prompt of an older file in today's words."""
    if version > 1:
        return prompt
    constraints = [
        {**constraint, "rule": _RULES_BEFORE.get(constraint["rule"], constraint["rule"])}
        for constraint in prompt["constraints"]
    ]
    return prompt | {"constraints": constraints}


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
