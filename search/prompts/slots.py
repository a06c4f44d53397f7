"""What a template is made of: literal text, and slots for the input fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant"]


class Slot(NamedTuple):
    """The place of an input field in a template."""

    field: str


class Turn(NamedTuple):
    """A chat turn whose content is made of literal text and slots."""

    role: Role
    content: tuple[str | Slot, ...]


Template = tuple[str | Slot, ...] | tuple[Turn, ...]


def merge(parts: Sequence[str | Slot]) -> tuple[str | Slot, ...]:
    """Return parts with texts that follow each other as one, and without empty ones."""
    merged: list[str | Slot] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return tuple(merged)
