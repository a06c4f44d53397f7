"""The rows of the report: which were won and lost, and which labels were taken for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records.answered import AnsweredRows, Answers

_CHARACTERS = 4_000_000
"""Characters of all rows together: a page of more is slow to open."""
_TEXT = 100, 2000
"""Characters of one text at least and at most."""
_MOST_LABELS = 12
"""Labels of which the whole confusion matrix is shown; of more, what is confused most."""
_MOST_CONFUSED = 15
NO_LABEL = "(none)"

Change = Literal["won", "lost", "same"]


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """A row with the answers of two prompts, and how the second changed it."""

    number: int
    change: Change
    inputs: tuple[tuple[str, str], ...]
    target: str
    before: str
    after: str


def compared(rows: AnsweredRows, before: int, after: int) -> list[ComparedRow]:
    """Return the rows that both prompts answered, with what each answered; texts may be cut."""
    ours, theirs = rows.answers[before], rows.answers[after]
    count = min(len(ours.values), len(theirs.values))
    fields = len(rows.inputs[0]) if rows.inputs else 1
    most = min(max(_CHARACTERS // max(1, count * (fields + 3)), _TEXT[0]), _TEXT[1])
    return [
        ComparedRow(
            number=i + 1,
            change=_change(ours.values[i], theirs.values[i]),
            inputs=tuple((name, _cut(text, most)) for name, text in rows.inputs[i]),
            target=_cut(rows.targets[i], most),
            before=_cut(ours.texts[i], most),
            after=_cut(theirs.texts[i], most),
        )
        for i in range(count)
    ]


def _change(before: float | None, after: float | None) -> Change:
    if before is None or after is None or before == after:
        return "same"
    return "won" if after > before else "lost"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


class Confusion(NamedTuple):
    """How often each gold label was answered with which: before and after, where both are known.

    ``cells`` has, for each gold label, each answer's two counts; of many labels there are only the
    ``confused``: gold label, answer, and both counts.
    """

    golds: tuple[str, ...]
    answers: tuple[str, ...]
    cells: tuple[tuple[tuple[int, int], ...], ...]
    confused: tuple[tuple[str, str, int, int], ...]


def confusion(
    rows: AnsweredRows, before: int, after: int, labels: Sequence[str]
) -> Confusion | None:
    """Return what labels were taken for; None in free text."""
    ours, theirs = rows.answers[before], rows.answers[after]
    count = min(len(ours.labels), len(theirs.labels))
    if not count or not labels:
        return None
    counts = [_counted(rows.targets[:count], one) for one in (ours, theirs)]
    wrong = Counter({pair: n for pair, n in (counts[0] + counts[1]).items() if pair[0] != pair[1]})
    confused = [
        (gold, said, counts[0][gold, said], counts[1][gold, said])
        for (gold, said), _ in wrong.most_common(_MOST_CONFUSED)
    ]
    answers = [*labels, *([NO_LABEL] if any(said == NO_LABEL for _, said in wrong) else [])]
    few = len(labels) <= _MOST_LABELS
    cells = [
        tuple((counts[0][gold, said], counts[1][gold, said]) for said in answers)
        for gold in (labels if few else ())
    ]
    return Confusion(tuple(labels), tuple(answers), tuple(cells), tuple(confused))


def _counted(targets: Sequence[str], answers: Answers) -> Counter[tuple[str, str]]:
    said = answers.labels[: len(targets)]
    return Counter((gold, label or NO_LABEL) for gold, label in zip(targets, said, strict=True))


def as_json(rows: Sequence[ComparedRow]) -> list[list[Any]]:
    """Return rows as the page's script reads them."""
    return [[one.number, one.change, one.inputs, one.target, one.before, one.after] for one in rows]
