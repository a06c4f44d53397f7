"""Reasoning before the answer: where a reply's answer begins, and how long such a reply may be.

The prompt asks for it in a sentence that names a marker, the label that the answer follows; what
the model writes before the marker is its rationale (Wei et al. 2022, arXiv 2201.11903).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from .cjk import has_cjk
from .rules import decoding_form, decoding_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Form, Prompt, Structure

REASONING_TOKENS = 256
"""Tokens that a reply may have beside its answer where it reasons; set by hand."""
MARKER = "{marker}"
"""What stands for the marker in the sentence that asks for reasoning."""
_LABEL = "Answer"
"""The marker of a prompt whose answer follows no label."""


class ReplyLimits(NamedTuple):
    """Where a reply ends: after so many tokens, before one of some texts, or in a form."""

    max_tokens: int
    stop: tuple[str, ...]
    form: Form | None


def reply_tokens(structure: Structure, max_tokens: int) -> int:
    """Return how many tokens a reply may have whose answer alone is given so many."""
    return max_tokens * structure.reply_factor + bool(structure.reasoning) * REASONING_TOKENS


def answer_tokens(structure: Structure, reply_tokens: int) -> int:
    """Return how many tokens are given to the answer of a reply that may have so many."""
    beside = bool(structure.reasoning) * REASONING_TOKENS
    return max(1, (reply_tokens - beside) // structure.reply_factor)


def reply_limits(prompt: Prompt, max_tokens: int, stop: Sequence[str]) -> ReplyLimits:
    """Return where a reply to a prompt ends, of whose answer alone these would be the limits."""
    max_tokens = reply_tokens(prompt.structure, max_tokens)
    if prompt.structure.reasoning:
        return ReplyLimits(max_tokens, (), None)
    most, ends = decoding_limit(prompt.constraints, max_tokens)
    return ReplyLimits(most, (*stop, *ends), decoding_form(prompt.constraints))


def asked(structure: Structure) -> str:
    """Return the sentence that asks for reasoning; empty where none is asked for."""
    return structure.reasoning.replace(MARKER, marker(structure))


def marker(structure: Structure) -> str:
    """Return what stands before the answer in a reply that reasons."""
    label = structure.target_label or _LABEL
    return f"{label}：" if has_cjk(label) else f"{label}:"


def with_rationale(structure: Structure, rationale: str, answer: str) -> str:
    """Return an answer as a reply gives it: after its rationale and the marker where it reasons."""
    return f"{rationale}\n{marker(structure)} {answer}".strip() if structure.reasoning else answer


def split_reply(structure: Structure, reply: str) -> tuple[str, str]:
    """Return the rationale and the answer of a reply: what is before and after the last marker.

    A reply without a marker is an answer; so is every reply where no reasoning is asked for.
    """
    if not structure.reasoning:
        return "", reply
    found = list(_pattern(structure.target_label or _LABEL).finditer(reply))
    if not found:
        return "", reply
    return reply[: found[-1].start()].strip(), reply[found[-1].end() :].strip(" \t\r\n*_")


@lru_cache(maxsize=100)
def _pattern(label: str) -> re.Pattern[str]:
    named = rf"(?<!\w){re.escape(label)}[*_]*\s?[:：][*_]*"
    return re.compile(rf"(?:[*_#]+[ \t]*)?{named}", re.IGNORECASE)
