"""Attention over packed branches: each token sees its stem and its own ancestors, and nothing else is computed.

The two are attended to apart and joined by their log-sum-exps (as in Hydragen, Juravsky et al. 2024, arXiv
2402.05099): a stem's keys and values are read once for all branches, unmasked and uncopied, and a chunk of branches
costs the square of its own length instead of the row's. Transformers calls `packed_attention` in every layer through
its attention interface, so any architecture that uses that interface is served.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface, PreTrainedModel

KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, of shape ``(1, heads, tokens, width)``."""
NAME = "promptfront"
_WITHOUT_EFFECT = frozenset({"dropout", "position_ids", "use_cache", "is_causal", "cache_position"})


@dataclass(slots=True)
class PackedChunk:
    """Tokens ``start`` to ``stop`` of a row and which of them see which: ``sees`` has shape ``(n, n)``."""

    start: int
    stop: int
    sees: torch.Tensor
    masks: dict[tuple[int | None, torch.device], torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class PackedPart:
    """Chunks that lie side by side and continue the same stem, whose keys and values are ``stem``."""

    stem: KeyValues
    depth: int
    chunks: list[PackedChunk]
    masks: dict[tuple[int, torch.device], torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Pass:
    """One pass over a row; ``computed`` receives the keys and values of its tokens where they are wanted."""

    positions: torch.Tensor
    parts: list[PackedPart]
    computed: KeyValues | None = None


_PASS: ContextVar[Pass | None] = ContextVar("pass", default=None)


@contextmanager
def packed(model: PreTrainedModel) -> Iterator[None]:
    """Let a model's layers attend by `packed_attention` for a while."""
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def running(row: Pass) -> Iterator[None]:
    """Make ``row`` what `packed_attention` computes."""
    token = _PASS.set(row)
    try:
        yield
    finally:
        _PASS.reset(token)


def packed_attention(
    module: Any,  # noqa: ANN401 (transformers publishes no type)
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, None]:
    """Attend over the row of the running pass.

    Parameters
    ----------
    module
        The layer's attention module.
    query, key, value
        Shape ``(1, heads, tokens, width)``; keys and values may have fewer heads (grouped-query attention).
    attention_mask
        Not used: the pass says who sees whom.
    scaling, sliding_window, softcap
        As the architecture has them.

    Returns
    -------
    output
        Shape ``(1, tokens, heads, width)``.

    Raises
    ------
    NotImplementedError
        If the architecture asks for something else, such as attention sinks.
    """
    row = _PASS.get()
    unknown = [name for name, asked in others.items() if name not in _WITHOUT_EFFECT and asked not in (None, False)]
    if row is None or attention_mask is not None or unknown:
        raise NotImplementedError(f"packed attention with {', '.join(unknown) or 'a mask'}")
    if row.computed is not None:
        row.computed[module.layer_idx] = (key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    output = torch.empty(query.shape[:-1] + value.shape[-1:], dtype=query.dtype, device=query.device)
    for part in row.parts:
        window = sliding_window if sliding_window and _reaches(row, part, sliding_window) else None
        if part.stem:
            start, stop = part.chunks[0].start, part.chunks[-1].stop
            mask = None if window is None else _stem_mask(row, part, window, query)
            keys, values = part.stem[module.layer_idx]
            seen, weight = _attend(query[:, :, start:stop], keys, values, mask, scale, softcap)
        for chunk in part.chunks:
            here = slice(chunk.start, chunk.stop)
            mask = _chunk_mask(row, chunk, window, query)
            found, own = _attend(query[:, :, here], key[:, :, here], value[:, :, here], mask, scale, softcap)
            if part.stem:
                there = slice(chunk.start - start, chunk.stop - start)
                share = torch.sigmoid(weight[:, :, there] - own).unsqueeze(-1).to(found.dtype)
                torch.lerp(found, seen[:, :, there], share, out=found)
            output[:, :, here] = found
    return output.transpose(1, 2), None


def _reaches(row: Pass, part: PackedPart, window: int) -> bool:
    """Whether some token of the part is further than ``window`` from the sequence's start."""
    return bool(row.positions[part.chunks[0].start : part.chunks[-1].stop].max() >= window)


def _chunk_mask(row: Pass, chunk: PackedChunk, window: int | None, like: torch.Tensor) -> torch.Tensor:
    key = (window, like.device)
    if key not in chunk.masks:
        sees = chunk.sees
        if window is not None:
            positions = row.positions[chunk.start : chunk.stop]
            sees = sees & (positions[:, None] - positions[None, :] < window)
        chunk.masks[key] = _additive(sees, like)
    return chunk.masks[key]


def _stem_mask(row: Pass, part: PackedPart, window: int, like: torch.Tensor) -> torch.Tensor:
    key = (window, like.device)
    if key not in part.masks:
        positions = row.positions[part.chunks[0].start : part.chunks[-1].stop]
        stem = torch.arange(part.depth, device=positions.device)
        part.masks[key] = _additive(positions[:, None] - stem[None, :] < window, like)
    return part.masks[key]


def _additive(sees: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    # Not minus infinity: a token may see nothing of its stem through a window, and its weight must be 0, not NaN.
    mask = torch.zeros(sees.shape, dtype=like.dtype, device=like.device)
    return mask.masked_fill_(~sees.to(like.device), torch.finfo(like.dtype).min / 2)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the output and, for each query, the log of the sum of its exponentiated scores."""
    if query.device.type == "cpu" and softcap is None and query.shape[-1] == value.shape[-1]:
        output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, False, attn_mask=mask, scale=scale
        )
        return output, weight
    # Queries of one group of heads lie one after the other, so that keys and values need no copies.
    groups, shape = query.shape[1] // key.shape[1], query.shape
    grouped = query.reshape(1, key.shape[1], groups * shape[2], shape[3])
    scores = torch.matmul(grouped, key.transpose(-1, -2)).float() * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask.repeat(groups, 1)
    weight = torch.logsumexp(scores, dim=-1)
    output = torch.matmul(torch.exp(scores - weight.unsqueeze(-1)).to(value.dtype), value)
    return output.reshape(*shape[:3], value.shape[-1]), weight.reshape(shape[:3])


AttentionInterface.register(NAME, packed_attention)
