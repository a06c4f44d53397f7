"""Attention over packed branches: each token sees its stem and its own ancestors, and nothing else is computed.

Long stems and branches are attended to apart and joined by their log-sum-exps (as in Hydragen, Juravsky et al. 2024,
arXiv 2402.05099): a stem's keys and values are read once for all branches, unmasked and uncopied, and branches cost the
square of their chunk's length instead of the row's. Transformers calls `packed_attention` in every layer through
its attention interface, so any architecture that uses that interface is served.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, PreTrainedModel

from .layout import Batch, Pass, Stem
from .step import Step

NAME = "promptfront"
_WITHOUT_EFFECT = frozenset({"dropout", "position_ids", "use_cache", "is_causal", "cache_position"})
_FLASH_KEYS = 128
"""From so many keys on the blockwise kernel is faster on a CPU than plain products."""
_PASS: ContextVar[Pass | Step | None] = ContextVar("pass", default=None)


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
def running(row: Pass | Step) -> Iterator[None]:
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
    unknown = [
        name
        for name, asked in others.items()
        if name not in _WITHOUT_EFFECT and asked not in (None, False)
    ]
    if row is None or attention_mask is not None or unknown:
        raise NotImplementedError(f"packed attention with {', '.join(unknown) or 'a mask'}")
    rule = _Rule(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window, softcap)
    if isinstance(row, Step):
        output, weight = _own_token(row, module.layer_idx, query, key, value, rule)
    else:
        output, weight = _own_chunks(row, module.layer_idx, query, key, value, rule)
    for stem in row.stems:
        here = slice(stem.start, stem.stop)
        mask = _stem_mask(row, stem, sliding_window, query)
        seen, seen_weight = _attend(query[:, :, here], *stem.keys[module.layer_idx], mask, rule)
        share = torch.sigmoid(seen_weight[0].T.unsqueeze(-1) - weight[here]).to(output.dtype)
        output[here].lerp_(seen[0].transpose(0, 1), share)
    return output[None], None


class _Rule(NamedTuple):
    """How an architecture attends."""

    scale: float
    window: int | None
    softcap: float | None


def _own_chunks(
    row: Pass, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: _Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a pass's tokens find after their long stems, ``(tokens, heads, width)``, and its weights, ``(tokens, heads, 1)``."""
    if row.computed is not None:
        row.computed[layer] = (key, value)
    heads, kv_heads = query.shape[1], key.shape[1]
    queries, keys, values = _rows(query), _rows(key), _rows(value)
    if row.short:
        before = row.short[layer]
        keys, values = torch.cat([_rows(before[0]), keys]), torch.cat([_rows(before[1]), values])
    found = []
    for batch in row.batches:
        q, k, v = (
            batch.queries(queries, heads),
            batch.keys(keys, kv_heads),
            batch.keys(values, kv_heads),
        )
        found.append(_attend(q, k, v, _batch_mask(batch, rule.window, query), rule))
    output = row.in_order([own for own, _ in found], heads)
    return output, row.in_order(
        [own.unsqueeze(-1) for _, own in found], heads
    ) if row.stems else output


def _own_token(
    step: Step, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: _Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same of a step's tokens, one a row."""
    keys, values = step.append(layer, key, value)
    if rule.window not in step.masks:
        sees = step.sees(rule.window)
        step.masks[rule.window] = None if sees is None else _additive(sees, query)
    mask = step.masks[rule.window]
    mask = None if mask is None else mask.to(query.device)
    output, weight = _attend(query[0].transpose(0, 1).unsqueeze(2), keys, values, mask, rule)
    return output.squeeze(2), weight


def _rows(states: torch.Tensor) -> torch.Tensor:
    """Turn ``(1, heads, tokens, width)`` into ``(tokens * heads, width)``, the layout of the layers around attention."""
    return states[0].transpose(0, 1).reshape(-1, states.shape[-1])


def _batch_mask(batch: Batch, window: int | None, like: torch.Tensor) -> torch.Tensor:
    if window not in batch.masks:
        sees = batch.sees if window is None else batch.sees & (batch.distances < window)
        batch.masks[window] = _additive(sees, like)
    return batch.masks[window].to(like.device)


def _stem_mask(
    row: Pass | Step, stem: Stem, window: int | None, like: torch.Tensor
) -> torch.Tensor | None:
    positions = row.positions[stem.start : stem.stop]
    if not window or positions.max() < window:
        return None
    if window not in stem.masks:
        distances = positions[:, None] - torch.arange(stem.depth, device=positions.device)
        stem.masks[window] = _additive(distances[None] < window, like)
    return stem.masks[window].to(like.device)


def _additive(sees: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    # Not minus infinity: a token may see nothing of its stem through a window, and its weight must be 0, not NaN.
    mask = torch.zeros(sees.shape, dtype=like.dtype, device=like.device)
    return mask.masked_fill_(~sees.to(like.device), torch.finfo(like.dtype).min / 2).unsqueeze(1)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    rule: _Rule,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the output and, for each query, the log of the sum of its exponentiated scores.

    The shapes are ``(n, heads, queries, width)``, ``(n, key-value heads, keys, width)`` and, of the mask that is added
    to the scores, ``(n, 1, queries, keys)``.
    """
    # Queries of one group of heads lie one after the other: larger products, and keys and values need no copies.
    (chunks, heads, length, width), (kv_heads, keys) = query.shape, key.shape[1:3]
    grouped = query.reshape(chunks, kv_heads, -1, width)
    if (
        keys > _FLASH_KEYS
        and query.device.type == "cpu"
        and rule.softcap is None
        and width == value.shape[-1]
    ):
        mask = None if mask is None else mask.repeat(1, 1, heads // kv_heads, 1)
        output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            grouped, key, value, 0.0, False, attn_mask=mask, scale=rule.scale
        )
    else:
        scores = torch.matmul(grouped, key.transpose(-1, -2)).float().mul_(rule.scale)
        if rule.softcap is not None:
            scores = scores.div_(rule.softcap).tanh_().mul_(rule.softcap)
        if mask is not None:
            scores.view(chunks, kv_heads, -1, length, keys).add_(mask.unsqueeze(1))
        most = scores.amax(-1, keepdim=True)
        total = scores.sub_(most).exp_().sum(-1, keepdim=True)
        output = torch.matmul(scores.to(value.dtype), value).div_(total)
        weight = total.log_().add_(most)
    return output.reshape(chunks, heads, length, -1), weight.reshape(chunks, heads, length)


AttentionInterface.register(NAME, packed_attention)
