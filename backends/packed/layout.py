"""How a pack lies in memory while the model runs over it.

What attends to what, in as few matrix products as possible: segments of about one size are attended
to in one batched product, for which their queries and keys are gathered, each segment padded to the
longest. Padding costs there only, in attention; the linear layers never see it. A short prefix is
gathered before each of its segments, which is cheaper than a product of its own; a long one is left
in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from .trie import Pack, Segment, depth_of

KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, of shape ``(1, heads, tokens, width)``."""
SHORT_PREFIX = 32
"""Tokens up to which a prefix is gathered."""
_TOGETHER = {
    "cpu": (32, 64, 128),
    # Few products matter more there than little padding.
    "cuda": (32, 64, 128, 256, 512),
}
"""Lengths up to which segments share a product; longer ones have one each."""


@dataclass(slots=True)
class Gather:
    """Which rows of a ``(tokens * heads, width)`` matrix make up a batch.

    Parameters
    ----------
    tokens
        Shape ``(segments, n)``.
    """

    tokens: torch.Tensor
    rows: dict[tuple[int, torch.device], torch.Tensor] = field(default_factory=dict)

    def __call__(self, matrix: torch.Tensor, heads: int) -> torch.Tensor:
        """Return shape ``(segments, heads, n, width)``."""
        key = (heads, matrix.device)
        if key not in self.rows:
            rows = self.tokens[:, None] * heads + torch.arange(heads)[:, None]
            self.rows[key] = rows.flatten().to(matrix.device)
        segments, length = self.tokens.shape
        return matrix.index_select(0, self.rows[key]).view(segments, heads, length, -1)


@dataclass(slots=True)
class Batch:
    """Segments whose attention is one batched product.

    Parameters
    ----------
    queries
        Of shape ``(segments, width)``: tokens of the pack; padding repeats the segment's first.
    keys
        Of shape ``(segments, m + width)``: entries of the pass's short prefixes with the pack after
        them; what lies before a segment comes first.
    mask
        Shape ``(segments, width, m + width)``: whether a query sees a key.
    distances
        Shape as of ``mask``: how far back the key lies.
    """

    queries: Gather
    keys: Gather
    mask: torch.Tensor
    distances: torch.Tensor
    additive: dict[int | None, torch.Tensor] = field(default_factory=dict)
    """What is added to the scores, by the width of the layer's window."""


@dataclass(slots=True)
class SharedPrefix:
    """A prefix that is attended to in place, by the tokens from ``start`` to ``stop``."""

    keys: KeyValues
    depth: int
    start: int
    stop: int
    additive: dict[int, torch.Tensor] = field(default_factory=dict)
    """What is added to the scores, by the width of the layer's window."""


@dataclass(slots=True)
class Pass:
    """One pass of the model over a pack.

    Parameters
    ----------
    tokens, positions
        Shape ``(tokens,)``; positions count from the sequence's start.
    batches, shared
        What is attended to.
    short
        Keys and values of the short prefixes, one after the other.
    slots
        Shape ``(3, tokens)``: of each token, the slots in the batches before its segment, the slots
        of its segment, and its own among these.
    computed
        Receives the keys and values of the pack's tokens where they are wanted.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    batches: list[Batch]
    shared: list[SharedPrefix]
    short: KeyValues
    slots: torch.Tensor
    computed: KeyValues | None = None
    rows: dict[tuple[int, torch.device], torch.Tensor] = field(default_factory=dict)

    def in_order(self, attended: Sequence[torch.Tensor], heads: int) -> torch.Tensor:
        """Return what the batches give, each ``(segments, heads, width, n)``, by token.

        The shape is ``(tokens, heads, n)``.
        """
        key = (heads, attended[0].device)
        if key not in self.rows:
            before, size, own = self.slots[:, :, None]
            rows = before * heads + torch.arange(heads) * size + own
            self.rows[key] = rows.flatten().to(attended[0].device)
        flat = [batch.reshape(-1, batch.shape[-1]) for batch in attended]
        matrix = flat[0] if len(flat) == 1 else torch.cat(flat)
        return matrix.index_select(0, self.rows[key]).view(len(self.tokens), heads, -1)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A segment in its pack.

    Parameters
    ----------
    segment
        What is placed.
    start
        Its first token in the pack.
    before
        The keys that it sees before its own.
    position
        That of the first of them, in the sequence.
    """

    segment: Segment
    start: int
    before: list[int]
    position: int

    def __len__(self) -> int:
        return len(self.segment.tokens)


def lay_out(pack: Pack, prefixes: Sequence[KeyValues], device: torch.device) -> Pass:
    """Return the pass that computes a pack, given the keys and values of its nodes' prefixes."""
    depths = [depth_of(node.prefix) for node in pack]
    offset = sum(depth for depth in depths if depth <= SHORT_PREFIX)
    placed: list[_Placed] = []
    shared: list[SharedPrefix] = []
    short: list[KeyValues] = []
    start = gathered = 0
    for node, keys, depth in zip(pack, prefixes, depths, strict=True):
        first = start
        in_place = depth > SHORT_PREFIX
        prefix = [] if in_place else list(range(gathered, gathered + depth))
        for segment in node.segments:
            before = prefix + [offset + first + token for token in segment.before]
            placed.append(_Placed(segment, start, before, depth - len(prefix)))
            start += len(segment.tokens)
        gathered += len(prefix)
        if in_place:
            shared.append(SharedPrefix(keys, depth, first, start))
        elif depth:
            short.append(keys)
    tokens = [token for entry in placed for token in entry.segment.tokens]
    positions = [position for entry in placed for position in entry.segment.positions]
    together = _together(placed, _TOGETHER.get(device.type, _TOGETHER["cuda"]))
    return Pass(
        torch.tensor(tokens, device=device),
        torch.tensor(positions, device=device),
        [_batch(entries, offset) for entries in together],
        shared,
        joined(short),
        _slots(together, start),
    )


def joined(blocks: Sequence[KeyValues]) -> KeyValues:
    """Return keys and values one after the other."""
    if len(blocks) < 2:
        return blocks[0] if blocks else {}
    whole: KeyValues = {}
    for layer in blocks[0]:
        keys = torch.cat([block[layer][0] for block in blocks], 2)
        values = torch.cat([block[layer][1] for block in blocks], 2)
        whole[layer] = (keys, values)
    return whole


def _together(placed: Sequence[_Placed], limits: Sequence[int]) -> list[list[_Placed]]:
    """Divide segments into batches of about one length."""
    batches: dict[int, list[_Placed]] = {}
    for entry in placed:
        alone = limits[-1] + 1 + entry.start
        limit = next((limit for limit in limits if len(entry) <= limit), alone)
        batches.setdefault(limit, []).append(entry)
    return list(batches.values())


def _batch(entries: Sequence[_Placed], offset: int) -> Batch:
    """Return the batch of segments; ``offset`` keys of short prefixes precede the pack's."""
    segments, width = len(entries), max(map(len, entries))
    most = max(len(entry.before) for entry in entries)
    queries = np.zeros((segments, width), dtype=np.int64)
    keys = np.zeros((segments, most + width), dtype=np.int64)
    mask = np.zeros((segments, width, most + width), dtype=np.bool_)
    query_positions, key_positions = np.zeros_like(queries), np.zeros_like(keys)
    for i, entry in enumerate(entries):
        segment, size, before = entry.segment, len(entry), len(entry.before)
        queries[i] = entry.start
        queries[i, :size] += np.arange(size)
        keys[i, most:] = queries[i] + offset
        keys[i, :before] = entry.before
        ahead = before - len(segment.before)  # the prefix, where it is gathered
        mask[i, :size, :ahead] = True
        mask[i, :size, ahead:before] = segment.mask[:, : before - ahead]
        mask[i, :size, most : most + size] = segment.mask[:, before - ahead :]
        query_positions[i, :size] = segment.positions
        key_positions[i, :before] = np.arange(before) + entry.position
        key_positions[i, most:] = query_positions[i]
    distances = query_positions[:, :, None] - key_positions[:, None, :]
    return Batch(
        Gather(torch.from_numpy(queries)),
        Gather(torch.from_numpy(keys)),
        torch.from_numpy(mask),
        torch.from_numpy(distances),
    )


def _slots(together: Sequence[Sequence[_Placed]], tokens: int) -> torch.Tensor:
    slots = torch.zeros(3, tokens, dtype=torch.int64)
    before = 0
    for entries in together:
        width = max(map(len, entries))
        for entry in entries:
            stop = entry.start + len(entry)
            slots[0, entry.start : stop] = before
            slots[1, entry.start : stop] = width
            slots[2, entry.start : stop] = torch.arange(len(entry))
            before += width
    return slots
