"""An exported prompt in the forms other tools read. Only the JSON document is complete, these hold the prompt alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .contracts import Message
from .errors import InputError
from .prompt import Slot, Turn, template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .contracts import Prompt

FORMATS = ("json", "text", "messages", "jinja", "dspy", "langchain")

_JINJA_SYNTAX = re.compile(r"\{[{%#]|[}%#]\}|\n\Z")


def format_prompt(document: dict[str, Any], prompt: Prompt, style: str) -> str:
    """Return the prompt as text in one of `FORMATS`.

    In ``text`` and ``messages`` an input field stands as ``{{field}}``.

    Raises
    ------
    InputError
        If the style is unknown, or cannot hold a chat prompt.
    """
    fields = document["input_fields"]
    styles: dict[str, Callable[[], str]] = {
        "json": lambda: json.dumps(document, ensure_ascii=False, indent=2) + "\n",
        "text": lambda: _text(prompt, fields),
        "messages": lambda: json.dumps(_messages(prompt, fields), ensure_ascii=False, indent=2) + "\n",
        "jinja": lambda: _jinja(prompt, fields),
        "dspy": lambda: json.dumps(_dspy(document, prompt), ensure_ascii=False, indent=2) + "\n",
        "langchain": lambda: json.dumps(_langchain(prompt, fields), ensure_ascii=False, indent=2) + "\n",
    }
    if style not in styles:
        raise InputError(f"--format: expected one of {', '.join(FORMATS)}, found {style!r}")
    return styles[style]()


def _join(parts: Sequence[str | Slot], slot: Callable[[str], str], text: Callable[[str], str] = str) -> str:
    return "".join(slot(part.field) if isinstance(part, Slot) else text(part) for part in parts)


def _plain(prompt: Prompt, fields: Sequence[str], style: str) -> list[str | Slot]:
    if prompt.structure.layout == "chat":
        raise InputError(f"--format {style}: this prompt is a chat; export it with --format messages or json")
    return [part for part in template(prompt, fields) if not isinstance(part, Turn)]


def _messages(prompt: Prompt, fields: Sequence[str]) -> list[dict[str, str]]:
    parts = template(prompt, fields)
    turns = [part for part in parts if isinstance(part, Turn)]
    if prompt.structure.layout == "plain":
        turns = [Turn("user", tuple(part for part in parts if not isinstance(part, Turn)))]
    return [Message(turn.role, _join(turn.content, _braced))._asdict() for turn in turns]  # type: ignore[arg-type]


def _braced(field: str) -> str:
    return "{{" + field + "}}"


def _text(prompt: Prompt, fields: Sequence[str]) -> str:
    if prompt.structure.layout == "plain":
        return _join(_plain(prompt, fields, "text"), _braced) + "\n"
    return "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in _messages(prompt, fields)) + "\n"


def _jinja(prompt: Prompt, fields: Sequence[str]) -> str:
    def escape(text: str) -> str:
        # Jinja drops a template's last line break and reads its own syntax in data: such text becomes a string
        # expression.
        return _JINJA_SYNTAX.sub(lambda found: "{{ " + json.dumps(found.group()) + " }}", text)

    def slot(field: str) -> str:
        return "{{ " + field + ' | trim | replace("\\r\\n", "\\n") | replace("\\n", "\\n  ") }}'

    return _join(_plain(prompt, fields, "jinja"), slot, escape)


def _dspy(document: dict[str, Any], prompt: Prompt) -> dict[str, Any]:
    """Return the saved state of a ``dspy.Predict`` whose signature has the task's fields."""
    structure, target = prompt.structure, document["target_field"]
    rules = "\n".join(part for part in (prompt.instruction, *(c.text for c in prompt.constraints)) if part)
    labels = [*zip(document["input_fields"], structure.input_labels, strict=True), (target, structure.target_label)]
    return {
        "traces": [],
        "train": [],
        "demos": [{**dict(e.inputs), target: structure.verbalize(e.target)} for e in prompt.demonstrations],
        "signature": {
            "instructions": rules,
            "fields": [{"prefix": f"{label or field}:", "description": "${" + field + "}"} for field, label in labels],
        },
        "lm": None,
        "metadata": {"dependency_versions": {}},
    }


def _langchain(prompt: Prompt, fields: Sequence[str]) -> dict[str, Any]:
    """Return what ``langchain_core.prompts.load_prompt`` reads."""
    text = _join(
        _plain(prompt, fields, "langchain"),
        lambda field: "{" + field + "}",
        lambda text: text.replace("{", "{{").replace("}", "}}"),
    )
    return {"_type": "prompt", "input_variables": list(fields), "template": text, "template_format": "f-string"}
