"""Whether replies keep to a prompt's constraints, and how decoding makes them."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..contracts import Form
from .cjk import first_words, mostly_cjk, word_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Constraint, Example

# More than texts take: decoding ends what runs on, and does not cut what keeps to its limit.
_TOKENS_A_WORD = 2
_TOKENS_A_CHARACTER = 3
_SLACK = 8


def obeys(constraint: Constraint, reply: str, example: Example) -> bool | None:
    """Return whether a reply keeps to a constraint; None where its rule cannot be measured."""
    limit, text = _limit(constraint), reply.strip()
    if constraint.rule == "max_words":
        return word_count(text) <= limit
    if constraint.rule == "max_lines":
        return len(text.splitlines()) <= limit
    if constraint.rule == "avoid":
        return not any(_has(text, word) for word in constraint.words)
    if constraint.rule == "include":
        return all(_has(text, word) for word in constraint.words)
    if constraint.rule == "choice":
        return text in constraint.words
    if constraint.rule == "regex":
        return re.fullmatch(constraint.pattern, text) is not None
    if constraint.rule == "json":
        return _is_json(text, constraint.pattern)
    if constraint.rule == "language":
        return bool(text) and mostly_cjk(text) == mostly_cjk(
            "".join(value for _, value in example.inputs)
        )
    return None


def constraints_met(
    constraints: Sequence[Constraint], examples: Sequence[Example], replies: Sequence[str]
) -> float | None:
    """Return the share of constraints met, over all replies that can be measured.

    None without any.
    """
    kept: list[bool] = []
    for example, reply in zip(examples, replies, strict=True):
        measured = [obeys(constraint, reply, example) for constraint in constraints]
        kept += [met for met in measured if met is not None]
    return sum(kept) / len(kept) if kept else None


def bound(constraints: Sequence[Constraint], reply: str) -> str:
    """Return the beginning of a reply that is within the constraints' limits of words and lines.

    No model counts its words, and tokens are too coarse a limit for them: what a reply has over its
    limit is not used.
    """
    for constraint in constraints:
        limit = _limit(constraint)
        if constraint.rule == "max_words":
            reply = first_words(reply, limit)
        if constraint.rule == "max_lines":
            reply = "\n".join(reply.strip().splitlines()[:limit])
    return reply


def decoding_limit(
    constraints: Sequence[Constraint], max_tokens: int
) -> tuple[int, tuple[str, ...]]:
    """Return how many tokens a reply may have under the constraints, and what else ends it."""
    end: tuple[str, ...] = ()
    for constraint in constraints:
        limit = _limit(constraint)
        if constraint.rule == "max_words":
            each = _TOKENS_A_CHARACTER if mostly_cjk(constraint.template) else _TOKENS_A_WORD
            max_tokens = min(max_tokens, each * limit + _SLACK)
        if constraint.rule == "max_lines" and limit == 1:
            end = ("\n",)
    return max_tokens, end


def decoding_form(constraints: Sequence[Constraint]) -> Form | None:
    """Return the form that the first constraint of a form asks for."""
    for constraint in constraints:
        if constraint.rule == "choice":
            return Form("choice", json.dumps(constraint.words, ensure_ascii=False))
        if constraint.rule in ("regex", "json"):
            return Form(constraint.rule, constraint.pattern)
    return None


def _limit(constraint: Constraint) -> int:
    return max(1, constraint.limit or 1)


def _has(text: str, word: str) -> bool:
    if mostly_cjk(word):
        return word in text
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _is_json(text: str, schema: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not schema or _validator(schema).is_valid(value)


@lru_cache(maxsize=100)
def _validator(schema: str) -> Any:  # noqa: ANN401 (the library's class depends on the schema)
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    parsed = json.loads(schema)
    return validator_for(parsed)(parsed)
