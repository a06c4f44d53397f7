"""What mutators cost and brought, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records.efforts import Worth

_MOST = 10
"""Mutators in the table: those that brought most, and then those that cost most."""
_HEAD = (
    "mutator",
    "asked",
    "raced",
    "better",
    "best gain",
    "calls",
    "tokens",
    "evaluations",
    "seconds",
)


def mutator_lines(worths: Sequence[Worth]) -> list[str]:
    """Return what each mutator cost and brought, where it did either; nothing without any."""
    rows = mutator_rows(worths)
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    others = len(_told(worths)) - _MOST
    return [*lines, *([f"and {others} more, which --json prints"] if others > 0 else []), ""]


def mutator_rows(worths: Sequence[Worth]) -> list[tuple[str, ...]]:
    """Return the rows of that table, its head first; nothing where no mutator did anything."""
    told = _told(worths)
    return [_HEAD, *map(_row, told[:_MOST])] if told else []


def _told(worths: Sequence[Worth]) -> list[Worth]:
    """Return the mutators that cost or brought anything, those that brought most first."""
    told = [one for one in worths if one.accepted or one.effort.calls or one.effort.evaluations]
    return sorted(
        told, key=lambda one: (-max(one.gain or 0.0, 0.0), -one.effort.tokens, one.mutator)
    )


def _row(one: Worth) -> tuple[str, ...]:
    effort = one.effort
    return (
        one.mutator,
        str(effort.asked),
        str(one.candidates),
        str(one.accepted),
        "" if one.gain is None else f"{100 * one.gain:+.1f}",
        str(effort.calls),
        f"{effort.tokens:,}",
        f"{effort.evaluations:,}",
        f"{effort.seconds:.1f}",
    )
