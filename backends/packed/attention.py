"""Attention over a pack: each token sees its prefix and its own ancestors, and nothing else.

Prefixes and segments are attended to apart and joined by their log-sum-exps (as in Hydragen,
Juravsky et al. 2024, arXiv 2402.05099): a prefix's keys and values are read once for all that
follows, unmasked and uncopied, and a segment costs the square of its own length instead of the
pack's. Transformers calls `packed_attention` in every layer through its attention interface, so any
architecture that uses that interface is served.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, PreTrainedModel

from .layout import Batch, Pass, SharedPrefix
from .step import Step

NAME = "promptfront"
_WITHOUT_EFFECT = frozenset({"dropout", "position_ids", "use_cache", "is_causal", "cache_position"})
_FLASH_KEYS = 128
"""From so many keys on the blockwise kernel is faster on a CPU than plain products."""
_RUNNING: ContextVar[Pass | Step | None] = ContextVar("running", default=None)


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
def running(run: Pass | Step) -> Iterator[None]:
    """Make ``run`` what `packed_attention` computes."""
    token = _RUNNING.set(run)
    try:
        yield
    finally:
        _RUNNING.reset(token)


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
    """Attend over what is running.

    Parameters
    ----------
    module
        The layer's attention module.
    query, key, value
        Shape ``(1, heads, tokens, width)``; keys and values may have fewer heads (grouped-query
        attention).
    attention_mask
        Not used: what is running says who sees whom.
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
    run = _RUNNING.get()
    unknown = [
        name
        for name, asked in others.items()
        if name not in _WITHOUT_EFFECT and asked not in (None, False)
    ]
    if run is None or attention_mask is not None or unknown:
        raise NotImplementedError(f"packed attention with {', '.join(unknown) or 'a mask'}")
    rule = _Rule(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window, softcap)
    layer = module.layer_idx
    if isinstance(run, Step):
        output, weight = _own_branches(run, layer, query, key, value, rule)
    else:
        output, weight = _own_segments(run, layer, query, key, value, rule)
    for prefix in run.shared:
        here = slice(prefix.start, prefix.stop)
        mask = _prefix_mask(run, prefix, sliding_window, query)
        keys, values = prefix.keys[layer]
        seen, seen_weight = _attend(query[:, :, here], keys, values, mask, rule)
        share = torch.sigmoid(seen_weight[0].T.unsqueeze(-1) - weight[here]).to(output.dtype)
        output[here].lerp_(seen[0].transpose(0, 1), share)
    return output[None], None


class _Rule(NamedTuple):
    """How an architecture attends."""

    scale: float
    window: int | None
    softcap: float | None


def _own_segments(
    run: Pass, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: _Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a pass's tokens see after their prefixes, and with which weight.

    The shapes are ``(tokens, heads, width)`` and ``(tokens, heads, 1)``.
    """
    if run.computed is not None:
        run.computed[layer] = (key, value)
    heads, kv_heads = query.shape[1], key.shape[1]
    queries, keys, values = _rows(query), _rows(key), _rows(value)
    if run.short:
        short_keys, short_values = run.short[layer]
        keys = torch.cat([_rows(short_keys), keys])
        values = torch.cat([_rows(short_values), values])
    outputs, weights = [], []
    for batch in run.batches:
        output, weight = _attend(
            batch.queries(queries, heads),
            batch.keys(keys, kv_heads),
            batch.keys(values, kv_heads),
            _batch_mask(batch, rule.window, query),
            rule,
        )
        outputs.append(output)
        weights.append(weight.unsqueeze(-1))
    output = run.in_order(outputs, heads)
    # Weights are only for joining prefixes.
    return output, run.in_order(weights, heads) if run.shared else output


def _own_branches(
    step: Step, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rule: _Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same of a step's tokens, one a text."""
    keys, values = step.append(layer, key, value)
    if rule.window not in step.additive:
        visible = step.mask(rule.window)
        step.additive[rule.window] = None if visible is None else _additive(visible, query)
    mask = step.additive[rule.window]
    mask = None if mask is None else mask.to(query.device)
    output, weight = _attend(query[0].transpose(0, 1).unsqueeze(2), keys, values, mask, rule)
    return output.squeeze(2), weight


def _rows(states: torch.Tensor) -> torch.Tensor:
    """Turn ``(1, heads, tokens, width)`` into ``(tokens * heads, width)``.

    That is the layout of the layers around attention: no copy.
    """
    return states[0].transpose(0, 1).reshape(-1, states.shape[-1])


def _batch_mask(batch: Batch, window: int | None, like: torch.Tensor) -> torch.Tensor:
    if window not in batch.additive:
        visible = batch.mask if window is None else batch.mask & (batch.distances < window)
        batch.additive[window] = _additive(visible, like)
    return batch.additive[window].to(like.device)


def _prefix_mask(
    run: Pass | Step, prefix: SharedPrefix, window: int | None, like: torch.Tensor
) -> torch.Tensor | None:
    positions = run.positions[prefix.start : prefix.stop]
    if not window or positions.max() < window:
        return None
    if window not in prefix.additive:
        distances = positions[:, None] - torch.arange(prefix.depth, device=positions.device)
        prefix.additive[window] = _additive(distances[None] < window, like)
    return prefix.additive[window].to(like.device)


def _additive(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return what is added to scores so that only what the mask lets through counts."""
    added = torch.zeros(mask.shape, dtype=like.dtype, device=like.device)
    # Not minus infinity: through a window a token may see nothing of its prefix, and its weight
    # must
    # be 0, not NaN.
    least = torch.finfo(like.dtype).min / 2
    return added.masked_fill_(~mask.to(like.device), least).unsqueeze(1)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    rule: _Rule,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the output and, for each query, the log of the sum of its exponentiated scores.

    The shapes are ``(n, heads, queries, width)``, ``(n, key-value heads, keys, width)`` and, of the
    mask that is added to the scores, ``(n, 1, queries, keys)``.
    """
    (n, heads, length, width), (kv_heads, keys) = query.shape, key.shape[1:3]
    # Queries of one group of heads lie one after the other: larger products, and keys and values
    # need no copies.
    grouped = query.reshape(n, kv_heads, -1, width)
    blockwise = (
        keys > _FLASH_KEYS
        and query.device.type == "cpu"
        and rule.softcap is None
        and width == value.shape[-1]
    )
    if blockwise:
        mask = None if mask is None else mask.repeat(1, 1, heads // kv_heads, 1)
        output, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            grouped, key, value, 0.0, False, attn_mask=mask, scale=rule.scale
        )
    else:
        output, weight = _by_products(grouped, key, value, mask, rule, length)
    return output.reshape(n, heads, length, -1), weight.reshape(n, heads, length)


def _by_products(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    rule: _Rule,
    length: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attend by plain products; a group of heads has ``length`` queries of each head."""
    scores = torch.matmul(query, key.transpose(-1, -2)).float().mul_(rule.scale)
    if rule.softcap is not None:
        scores = scores.div_(rule.softcap).tanh_().mul_(rule.softcap)
    if mask is not None:
        n, kv_heads, _, keys = scores.shape
        scores.view(n, kv_heads, -1, length, keys).add_(mask.unsqueeze(1))
    most = scores.amax(-1, keepdim=True)
    total = scores.sub_(most).exp_().sum(-1, keepdim=True)
    output = torch.matmul(scores.to(value.dtype), value).div_(total)
    return output, total.log_().add_(most)


AttentionInterface.register(NAME, packed_attention)
