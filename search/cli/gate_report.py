"""What a gate found: lines for a terminal, and Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .streams import clipped, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records.gate import GatedPrompt, GateResult, LostRow

EXIT_CODES = {"pass": 0, "fail": 1, "undecided": 3}
_SHOWN = 10
"""Lost rows that are shown."""
_WIDTH = 80
_SPECIAL = frozenset("\\`*_{}[]()<>#+-.!|~&$@:")


def gate_lines(result: GateResult) -> list[str]:
    """Return the verdict, both scores and the rows that were lost."""
    lines = [
        f"{result.verdict.upper()}: {result.reason}",
        *_table(result.new, result.old),
        _difference(result),
    ]
    if result.lost:
        lines.append("rows that score less with the new prompt (input, expected, new, old):")
        lines += ["  ".join(_cells(row)) for row in result.lost[:_SHOWN]]
        lines += _more(result.lost)
    return lines + [f"note       {note}" for note in result.notes]


def gate_markdown(result: GateResult) -> str:
    """Return the same for a pull request. Rows are data: nothing in them is Markdown or HTML."""
    lines = [
        f"### Prompt gate: {result.verdict}",
        "",
        f"{_literal(result.reason)}.",
        "",
        "| prompt | score | 95 % interval | prompt tokens |",
        "|---|---|---|---|",
        *(
            f"| {name} `{_code(one.file)}` | {one.score:.3f} | {one.low:.3f} to {one.high:.3f} "
            f"| {one.tokens} |"
            for name, one in (("new", result.new), ("old", result.old))
        ),
        "",
        f"{_literal(_difference(result))}.",
    ]
    if result.lost:
        lines += ["", "| lost | input | expected | new | old |", "|---|---|---|---|---|"]
        for row in result.lost[:_SHOWN]:
            lines.append(f"| {' | '.join(_literal(cell) for cell in _cells(row))} |")
        lines += ["", *_more(result.lost)]
    lines += ["", *(f"- {_literal(note)}" for note in result.notes)] if result.notes else []
    return "\n".join(lines) + "\n"


def _table(new: GatedPrompt, old: GatedPrompt) -> list[str]:
    return [
        f"{name}  {one.score:.3f} ({one.low:.3f}-{one.high:.3f})  {one.tokens} tokens  "
        f"{one.file}, trial {one.trial}"
        for name, one in (("new", new), ("old", old))
    ]


def _difference(result: GateResult) -> str:
    low, mean, high = (100 * value for value in (result.low, result.difference, result.high))
    unscored = f", {result.unscored} without a score of both" if result.unscored else ""
    return (
        f"difference {mean:+.1f} points ({low:+.1f} to {high:+.1f}) on {result.n} rows{unscored}; "
        f"{result.won} won, {len(result.lost)} lost, by {result.model}"
    )


def _cells(row: LostRow) -> list[str]:
    """Return what is said of a lost row: whether it must pass, its input, and three answers."""
    texts = (" / ".join(text for _, text in row.inputs), row.target, row.new, row.old)
    return ["must pass" if row.must_pass else "", *(_clipped(text) for text in texts)]


def _clipped(text: str) -> str:
    return clipped(printable(text).strip(), _WIDTH)


def _more(lost: Sequence[LostRow]) -> list[str]:
    return [f"and {len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else []


def _literal(text: str) -> str:
    return "".join(f"&#{ord(one)};" if one in _SPECIAL else one for one in text)


def _code(text: str) -> str:
    return printable(text).replace("`", "'").replace("|", "/")
