"""What to compute for a call: the token trie of all its sequences, cut into shared stems and packed rows.

A stem is a beginning that many sequences share; its keys and values are computed once and kept. It is made of blocks
of 128 tokens or what the caller asks for, so that two calls that share a beginning share its blocks whatever else is in them, and of one shorter
segment at its end. What follows stems is packed: the branches of several stems lie in one row, each token attending to
its stem and to its own ancestors only. The plan depends on the call's sequences alone, so the same call is computed
in the same way every time.
"""

from __future__ import annotations

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
_CHUNK = 32
"""Tokens after which a chunk ends where sequences share fewer than ``_MIN_STEM``: attention costs its square."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences in lexicographic order that continue the same stem."""

    stem: Path
    sequences: tuple[Tokens, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Branches whose tokens see their stem, a few tokens of chunks before, and nothing else outside the chunk.

    Parameters
    ----------
    tokens, positions
        Shape ``(n,)``; positions count from the sequence's start.
    before
        Tokens of the part, counted from its first, that branches of the chunk begin with: at most ``m`` of them.
    sees
        Shape ``(n, m + n)``: whether a token sees those before and those of the chunk.
    ends
        Where each sequence ends in the chunk.
    """

    tokens: list[int]
    positions: list[int]
    before: list[int]
    sees: NDArray[np.bool_]
    ends: dict[Tokens, int]


@dataclass(frozen=True, slots=True)
class Part:
    """The chunks of a row that continue the same stem."""

    stem: Path
    chunks: list[Chunk]


Row = list[Part]
"""What one pass of the model computes."""


def plan(sequences: Sequence[Tokens], max_tokens: int, block: int = BLOCK) -> list[Group]:
    """Return the groups that cover all sequences; none has a branch of more than ``max_tokens`` if a stem can help it."""
    groups: list[Group] = []
    _split(sorted(set(sequences)), (), max(max_tokens, block), block, groups)
    return groups


def rows(groups: Sequence[Group], max_tokens: int) -> Iterator[Row]:
    """Pack the groups' branches into rows of about equal size, of at most ``max_tokens`` tokens where branches allow."""
    runs = [(group.stem, run, size) for group in groups for run, size in _runs(group, max_tokens)]
    total = sum(size for _, _, size in runs)
    target = total / max(1, -(-total // max_tokens))
    row: list[tuple[Path, Sequence[Tokens]]] = []
    filled = 0
    for stem, run, size in runs:
        if row and (filled + size > max_tokens or filled >= target):
            yield _parts(row)
            row, filled = [], 0
        row.append((stem, run))
        filled += size
    if row:
        yield _parts(row)


def distinct_tokens(sequences: Sequence[Tokens]) -> int:
    """Return the number of nodes of the sequences' trie: the fewest tokens that can be computed."""
    ordered = sorted(set(sequences))
    shared = (common_length(a, b) for a, b in pairwise(ordered))
    return sum(map(len, ordered)) - sum(shared)


def common_length(first: Tokens, second: Tokens, start: int = 0) -> int:
    """Return how many leading tokens two sequences share that are known to share the first ``start``."""
    end = min(len(first), len(second))
    while start < end:
        middle = (start + end + 1) // 2
        if first[start:middle] == second[start:middle]:
            start = middle
        else:
            end = middle - 1
    return start


def _split(
    sequences: Sequence[Tokens], stem: Path, max_tokens: int, size: int, groups: list[Group]
) -> None:
    """Divide sorted sequences that share their first ``len(stem)`` blocks into longer stems and branches."""
    depth = len(stem) * size
    rest: list[Tokens] = []
    for block, run in groupby(sequences, key=lambda sequence: sequence[depth : depth + size]):
        branch = list(run)
        # Log-probabilities are read off rows, so a sequence keeps its last token out of the stem.
        longer = [sequence for sequence in branch if len(sequence) > depth + size]
        if longer and (_many_follow(longer) or max(map(len, longer)) - depth > max_tokens):
            rest += branch[: len(branch) - len(longer)]
            _split(longer, (*stem, block), max_tokens, size, groups)
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


def _runs(group: Group, max_tokens: int) -> Iterator[tuple[list[Tokens], int]]:
    """Cut a group's branches into runs of about 32 tokens, where they share next to nothing; give the size of each."""
    depth = sum(map(len, group.stem))
    run: list[Tokens] = []
    size, before = 0, group.sequences[0][:depth]
    for sequence in group.sequences:
        shared = common_length(before, sequence, depth)
        limit = max_tokens if shared - depth >= _MIN_STEM else min(_CHUNK, max_tokens)
        if run and size + len(sequence) - shared > limit:
            yield run, size
            run, size, shared = [], 0, depth  # a row may begin here, without what was shared
        run.append(sequence)
        size, before = size + len(sequence) - shared, sequence
    yield run, size


def _parts(row: Sequence[tuple[Path, Sequence[Tokens]]]) -> Row:
    parts = groupby(row, key=lambda entry: entry[0])
    return [
        Part(stem, list(_chunks([run for _, run in runs], sum(map(len, stem)))))
        for stem, runs in parts
    ]


def _chunks(runs: Sequence[Sequence[Tokens]], depth: int) -> Iterator[Chunk]:
    """Lay out one part: a chunk of each run, in which tokens that an earlier chunk has are not repeated."""
    previous: Tokens = runs[0][0][:depth]
    path: list[int] = []  # where in the part each token of the previous sequence is
    start = 0
    for run in runs:
        before = path[: common_length(previous, run[0], depth) - depth]
        tokens: list[int] = []
        positions: list[int] = []
        ends: dict[Tokens, int] = {}
        branches: list[tuple[int, list[int]]] = []
        for sequence in run:
            shared = common_length(previous, sequence, depth)
            branches.append((len(tokens), path[: shared - depth]))
            tokens += sequence[shared:]
            positions += range(shared, len(sequence))
            path = [*path[: shared - depth], *range(start + branches[-1][0], start + len(tokens))]
            ends[sequence] = len(tokens) - 1
            previous = sequence
        yield Chunk(tokens, positions, before, _sees(branches, before, start, len(tokens)), ends)
        start += len(tokens)


def _sees(
    branches: Sequence[tuple[int, list[int]]], before: Sequence[int], start: int, length: int
) -> NDArray[np.bool_]:
    """Return what each token of a chunk sees, from where its branches begin and what they share."""
    sees = np.zeros((length, len(before) + length), dtype=np.bool_)
    column = {token: i for i, token in enumerate(before)} | {
        start + i: len(before) + i for i in range(length)
    }
    for (first, shared), stop in zip(
        branches, [*(first for first, _ in branches[1:]), length], strict=True
    ):
        own = slice(len(before) + first, len(before) + stop)
        sees[first:stop, [column[token] for token in shared]] = True
        sees[first:stop, own] = np.tri(stop - first, dtype=np.bool_)
    return sees
