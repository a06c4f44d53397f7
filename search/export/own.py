"""A prompt of the user's own in the format that it came in: only what has changed is other text."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..contracts import Prompt, PromptSource
from ..errors import InputError
from ..prompts.own import has_roles, own_turns
from ..prompts.render import own_template
from ..prompts.slots import Slot
from .rewriting import Message, rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..prompts.slots import Turn

_JINJA_SYNTAX = re.compile(r"\{(?=[{%#])")


def own_format(document: Mapping[str, Any], prompt: Prompt) -> str:
    """Return the prompt as its file has it, with what the search has changed.

    Raises
    ------
    InputError
        If the search did not start from a prompt of the user's own, or its format cannot hold
        what it was given.
    """
    fields = document["input_fields"]
    sources = [_read(source) for source in document.get("sources", ())]
    if not prompt.structure.own or not sources:
        raise InputError(
            "`format` own: expected a search that started from your own prompt; start one with "
            "`prompts`, or choose another `format`"
        )
    source = _nearest(sources, prompt, fields)
    bare = Prompt(source.instruction, replace(prompt.structure, reasoning=""))
    before, after = _messages(bare, fields, source), _messages(prompt, fields, source)
    return source.text if after == before else rewritten(source, before, after)


def _read(source: Mapping[str, Any]) -> PromptSource:
    """Return a source as it stood before it was written as JSON."""
    spellings = tuple((field, text) for field, text in source["spellings"])
    return PromptSource(**{**source, "place": tuple(source["place"]), "spellings": spellings})


def _nearest(
    sources: Sequence[PromptSource], prompt: Prompt, fields: Sequence[str]
) -> PromptSource:
    """Return the file in whose place a prompt stands: of its form, and most like it."""

    def form(text: str) -> tuple[bool, list[str]]:
        return has_roles(text), [turn.role for turn in own_turns(text, fields)]

    wanted = form(prompt.instruction)
    alike = [source for source in sources if form(source.instruction) == wanted] or sources[:1]
    if len(alike) == 1:
        return alike[0]
    match = difflib.SequenceMatcher(b=prompt.instruction, autojunk=False)

    def likeness(source: PromptSource) -> float:
        match.set_seq1(source.instruction)
        return match.ratio()

    return max(alike, key=likeness)


def _messages(prompt: Prompt, fields: Sequence[str], source: PromptSource) -> list[Message]:
    """Return a prompt's turns, each placeholder as the file writes it."""
    turns = own_template(prompt, fields, open_examples=True)
    return [(turn.role, _spelled(turn, source)) for turn in turns]


def _spelled(turn: Turn, source: PromptSource) -> str:
    spellings = dict(source.spellings)
    style = ("{{ ", " }}") if source.style == "jinja" else ("{", "}")
    return "".join(
        spellings.get(part.field, part.field.join(style))
        if isinstance(part, Slot)
        else _escaped(part, source)
        for part in turn.content
    )


def _escaped(text: str, source: PromptSource) -> str:
    """Return text such that no part of it is read as a placeholder."""
    if source.style == "format":
        return text.replace("{", "{{").replace("}", "}}")
    if source.style == "jinja":
        return _JINJA_SYNTAX.sub('{{ "{" }}', text)
    for _, spelling in source.spellings:
        if spelling in text:
            raise InputError(
                f"`format` own: an example in the prompt contains {spelling}, which would be a "
                f"placeholder in {source.path}; export with `format` messages"
            )
    return text
