"""An exported prompt in the forms other tools read, and in the one that the user gave it in.

Only the JSON document is complete, these hold the prompt alone.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..contracts import Message
from ..errors import InputError
from ..prompts.reasoning import marker
from ..prompts.render import template
from ..prompts.slots import Slot, Turn
from .names import identifiers, placeholders
from .own import own_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..contracts import Prompt

FORMATS = ("json", "own", "text", "messages", "jinja", "dspy", "langchain")

_JINJA_SYNTAX = re.compile(r"\{(?=[{%#\r\n]|\Z)|\r|\n\Z")
"""A brace that could begin a tag, and line breaks that Jinja drops or changes."""


def format_prompt(document: dict[str, Any], prompt: Prompt, style: str) -> str:
    """Return the prompt as text in one of `FORMATS`.

    In ``text`` and ``messages`` an input field stands as ``{{field}}``. A field whose name a format
    cannot hold is called otherwise there; see `renamed`.

    Raises
    ------
    InputError
        If the style is unknown, or cannot hold a chat prompt.
    """
    names = _names(document, prompt, style)
    styles: dict[str, Callable[[], str]] = {
        "json": lambda: json.dumps(document, ensure_ascii=False, indent=2) + "\n",
        "own": lambda: own_format(document, prompt),
        "text": lambda: _text(prompt, names),
        "messages": lambda: (
            json.dumps(_messages(prompt, names), ensure_ascii=False, indent=2) + "\n"
        ),
        "jinja": lambda: _jinja(prompt, names),
        "dspy": lambda: (
            json.dumps(_dspy(document, prompt, names), ensure_ascii=False, indent=2) + "\n"
        ),
        "langchain": lambda: (
            json.dumps(_langchain(prompt, names), ensure_ascii=False, indent=2) + "\n"
        ),
    }
    if style not in styles:
        raise InputError(f"`format`: expected one of {', '.join(FORMATS)}, found {style!r}")
    return styles[style]()


def renamed(document: dict[str, Any], prompt: Prompt, style: str) -> dict[str, str]:
    """Return what fields are called in a format that cannot hold their names, by field."""
    return {field: name for field, name in _names(document, prompt, style).items() if field != name}


def notes(document: dict[str, Any], prompt: Prompt, style: str) -> list[str]:
    """Return what a user of a format must know about it."""
    lines = [
        f"the field {field!r} is called {name} there"
        for field, name in renamed(document, prompt, style).items()
    ]
    if style in ("text", "messages", "langchain") and not prompt.structure.own:
        lines.append(
            "values stand as they are given: "
            "strip them, and indent their further lines by two spaces"
        )
    if prompt.structure.reasoning and style == "dspy":
        lines.append("it does not ask for the reasoning that its score rests on")
    elif prompt.structure.reasoning and style != "json":
        lines.append(f"the answer is what follows the last {marker(prompt.structure)!r} of a reply")
    return lines if style == "json" else lines + _lost(document)


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
    fields = document["input_fields"]
    if style in ("jinja", "langchain"):
        return identifiers(fields)
    if style == "dspy":
        return identifiers([*fields, document["target_field"]])
    if style in ("json", "own"):
        return {field: field for field in fields}
    parts = template(prompt, fields)
    plain = [p for part in parts for p in (part.content if isinstance(part, Turn) else [part])]
    return placeholders(fields, [part for part in plain if isinstance(part, str)])


def _join(
    parts: Sequence[str | Slot], slot: Callable[[str], str], text: Callable[[str], str] = str
) -> str:
    return "".join(slot(part.field) if isinstance(part, Slot) else text(part) for part in parts)


def _plain(prompt: Prompt, fields: Sequence[str], style: str) -> list[str | Slot]:
    parts = template(prompt, fields)
    if len(parts) == 1 and prompt.structure.own:  # one text of the user's own, sent as a turn
        parts = parts[0].content if isinstance(parts[0], Turn) else parts
    elif prompt.structure.layout == "chat":
        raise InputError(
            f"`format` {style}: this prompt is a chat; export it with `format` messages or json"
        )
    return [part for part in parts if not isinstance(part, Turn)]


def _messages(prompt: Prompt, names: Mapping[str, str]) -> list[dict[str, str]]:
    parts = template(prompt, list(names))
    turns = [part for part in parts if isinstance(part, Turn)]
    if prompt.structure.layout == "plain":
        turns = [Turn("user", tuple(part for part in parts if not isinstance(part, Turn)))]
    braced = _braced(names)
    return [Message(turn.role, _join(turn.content, braced))._asdict() for turn in turns]


def _braced(names: Mapping[str, str]) -> Callable[[str], str]:
    return lambda field: "{{" + names[field] + "}}"


def _text(prompt: Prompt, names: Mapping[str, str]) -> str:
    alone = prompt.structure.own and len(template(prompt, list(names))) == 1
    if prompt.structure.layout == "plain" or alone:
        return _join(_plain(prompt, list(names), "text"), _braced(names)) + "\n"
    return "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in _messages(prompt, names)) + "\n"


def _jinja(prompt: Prompt, names: Mapping[str, str]) -> str:
    def escape(text: str) -> str:
        # Jinja drops a template's last line break, changes others, and reads its own syntax in
        # data: such text becomes a string expression.
        return _JINJA_SYNTAX.sub(lambda match: "{{ " + json.dumps(match.group()) + " }}", text)

    def slot(field: str) -> str:
        if prompt.structure.own:
            return "{{ " + names[field] + " }}"
        # Its idea of a line is that of `literal`.
        return "{{ (" + names[field] + ' | trim).splitlines() | join("\\n  ") }}'

    told = {field: name for field, name in names.items() if field != name}
    comment = "{# fields: " + json.dumps(told).replace("#}", "#\\u007d") + " #}" if told else ""
    return comment + _join(_plain(prompt, list(names), "jinja"), slot, escape)


def _dspy(document: dict[str, Any], prompt: Prompt, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the saved state of a ``dspy.Predict`` whose signature has the task's fields."""
    structure, target = prompt.structure, document["target_field"]
    if structure.own:
        raise InputError(
            "`format` dspy: DSPy lays out prompts itself, which leaves no room for one of your own"
        )
    rules = "\n".join(
        part for part in (prompt.instruction, *(c.text for c in prompt.constraints)) if part
    )
    labels = [
        *zip(document["input_fields"], structure.input_labels, strict=True),
        (target, structure.target_label),
    ]
    return {
        "traces": [],
        "train": [],
        "demos": [
            {**{names[k]: v for k, v in e.inputs}, names[target]: structure.verbalize(e.target)}
            for e in prompt.demonstrations
        ],
        "signature": {
            "instructions": rules,
            "fields": [
                {"prefix": f"{label or field}:", "description": "${" + names[field] + "}"}
                for field, label in labels
            ],
        },
        "lm": None,
        "metadata": {"dependency_versions": {}},
    }


def _langchain(prompt: Prompt, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``langchain_core.prompts.load_prompt`` reads."""
    text = _join(
        _plain(prompt, list(names), "langchain"),
        lambda field: "{" + names[field] + "}",
        lambda text: text.replace("{", "{{").replace("}", "}}"),
    )
    told = {field: name for field, name in names.items() if field != name}
    made = {
        "_type": "prompt",
        "input_variables": list(names.values()),
        "template": text,
        "template_format": "f-string",
    }
    return made | ({"metadata": {"fields": told}} if told else {})
