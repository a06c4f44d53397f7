"""What to compute for a call: the token trie of all its sequences, cut into shared stems and packed rows.

A stem is a beginning that many sequences share; its keys and values are computed once and kept. It is made of blocks
of 128 tokens, so that two calls that share a beginning share its blocks whatever else is in them, and of one shorter
segment at its end. What follows stems is packed: the branches of several stems lie in one row, each token attending to
its stem and to its own ancestors only. The plan depends on the call's sequences alone, so the same call is computed
in the same way every time.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]
Path = tuple[Tokens, ...]
"""A stem as the segments that lead to it; each segment is one pass on top of those before it."""

BLOCK = 128
_MIN_STEM = 8
_MIN_BRANCHES = 128
"""Tokens that must follow a stem: fewer share it as well inside one chunk."""
_CHUNK = 64
_MAX_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences in lexicographic order that continue the same stem."""

    stem: Path
    sequences: tuple[Tokens, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Branches whose tokens see nothing outside the chunk but their stem.

    Parameters
    ----------
    tokens, positions
        Shape ``(n,)``; positions count from the sequence's start.
    ancestors
        Shape ``(n, n)``: whether token ``i`` sees token ``j``.
    ends
        Where each sequence ends in the chunk.
    """

    tokens: list[int]
    positions: list[int]
    ancestors: NDArray[np.bool_]
    ends: dict[Tokens, int]


@dataclass(frozen=True, slots=True)
class Part:
    """The chunks of a row that continue the same stem."""

    stem: Path
    chunks: list[Chunk]


Row = list[Part]
"""What one pass of the model computes."""


def plan(sequences: Sequence[Tokens], max_tokens: int) -> list[Group]:
    """Return the groups that cover all sequences; none has a branch of more than ``max_tokens`` if a stem can help it."""
    groups: list[Group] = []
    _split(sorted(set(sequences)), (), max(max_tokens, BLOCK), groups)
    return groups


def rows(groups: Sequence[Group], max_tokens: int) -> Iterator[Row]:
    """Pack the groups' branches into rows of about equal size, of at most ``max_tokens`` tokens where branches allow."""
    chunks = [(group.stem, chunk) for group in groups for chunk in _chunks(group, max_tokens)]
    total = sum(len(chunk.tokens) for _, chunk in chunks)
    size = total / max(1, -(-total // max_tokens))
    row: list[tuple[Path, Chunk]] = []
    filled = 0
    for stem, chunk in chunks:
        if row and (filled + len(chunk.tokens) > max_tokens or filled >= size):
            yield _parts(row)
            row, filled = [], 0
        row.append((stem, chunk))
        filled += len(chunk.tokens)
    if row:
        yield _parts(row)


def distinct_tokens(sequences: Sequence[Tokens]) -> int:
    """Return the number of nodes of the sequences' trie: the fewest tokens that can be computed."""
    ordered = sorted(set(sequences))
    shared = (common_length(a, b) for a, b in pairwise(ordered))
    return sum(map(len, ordered)) - sum(shared)


def common_length(first: Tokens, second: Tokens) -> int:
    """Return how many leading tokens two sequences share."""
    limit = min(len(first), len(second))
    return bisect(range(1, limit + 1), False, key=lambda end: first[:end] != second[:end])


def _split(sequences: Sequence[Tokens], stem: Path, max_tokens: int, groups: list[Group]) -> None:
    """Divide sorted sequences that share their first ``len(stem)`` blocks into longer stems and branches."""
    depth = len(stem) * BLOCK
    rest: list[Tokens] = []
    for block, run in groupby(sequences, key=lambda sequence: sequence[depth : depth + BLOCK]):
        branch = list(run)
        # Log-probabilities are read off rows, so a sequence keeps its last token out of the stem.
        longer = [sequence for sequence in branch if len(sequence) > depth + BLOCK]
        if longer and (_many_follow(longer) or max(map(len, longer)) - depth > max_tokens):
            rest += branch[: len(branch) - len(longer)]
            _split(longer, (*stem, block), max_tokens, groups)
        else:
            rest += branch
    direct: list[Tokens] = []
    for _, run in groupby(rest, key=lambda sequence: sequence[depth]):
        branch = list(run)
        end = _end_of_stem(branch)
        if end - depth >= _MIN_STEM and _many_follow(branch):
            groups.append(Group((*stem, branch[0][depth:end]), tuple(branch)))
        else:
            direct += branch
    if direct:
        groups.append(Group(stem, tuple(direct)))


def _many_follow(branch: Sequence[Tokens]) -> bool:
    """Whether enough follows what a branch's sequences share to make it a stem, a pass of its own."""
    end = _end_of_stem(branch)
    return sum(len(sequence) - end for sequence in branch) >= _MIN_BRANCHES


def _end_of_stem(branch: Sequence[Tokens]) -> int:
    return min(common_length(branch[0], branch[-1]), min(map(len, branch)) - 1)


def _chunks(group: Group, max_tokens: int) -> Iterator[Chunk]:
    """Cut a group's branches into chunks of about 64 tokens, where they share nothing or next to nothing."""
    depth = sum(map(len, group.stem))
    taken: list[Tokens] = []
    size, before = 0, group.sequences[0][:depth]
    for sequence in group.sequences:
        shared = max(depth, common_length(before, sequence))
        limit = _CHUNK if shared == depth else _MAX_CHUNK if shared - depth < _MIN_STEM else max_tokens
        if taken and size + len(sequence) - shared > min(limit, max_tokens):
            yield _chunk(taken, depth)
            taken, size, shared = [], 0, depth
        taken.append(sequence)
        size, before = size + len(sequence) - shared, sequence
    yield _chunk(taken, depth)


def _chunk(sequences: Sequence[Tokens], depth: int) -> Chunk:
    tokens: list[int] = []
    positions: list[int] = []
    ends: dict[Tokens, int] = {}
    sees: list[tuple[int, int, list[int]]] = []
    path: list[int] = []  # the chunk's index of each token of the sequence before
    before: Tokens = sequences[0][:depth]
    for sequence in sequences:
        shared = max(depth, common_length(before, sequence))
        start = len(tokens)
        tokens += sequence[shared:]
        positions += range(shared, len(sequence))
        path = [*path[: shared - depth], *range(start, len(tokens))]
        sees.append((start, shared - depth, path))
        ends[sequence] = len(tokens) - 1
        before = sequence
    ancestors = np.zeros((len(tokens), len(tokens)), dtype=np.bool_)
    for start, shared, path in sees:
        stop = start + len(path) - shared
        ancestors[start:stop, path[:shared]] = True
        ancestors[start:stop, start:stop] = np.tri(stop - start, dtype=np.bool_)
    return Chunk(tokens, positions, ancestors, ends)


def _parts(row: Sequence[tuple[Path, Chunk]]) -> Row:
    return [Part(stem, [chunk for _, chunk in run]) for stem, run in groupby(row, key=lambda entry: entry[0])]
