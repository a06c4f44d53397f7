"""What cannot be scored: which replies those are, counted by reason, and what to do about them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..contracts import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Example, Reason

_MANY = 0.1
"""The part of the rows that may be unscored before the scores are not those of the task."""
_MORE_TOKENS = (
    "the model may reason before it answers: "
    "raise max_tokens in a task file, or use another `model`"
)
_ADVICE: dict[Reason, str] = {
    "empty": _MORE_TOKENS,
    "cut": _MORE_TOKENS,
    "refused": "state the task more clearly in the instruction, or use another `model`",
    "filtered": "the server's content filter rejects the rows or the instruction: "
    "use another `model` or other rows",
    "no label": "name the labels and nothing else in the `instructions`, "
    "or give the labels that the model writes as `choices`",
    "several labels": "ask for one label and nothing else in the `instructions`",
    "tie": "the model cannot tell the labels apart: "
    "give them other texts (labels in a task file), or use another `model`",
    "no number": "the `scorer` must give some replies a number from 0 to 1",
}


def count(reasons: Sequence[Reason | None]) -> dict[str, int]:
    """Return how many rows have no score, by reason, the most frequent first."""
    counts = Counter(reason for reason in reasons if reason is not None)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def listed(counts: Mapping[str, int]) -> str:
    """Return counts as a person reads them: ``empty reply (20), labels are equally likely (3)``."""
    words = dict[str, str](REASONS.items())
    return ", ".join(f"{words.get(reason, reason)} ({n})" for reason, n in counts.items())


def too_many(counts: Mapping[str, int], rows: int) -> bool:
    """Return whether so many of the rows are unscored that the others do not stand for all."""
    return sum(counts.values()) > _MANY * rows


def nothing_scored(who: str, rows: int, split: str, counts: Mapping[str, int]) -> str:
    """Return the sentence that ends a run in which no row could be scored."""
    advice = dict.fromkeys(text for reason, text in _ADVICE.items() if reason in counts)
    return (
        f"none of the {rows} {split} rows could be scored with {who}: "
        f"{listed(counts)}; {'; '.join(advice)}"
    )


def is_empty(reply: str, example: Example) -> bool:
    """Return whether nothing to be seen was written where something was to be."""
    return _blank(reply) and not any(map(_blank, example.golds))


def _blank(text: str) -> bool:
    return not any(character.isprintable() and not character.isspace() for character in text)
