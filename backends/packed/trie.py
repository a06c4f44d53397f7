"""What to compute for a call: the token trie of all its sequences, cut into prefixes and packs.

Three prompts, drawn a word a token, with smaller limits than the real ones:

    Rate this review: ─┬─ awful . Label            a prefix is computed once and kept over calls;
                       └─ great ─┬─ dull . Label   what follows it is cut into segments, here of
                                 └─ fun . Label    up to 4 tokens

    prefix     Rate this review:
    pack               awful  .  Label | great  dull  .  Label | fun  .  Label
    segments          └───── 1 ───────┘ └───────── 2 ─────────┘ └───── 3 ────┘
    positions            3    4    5       3     4    5    6      4   5    6     in the prompt

    mask of segment 3    great  fun   .  Label     its columns are tokens of earlier segments with
                 fun       x     x                 which its sequences begin, and its own; a token
                 .         x     x    x            sees its ancestors, and all of the prefix without
                 Label     x     x    x    x       a mask

A prefix is a beginning that many sequences share. It is made of blocks of 128 tokens or what the
caller asks for, so that two calls that share a beginning share its blocks whatever else is in them,
and of one shorter block at its end. The segments after one prefix are a node. A pack is what one
pass of the model computes: nodes side by side, whose tokens see only their prefix and ancestors.
The plan depends on the call's sequences alone, so a call is computed in the same way every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Tokens = tuple[int, ...]
Prefix = tuple[Tokens, ...]
"""A shared beginning, as blocks: each is one pass of the model on top of those before it."""

BLOCK = 128
"""Tokens of a prefix's blocks on a CPU: so calls that come in blocks of 16 examples compute 1.02 of
their distinct tokens (benchmarks/engine.py, workload full-d)."""
_MIN_PREFIX = 8
"""Tokens that a prefix ends with at least, after its blocks, and that sequences share at least to
stay in one segment."""
_MIN_FOLLOWING = 128
"""Tokens that must follow a prefix: fewer share it as well inside one segment."""
_SEGMENT = 32
"""Tokens after which a segment ends where sequences share fewer than `_MIN_PREFIX`: attention costs
its square."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences in lexicographic order that continue the same prefix."""

    prefix: Prefix
    sequences: tuple[Tokens, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens that see their prefix, a few tokens of segments before, and nothing else outside.

    Parameters
    ----------
    tokens, positions
        Shape ``(n,)``; positions count from the sequence's start.
    before
        Tokens of the node, counted from its first, that sequences of the segment begin with: at
        most ``m`` of them.
    mask
        Shape ``(n, m + n)``: whether a token sees those before and those of the segment.
    ends
        Where each sequence ends in the segment.
    """

    tokens: list[int]
    positions: list[int]
    before: list[int]
    mask: NDArray[np.bool_]
    ends: dict[Tokens, int]


@dataclass(frozen=True, slots=True)
class Node:
    """The segments of a pack that continue the same prefix."""

    prefix: Prefix
    segments: list[Segment]


Pack = list[Node]
"""What one pass of the model computes."""


def plan(sequences: Sequence[Tokens], max_tokens: int, block: int = BLOCK) -> list[Group]:
    """Return the groups that cover all sequences.

    No sequence has more than ``max_tokens`` after its prefix, if a prefix can help it.
    """
    groups: list[Group] = []
    _split(sorted(set(sequences)), (), max(max_tokens, block), block, groups)
    return groups


def packs(groups: Sequence[Group], max_tokens: int) -> Iterator[Pack]:
    """Put what follows the groups' prefixes into packs of about equal size.

    A pack has at most ``max_tokens`` tokens where its sequences allow.
    """
    runs = [(group.prefix, run, size) for group in groups for run, size in _runs(group, max_tokens)]
    total = sum(size for _, _, size in runs)
    target = total / max(1, -(-total // max_tokens))
    pack: list[tuple[Prefix, Sequence[Tokens]]] = []
    filled = 0
    for prefix, run, size in runs:
        if pack and (filled + size > max_tokens or filled >= target):
            yield _nodes(pack)
            pack, filled = [], 0
        pack.append((prefix, run))
        filled += size
    if pack:
        yield _nodes(pack)


def depth_of(prefix: Prefix) -> int:
    """Return how many tokens a prefix has."""
    return sum(map(len, prefix))


def common_length(first: Tokens, second: Tokens, start: int = 0) -> int:
    """Return how many leading tokens two sequences share that share the first ``start`` anyway."""
    end = min(len(first), len(second))
    while start < end:
        middle = (start + end + 1) // 2
        if first[start:middle] == second[start:middle]:
            start = middle
        else:
            end = middle - 1
    return start


def _split(
    sequences: Sequence[Tokens], prefix: Prefix, max_tokens: int, size: int, groups: list[Group]
) -> None:
    """Divide sorted sequences that share the blocks of ``prefix`` among longer prefixes."""
    depth = len(prefix) * size
    rest: list[Tokens] = []
    for block, run in groupby(sequences, key=lambda sequence: sequence[depth : depth + size]):
        branch = list(run)
        # Log-probabilities are read off packs, so a sequence keeps its last token out of the
        # prefix.
        longer = [sequence for sequence in branch if len(sequence) > depth + size]
        if longer and (_many_follow(longer) or max(map(len, longer)) - depth > max_tokens):
            rest += branch[: len(branch) - len(longer)]
            _split(longer, (*prefix, block), max_tokens, size, groups)
        else:
            rest += branch
    direct: list[Tokens] = []
    for _, run in groupby(rest, key=lambda sequence: sequence[depth]):
        branch = list(run)
        end = _end_of_prefix(branch)
        if end - depth >= _MIN_PREFIX and _many_follow(branch):
            groups.append(Group((*prefix, branch[0][depth:end]), tuple(branch)))
        else:
            direct += branch
    if direct:
        groups.append(Group(prefix, tuple(direct)))


def _many_follow(branch: Sequence[Tokens]) -> bool:
    """Whether enough follows what sequences share to make it a prefix, a pass of its own."""
    end = _end_of_prefix(branch)
    return sum(len(sequence) - end for sequence in branch) >= _MIN_FOLLOWING


def _end_of_prefix(branch: Sequence[Tokens]) -> int:
    return min(common_length(branch[0], branch[-1]), min(map(len, branch)) - 1)


def _runs(group: Group, max_tokens: int) -> Iterator[tuple[list[Tokens], int]]:
    """Cut a group's sequences into one run for each segment; give the tokens of each.

    A run ends after about 32 tokens, where sequences share next to nothing.
    """
    depth = depth_of(group.prefix)
    run: list[Tokens] = []
    size, before = 0, group.sequences[0][:depth]
    for sequence in group.sequences:
        shared = common_length(before, sequence, depth)
        limit = max_tokens if shared - depth >= _MIN_PREFIX else min(_SEGMENT, max_tokens)
        if run and size + len(sequence) - shared > limit:
            yield run, size
            # A pack may begin here, without what was shared.
            run, size, shared = [], 0, depth
        run.append(sequence)
        size, before = size + len(sequence) - shared, sequence
    yield run, size


def _nodes(pack: Sequence[tuple[Prefix, Sequence[Tokens]]]) -> Pack:
    nodes = []
    for prefix, entries in groupby(pack, key=lambda entry: entry[0]):
        runs = [run for _, run in entries]
        nodes.append(Node(prefix, list(_segments(runs, depth_of(prefix)))))
    return nodes


def _segments(runs: Sequence[Sequence[Tokens]], depth: int) -> Iterator[Segment]:
    """Lay out one node: a segment for each run, without tokens that an earlier segment has."""
    previous: Tokens = runs[0][0][:depth]
    path: list[int] = []  # where in the node each token of the previous sequence is
    start = 0
    for run in runs:
        before = path[: common_length(previous, run[0], depth) - depth]
        tokens: list[int] = []
        positions: list[int] = []
        ends: dict[Tokens, int] = {}
        branches: list[tuple[int, list[int]]] = []
        for sequence in run:
            shared = common_length(previous, sequence, depth)
            ancestors = path[: shared - depth]
            first = len(tokens)
            branches.append((first, ancestors))
            tokens += sequence[shared:]
            positions += range(shared, len(sequence))
            path = [*ancestors, *range(start + first, start + len(tokens))]
            ends[sequence] = len(tokens) - 1
            previous = sequence
        mask = _mask(branches, before, start, len(tokens))
        yield Segment(tokens, positions, before, mask, ends)
        start += len(tokens)


def _mask(
    branches: Sequence[tuple[int, list[int]]], before: Sequence[int], start: int, length: int
) -> NDArray[np.bool_]:
    """Return what each token of a segment sees.

    Each branch is what one sequence adds: its first token in the segment, and its ancestors in the
    node.
    """
    mask = np.zeros((length, len(before) + length), dtype=np.bool_)
    column = {token: i for i, token in enumerate(before)}
    column |= {start + i: len(before) + i for i in range(length)}
    stops = [*(first for first, _ in branches[1:]), length]
    for (first, ancestors), stop in zip(branches, stops, strict=True):
        own = slice(len(before) + first, len(before) + stop)
        mask[first:stop, [column[token] for token in ancestors]] = True
        mask[first:stop, own] = np.tri(stop - first, dtype=np.bool_)
    return mask
