"""What a program reads in a reply to a prompt that asks for a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contracts import Unscored
from .cjk import word_count
from .reasoning import ReplyLimits, reply_tokens, split_reply
from .render import render, stops
from .written_answers import labels_in, read_label, without_thinking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Prompt, Structure

_SPARE_TOKENS = 16
"""Of a sentence around the label; set by hand."""
_TOKENS_PER_WORD = 4
"""Two or three times what a word of a label takes."""


def label_tokens(structure: Structure, labels: Sequence[str]) -> int:
    """Return how many tokens a reply that says a label may have."""
    words = max((word_count(structure.verbalize(label)) for label in labels), default=0)
    return _SPARE_TOKENS + _TOKENS_PER_WORD * words


def label_stops(structure: Structure, labels: Sequence[str]) -> tuple[str, ...]:
    """Return what ends a reply that says a label: in a plain layout also its line."""
    one_line = not any("\n" in structure.verbalize(label).strip() for label in labels)
    plain = structure.layout == "plain"
    return tuple(dict.fromkeys((*(["\n"] if plain and one_line else []), *stops(structure))))


def label_limits(structure: Structure, labels: Sequence[str]) -> ReplyLimits:
    """Return where a reply that says a label ends, with its reasoning where that is asked for."""
    most = reply_tokens(structure, label_tokens(structure, labels))
    ends = tuple(stops(structure)) if structure.reasoning else label_stops(structure, labels)
    return ReplyLimits(most, ends, None)


def said_label(structure: Structure, labels: Sequence[str], reply: str) -> int | Unscored:
    """Return the position of the label that a reply says by `read_label`, or why there is none.

    Where the prompt asks for reasoning, the label is read in what follows it.
    """
    if structure.reasoning:
        reply, unfinished = without_thinking(reply)
        if unfinished:
            return Unscored("cut")
        for end in stops(structure):
            reply = reply.split(end, 1)[0]
        _, reply = split_reply(structure, reply)
    reply = reply.lstrip() if structure.layout == "plain" else reply
    for end in label_stops(structure, labels):
        reply = reply.split(end, 1)[0]
    return read_label(reply, [structure.verbalize(label) for label in labels])


def unnamed(prompt: Prompt, labels: Sequence[str], fields: Sequence[str]) -> list[str]:
    """Return the texts of labels that stand nowhere in a prompt."""
    text = render(prompt, dict.fromkeys(fields, ""))
    turns = [text] if isinstance(text, str) else [turn.content for turn in text]
    texts = [prompt.structure.verbalize(label) for label in labels]
    named = set[int]().union(*(labels_in(turn, texts) for turn in turns))
    return [text for i, text in enumerate(texts) if i not in named]
