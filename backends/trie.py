"""What to compute for a call: the token trie of all its sequences, cut into shared stems and packed rows.

A stem is a beginning that several sequences share and that is long enough to be worth a pass of its own; its keys and
values are computed once. What follows a stem is packed: many branches lie in one row, each token attending to its
stem and to its own ancestors only. The plan depends on the call's sequences alone, so the same call is computed in
the same way every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]
Path = tuple[Tokens, ...]
"""A stem as the segments that lead to it; each segment is one pass on top of those before it."""

_MIN_STEM = 8
_MIN_SAVED = 64


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences that continue the same stem."""

    stem: Path
    depth: int
    sequences: tuple[Tokens, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Branches packed into one pass on top of a stem.

    Parameters
    ----------
    tokens, positions
        Shape ``(n,)``; a branch's positions go on from its stem's end.
    ancestors
        Shape ``(n, n)``: whether row token ``i`` sees row token ``j``.
    nodes
        The trie node of each token: the sequence up to and including it.
    """

    tokens: list[int]
    positions: list[int]
    ancestors: NDArray[np.bool_]
    nodes: list[Tokens]


def plan(sequences: Sequence[Tokens]) -> list[Group]:
    """Return the groups that cover all sequences, stems first computed first."""
    groups: list[Group] = []
    _split(sorted(set(sequences)), (), 0, groups)
    return groups


def _split(sequences: Sequence[Tokens], stem: Path, depth: int, groups: list[Group]) -> None:
    """Divide sorted sequences that share their first ``depth`` tokens into longer stems and direct branches."""
    direct: list[Tokens] = []
    for branch in _branches(sequences, depth):
        end = _common_length(branch[0], branch[-1])
        # Log-probabilities are read off rows, so a sequence keeps its last token out of the stem.
        end = min(end, min(map(len, branch)) - 1)
        if end - depth >= _MIN_STEM and (end - depth) * (len(branch) - 1) >= _MIN_SAVED:
            _split(branch, (*stem, branch[0][depth:end]), end, groups)
        else:
            direct += branch
    if direct:
        groups.append(Group(stem, depth, tuple(direct)))


def _branches(sequences: Sequence[Tokens], depth: int) -> Iterator[Sequence[Tokens]]:
    start = 0
    for i in range(1, len(sequences) + 1):
        if i == len(sequences) or sequences[i][depth] != sequences[start][depth]:
            yield sequences[start:i]
            start = i


def _common_length(first: Tokens, last: Tokens) -> int:
    for i, (a, b) in enumerate(zip(first, last, strict=False)):
        if a != b:
            return i
    return min(len(first), len(last))


def rows(group: Group, max_tokens: int) -> Iterator[Row]:
    """Pack a group's branches into rows of at most ``max_tokens`` distinct tokens (or one branch, if it is longer)."""
    nodes: dict[Tokens, int] = {}
    for sequence in group.sequences:
        ends = range(group.depth + 1, len(sequence) + 1)
        new = [sequence[:end] for end in ends if sequence[:end] not in nodes]
        if nodes and len(nodes) + len(new) > max_tokens:
            yield _row(nodes)
            nodes, new = {}, [sequence[:end] for end in ends]
        nodes |= {node: i for i, node in enumerate(new, start=len(nodes))}
    if nodes:
        yield _row(nodes)


def _row(nodes: dict[Tokens, int]) -> Row:
    ancestors = np.eye(len(nodes), dtype=np.bool_)
    for node, i in nodes.items():
        parent = nodes.get(node[:-1])
        if parent is not None:
            ancestors[i] |= ancestors[parent]
    return Row([node[-1] for node in nodes], [len(node) - 1 for node in nodes], ancestors, list(nodes))
