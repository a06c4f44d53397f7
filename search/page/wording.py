"""Prompts as a person reads them: turns, the places of inputs, and the words that changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..contracts import Example
from ..prompts.cjk import CJK
from ..prompts.render import template
from ..prompts.slots import Slot, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Prompt

_WORD = re.compile(f"\\s+|[{CJK}]|[^\\W_]+|[^\\s]")
_LEFT_OUT = "(left out)"

Kind = Literal["role", "slot", "text"]


class _Atom(NamedTuple):
    """A word, the place of an input, or the beginning of a turn."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of a turn, or the place of an input, and whether the other prompt has it too."""

    kind: Kind
    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Said:
    """A turn, or a text without turns, whose role is empty."""

    role: str
    pieces: tuple[Piece, ...]


def side_by_side(
    before: Prompt, after: Prompt, fields: Sequence[str]
) -> tuple[tuple[Said, ...], tuple[Said, ...]]:
    """Return two prompts as they are sent, with the words marked that only one of them has."""
    ours, theirs = _atoms(before, fields), _atoms(after, fields)
    marks: tuple[list[bool], list[bool]] = [True] * len(ours), [True] * len(theirs)
    for start, other, size in SequenceMatcher(None, ours, theirs, False).get_matching_blocks():
        marks[0][start : start + size] = [False] * size
        marks[1][other : other + size] = [False] * size
    return _turns(ours, marks[0]), _turns(theirs, marks[1])


def as_text(prompt: Prompt, fields: Sequence[str]) -> str:
    """Return a prompt as one text, with ``{field}`` where inputs go."""
    texts = {"role": "[{}] ", "slot": "{{{}}}", "text": "{}"}
    return "".join(texts[atom.kind].format(atom.text) for atom in _atoms(prompt, fields))


def without_rows(prompt: Prompt) -> Prompt:
    """Return a prompt whose demonstrations say nothing of the data."""
    shown = tuple(
        Example(tuple((name, _LEFT_OUT) for name, _ in example.inputs), _LEFT_OUT)
        for example in prompt.demonstrations
    )
    return replace(prompt, demonstrations=shown)


def _atoms(prompt: Prompt, fields: Sequence[str]) -> list[_Atom]:
    atoms: list[_Atom] = []
    for part in template(prompt, fields):
        turn = part if isinstance(part, Turn) else None
        atoms += [_Atom("role", turn.role)] if turn else []
        for piece in turn.content if turn else (part,):
            if isinstance(piece, Slot):
                atoms.append(_Atom("slot", piece.field))
            elif isinstance(piece, str):
                atoms += [_Atom("text", word) for word in _WORD.findall(piece)]
    return atoms


def _turns(atoms: Sequence[_Atom], changed: Sequence[bool]) -> tuple[Said, ...]:
    turns: list[tuple[str, list[Piece]]] = []
    marked = zip(atoms, changed, strict=True)
    for (kind, mark), group in groupby(marked, key=lambda one: (one[0].kind, one[1])):
        texts = [atom.text for atom, _ in group]
        if kind == "role":
            turns += [(role, []) for role in texts]
            continue
        if not turns:
            turns.append(("", []))
        each = texts if kind == "slot" else ["".join(texts)]
        turns[-1][1].extend(Piece(kind, text, mark) for text in each)
    return tuple(Said(role, tuple(pieces)) for role, pieces in turns)
