"""An exported prompt in the forms other tools read, and in the one that the user gave it in.

Only the JSON document is complete, these hold the prompt alone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..prompts.reasoning import marker
from .libraries import dspy_format, langchain_format
from .names import identifiers, placeholders, variables
from .own import own_format
from .promptfoo import promptfoo_format, promptfoo_notes
from .registries import langfuse_format, mlflow_format
from .templates import braced, jinja_format, literals, messages, text_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..contracts import Prompt
    from ..records.answered import AnsweredRows

FORMATS = (
    "json",
    "own",
    "text",
    "messages",
    "jinja",
    "dspy",
    "langchain",
    "mlflow",
    "langfuse",
    "promptfoo",
)
_AS_GIVEN = ("text", "messages", "langchain", "mlflow", "langfuse", "promptfoo")
"""Formats in which a value is not prepared as the search did."""


def format_prompt(
    document: dict[str, Any], prompt: Prompt, style: str, rows: AnsweredRows | None = None
) -> str:
    """Return the prompt as text in one of `FORMATS`.

    In ``text`` and ``messages`` an input field stands as ``{{field}}``. A field whose name a format
    cannot hold is called otherwise there; see `renamed`. The tests of ``promptfoo`` are the first
    of ``rows``.

    Raises
    ------
    InputError
        If the style is unknown, or cannot hold the prompt.
    """
    names = _names(document, prompt, style)
    styles: dict[str, Callable[[], str | dict[str, Any] | list[dict[str, str]]]] = {
        "json": lambda: document,
        "own": lambda: own_format(document, prompt),
        "text": lambda: text_format(prompt, names),
        "messages": lambda: messages(prompt, list(names), braced(names)),
        "jinja": lambda: jinja_format(prompt, names),
        "dspy": lambda: dspy_format(document, prompt, names),
        "langchain": lambda: langchain_format(prompt, names),
        "mlflow": lambda: mlflow_format(document, prompt, names),
        "langfuse": lambda: langfuse_format(document, prompt, names),
        "promptfoo": lambda: promptfoo_format(document, prompt, names, rows),
    }
    if style not in styles:
        raise InputError(f"`format`: expected one of {', '.join(FORMATS)}, found {style!r}")
    made = styles[style]()
    return made if isinstance(made, str) else json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def renamed(document: dict[str, Any], prompt: Prompt, style: str) -> dict[str, str]:
    """Return what fields are called in a format that cannot hold their names, by field."""
    return {field: name for field, name in _names(document, prompt, style).items() if field != name}


def notes(document: dict[str, Any], prompt: Prompt, style: str) -> list[str]:
    """Return what a user of a format must know about it."""
    lines = [
        f"the field {field!r} is called {name} there"
        for field, name in renamed(document, prompt, style).items()
    ]
    if style in _AS_GIVEN and not prompt.structure.own:
        lines.append(
            "values stand as they are given: "
            "strip them, and indent their further lines by two spaces"
        )
    if style == "dspy":
        lines.append("DSPy lays the prompt out in its own way, which was not scored")
    if style == "promptfoo":
        lines += promptfoo_notes(document, prompt)
    if prompt.structure.reasoning and style == "dspy":
        lines.append("it does not ask for the reasoning that its score rests on")
    elif prompt.structure.reasoning and style not in ("json", "promptfoo"):
        lines.append(f"the answer is what follows the last {marker(prompt.structure)!r} of a reply")
    reply = document.get("reply")
    if reply and _needs_room(prompt) and style not in ("json", "promptfoo", "dspy"):
        lines.append(f"give replies up to {reply['max_tokens']} tokens")
    return lines if style == "json" else lines + _lost(document)


def _needs_room(prompt: Prompt) -> bool:
    """Whether replies may be longer than the task's."""
    return bool(prompt.structure.reasoning) or prompt.structure.reply_factor > 1


def _lost(document: Mapping[str, Any]) -> list[str]:
    """Return what a format has no place for that the score rests on, and the score without it."""
    test = document["scores"]["test"] or {}
    lines: list[str] = []
    if document["calibration"]["offsets"]:
        without = test.get("uncalibrated")
        so = "" if without is None else f": without it {without:.3f}, not {test['score']:.3f}"
        lines.append(f"its calibration is lost{so}")
    written = test.get("written")
    if document.get("answers_by") in ("choice", "likelihood") and written is not None:
        lines.append(
            f"its score is by log-likelihoods; by what the model writes it is {written:.3f} "
            f"on {test['written_n']} test rows"
        )
    return lines


def _names(document: dict[str, Any], prompt: Prompt, style: str) -> dict[str, str]:
    """Return what fields are called in a format; where it names the answer, that is the last."""
    fields = document["input_fields"]
    if style in ("jinja", "langchain"):
        return identifiers(fields)
    if style in ("dspy", "promptfoo"):
        return identifiers([*fields, document["target_field"]])
    if style in ("json", "own"):
        return {field: field for field in fields}
    named = variables if style in ("mlflow", "langfuse") else placeholders
    return named(fields, literals(prompt, fields))
