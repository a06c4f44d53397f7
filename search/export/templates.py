"""Prompts as templates: text and messages with ``{{field}}``, and Jinja."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ..contracts import Message
from ..errors import InputError
from ..prompts.render import template
from ..prompts.slots import Slot, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..contracts import Prompt

_JINJA_SYNTAX = re.compile(r"\{(?=[{%#\r\n]|\Z)|\r|\n\Z")
"""A brace that could begin a tag, and line breaks that Jinja drops or changes."""


def join(
    parts: Sequence[str | Slot], slot: Callable[[str], str], text: Callable[[str], str] = str
) -> str:
    """Return parts as one text, each slot and each text as a format writes it."""
    return "".join(slot(part.field) if isinstance(part, Slot) else text(part) for part in parts)


def braced(names: Mapping[str, str]) -> Callable[[str], str]:
    """Return what writes a slot as ``{{name}}``."""
    return lambda field: "{{" + names[field] + "}}"


def jinja_text(text: str) -> str:
    """Return text that Jinja and Nunjucks render as itself.

    Jinja drops a template's last line break, changes others, and reads its own syntax in data: such
    text becomes a string expression.
    """
    return _JINJA_SYNTAX.sub(lambda match: "{{ " + json.dumps(match.group()) + " }}", text)


def is_text(prompt: Prompt, fields: Sequence[str]) -> bool:
    """Whether a prompt is one text: in plain layout, or a text of the user's own."""
    alone = prompt.structure.own and len(template(prompt, fields)) == 1
    return prompt.structure.layout == "plain" or alone


def plain(prompt: Prompt, fields: Sequence[str], style: str) -> list[str | Slot]:
    """Return the parts of a prompt that is one text.

    Raises
    ------
    InputError
        If it is a chat, which the style cannot hold.
    """
    parts = template(prompt, fields)
    if not is_text(prompt, fields):
        raise InputError(
            f"`format` {style}: this prompt is a chat; export it with `format` messages or json"
        )
    if len(parts) == 1 and isinstance(parts[0], Turn):  # one text of the user's own
        parts = parts[0].content
    return [part for part in parts if not isinstance(part, Turn)]


def turns(prompt: Prompt, fields: Sequence[str]) -> list[Turn]:
    """Return a prompt's turns; a text is what the user says."""
    parts = template(prompt, fields)
    if prompt.structure.layout == "plain":
        return [Turn("user", tuple(part for part in parts if not isinstance(part, Turn)))]
    return [part for part in parts if isinstance(part, Turn)]


def messages(
    prompt: Prompt,
    fields: Sequence[str],
    slot: Callable[[str], str],
    text: Callable[[str], str] = str,
) -> list[dict[str, str]]:
    """Return a prompt's turns as messages, each slot and each text as a format writes it."""
    return [
        Message(turn.role, join(turn.content, slot, text))._asdict()
        for turn in turns(prompt, fields)
    ]


def literals(prompt: Prompt, fields: Sequence[str]) -> list[str]:
    """Return the texts of a prompt between its slots."""
    return [
        part for turn in turns(prompt, fields) for part in turn.content if isinstance(part, str)
    ]


def text_format(prompt: Prompt, names: Mapping[str, str]) -> str:
    """Return the prompt as text for people, with ``{{field}}`` for an input."""
    fields = list(names)
    if is_text(prompt, fields):
        return join(plain(prompt, fields, "text"), braced(names)) + "\n"
    said = messages(prompt, fields, braced(names))
    return "\n\n".join(f"[{one['role']}]\n{one['content']}" for one in said) + "\n"


def jinja_format(prompt: Prompt, names: Mapping[str, str]) -> str:
    """Return the prompt as a Jinja template, which prepares values as the search did."""

    def slot(field: str) -> str:
        if prompt.structure.own:
            return "{{ " + names[field] + " }}"
        # Its idea of a line is that of `literal`.
        return "{{ (" + names[field] + ' | trim).splitlines() | join("\\n  ") }}'

    told = {field: name for field, name in names.items() if field != name}
    comment = "{# fields: " + json.dumps(told).replace("#}", "#\\u007d") + " #}" if told else ""
    return comment + join(plain(prompt, list(names), "jinja"), slot, jinja_text)
