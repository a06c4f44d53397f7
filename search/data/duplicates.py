"""Rows of the same input: dropped, or joined to one with several answers.

Inputs that differ only in white space or case are the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from ..contracts import Example
from .cells import Tell

CONTRADICTION = "rows dropped because their input has different targets"


def deduplicate(examples: Sequence[Example]) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Drop rows without input, repeated inputs, and inputs with different targets; say how many."""
    filled = [row for row in examples if any(text.strip() for _, text in row.inputs)]
    targets: defaultdict[str, set[str]] = defaultdict(set)
    for row in filled:
        targets[_folded(row)].add(row.target)
    kept = []
    contradictory = 0
    taken: set[str] = set()
    for row in filled:
        folded = _folded(row)
        if len(targets[folded]) > 1:
            contradictory += 1
        elif folded not in taken:
            taken.add(folded)
            kept.append(row)
    counts = (
        (len(examples) - len(filled), "rows without input dropped"),
        (contradictory, CONTRADICTION),
        (len(filled) - contradictory - len(kept), "duplicate rows dropped"),
    )
    return tuple(kept), tuple(f"{count} {what}" for count, what in counts if count)


def join_references(examples: Sequence[Example], source: str, tell: Tell) -> list[Example]:
    """Make one row of those with one input and different targets: each is an accepted answer.

    This is for free text: of labels only one is right.
    """
    golds: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in examples:
        golds[_folded(row).strip("\0")].append(row.golds)
    kept = []
    joined: set[str] = set()
    for row in examples:
        folded = _folded(row).strip("\0")
        if not folded or len({frozenset(answers) for answers in golds[folded]}) == 1:
            kept.append(row)
        elif folded not in joined:
            joined.add(folded)
            target, *others = dict.fromkeys(gold for answers in golds[folded] for gold in answers)
            kept.append(replace(row, target=target, references=tuple(others)))
    if joined:
        rows = len(examples) - len(kept) + len(joined)
        tell(
            f"{source}: {rows} rows that repeat inputs with different answers "
            f"merged into {len(joined)}"
        )
    return kept


def untaken(rows: Sequence[Example], taken: set[str]) -> tuple[Example, ...]:
    """Return the first row of each input that is not in ``taken``, and add its input to it."""
    kept = []
    for row in rows:
        folded = _folded(row)
        if folded not in taken:
            taken.add(folded)
            kept.append(row)
    return tuple(kept)


def _folded(example: Example) -> str:
    return "\0".join(" ".join(text.split()).casefold() for _, text in example.inputs)
