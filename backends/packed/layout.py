"""How a row lies in memory while the model runs over it: what attends to what, in as few matrix products as possible.

Chunks of about one size are attended to in one batched product: their queries and keys are gathered, each chunk
padded to the longest. Padding costs there only, in attention; the linear layers never see it. A short stem is gathered
before each of its chunks, which is cheaper than a product of its own; a long stem is left in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from .trie import Chunk, Row

KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, of shape ``(1, heads, tokens, width)``."""
SHORT_STEM = 32
_TOGETHER = {"cpu": (32, 64, 128), "cuda": (32, 64, 128, 256, 512)}
"""Chunks up to each length share a product; longer ones have one each. On a GPU few products matter more than little padding."""


@dataclass(slots=True)
class Gather:
    """Which rows of a ``(tokens * heads, width)`` matrix make up a batch: ``tokens`` has shape ``(chunks, n)``."""

    tokens: torch.Tensor
    rows: dict[tuple[int, torch.device], torch.Tensor] = field(default_factory=dict)

    def __call__(self, matrix: torch.Tensor, heads: int) -> torch.Tensor:
        """Return shape ``(chunks, heads, n, width)``."""
        key = (heads, matrix.device)
        if key not in self.rows:
            self.rows[key] = (
                (self.tokens[:, None] * heads + torch.arange(heads)[:, None])
                .flatten()
                .to(matrix.device)
            )
        chunks, length = self.tokens.shape
        return matrix.index_select(0, self.rows[key]).view(chunks, heads, length, -1)


@dataclass(slots=True)
class Batch:
    """Chunks whose attention is one batched product.

    Parameters
    ----------
    queries
        Of shape ``(chunks, width)``: tokens of the row; padding repeats the chunk's first.
    keys
        Of shape ``(chunks, m + width)``: entries of the pass's short stems with the row after them; what lies before
        a chunk comes first.
    sees
        Shape ``(chunks, width, m + width)``: whether a query sees a key.
    distances
        Shape as of ``sees``: how far back the key lies.
    """

    queries: Gather
    keys: Gather
    sees: torch.Tensor
    distances: torch.Tensor
    masks: dict[int | None, torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Stem:
    """A long stem, continued by the row's tokens from ``start`` to ``stop``."""

    keys: KeyValues
    depth: int
    start: int
    stop: int
    masks: dict[int, torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Pass:
    """One pass of the model over a row.

    Parameters
    ----------
    tokens, positions
        Shape ``(tokens,)``; positions count from the sequence's start.
    batches, stems
        What is attended to.
    short
        Keys and values of the short stems, one after the other.
    places
        Shape ``(3, tokens)``: of each token, the slots in the batches before its chunk, the slots of its chunk, and its
        own among these.
    computed
        Receives the keys and values of the row's tokens where they are wanted.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    batches: list[Batch]
    stems: list[Stem]
    short: KeyValues
    places: torch.Tensor
    computed: KeyValues | None = None
    rows: dict[tuple[int, torch.device], torch.Tensor] = field(default_factory=dict)

    def in_order(self, slots: Sequence[torch.Tensor], heads: int) -> torch.Tensor:
        """Return what the batches found, each ``(chunks, heads, width, n)``, as ``(tokens, heads, n)``."""
        key = (heads, slots[0].device)
        if key not in self.rows:
            before, size, own = self.places[:, :, None]
            self.rows[key] = (
                (before * heads + torch.arange(heads) * size + own).flatten().to(slots[0].device)
            )
        found = [batch.reshape(-1, batch.shape[-1]) for batch in slots]
        matrix = found[0] if len(found) == 1 else torch.cat(found)
        return matrix.index_select(0, self.rows[key]).view(len(self.tokens), heads, -1)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A chunk, where it starts in the row, and the keys it sees before its own: which, and the first one's position."""

    chunk: Chunk
    start: int
    before: list[int]
    position: int

    def __len__(self) -> int:
        return len(self.chunk.tokens)


def lay_out(row: Row, stems: Sequence[KeyValues], device: torch.device) -> Pass:
    """Return the pass that computes a row, given the keys and values of its parts' stems."""
    depths = [sum(map(len, part.stem)) for part in row]
    offset = sum(depth for depth in depths if depth <= SHORT_STEM)
    placed: list[_Placed] = []
    long: list[Stem] = []
    start = stems_before = 0
    for part, keys, depth in zip(row, stems, depths, strict=True):
        first = start
        stem = list(range(stems_before, stems_before + depth)) if depth <= SHORT_STEM else []
        for chunk in part.chunks:
            before = stem + [offset + first + token for token in chunk.before]
            placed.append(_Placed(chunk, start, before, depth - len(stem)))
            start += len(chunk.tokens)
        stems_before += len(stem)
        if depth > SHORT_STEM:
            long.append(Stem(keys, depth, first, start))
    tokens = [token for entry in placed for token in entry.chunk.tokens]
    positions = [position for entry in placed for position in entry.chunk.positions]
    together = _together(placed, _TOGETHER.get(device.type, _TOGETHER["cuda"]))
    return Pass(
        torch.tensor(tokens, device=device),
        torch.tensor(positions, device=device),
        [_batch(entries, offset) for entries in together],
        long,
        joined(
            [keys for keys, depth in zip(stems, depths, strict=True) if 0 < depth <= SHORT_STEM]
        ),
        _places(together, start),
    )


def joined(parts: Sequence[KeyValues]) -> KeyValues:
    """Return keys and values one after the other."""
    if len(parts) < 2:
        return parts[0] if parts else {}
    return {
        layer: (
            torch.cat([p[layer][0] for p in parts], 2),
            torch.cat([p[layer][1] for p in parts], 2),
        )
        for layer in parts[0]
    }


def _together(placed: Sequence[_Placed], limits: Sequence[int]) -> list[list[_Placed]]:
    """Divide chunks into batches of about one length."""
    batches: dict[int, list[_Placed]] = {}
    for entry in placed:
        limit = next((limit for limit in limits if len(entry) <= limit), None)
        batches.setdefault(limits[-1] + 1 + entry.start if limit is None else limit, []).append(
            entry
        )
    return list(batches.values())


def _batch(entries: Sequence[_Placed], offset: int) -> Batch:
    chunks, width, most = (
        len(entries),
        max(map(len, entries)),
        max(len(entry.before) for entry in entries),
    )
    queries = np.zeros((chunks, width), dtype=np.int64)
    keys = np.zeros((chunks, most + width), dtype=np.int64)
    sees = np.zeros((chunks, width, most + width), dtype=np.bool_)
    query_at, key_at = np.zeros_like(queries), np.zeros_like(keys)
    for i, entry in enumerate(entries):
        size, before = len(entry), len(entry.before)
        queries[i] = entry.start
        queries[i, :size] += np.arange(size)
        keys[i, most:] = queries[i] + offset
        keys[i, :before] = entry.before
        ahead = before - len(entry.chunk.before)
        sees[i, :size, :ahead] = True
        sees[i, :size, ahead:before] = entry.chunk.sees[:, : before - ahead]
        sees[i, :size, most : most + size] = entry.chunk.sees[:, before - ahead :]
        query_at[i, :size] = entry.chunk.positions
        key_at[i, :before] = np.arange(before) + entry.position
        key_at[i, most:] = query_at[i]
    distances = torch.from_numpy(query_at[:, :, None] - key_at[:, None, :])
    return Batch(
        Gather(torch.from_numpy(queries)),
        Gather(torch.from_numpy(keys)),
        torch.from_numpy(sees),
        distances,
    )


def _places(together: Sequence[Sequence[_Placed]], tokens: int) -> torch.Tensor:
    places = torch.zeros(3, tokens, dtype=torch.int64)
    before = 0
    for entries in together:
        width = max(map(len, entries))
        for entry in entries:
            stop = entry.start + len(entry)
            places[0, entry.start : stop] = before
            places[1, entry.start : stop] = width
            places[2, entry.start : stop] = torch.arange(len(entry))
            before += width
    return places
