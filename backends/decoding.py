"""Attention while replies are written: one token a row, against a cache that is not copied.

Models whose heads share keys and values (grouped-query attention) have them repeated for every head by transformers where there is
a mask, the whole cache in every step. Here the heads of a group are queries of one head instead: the same products, and no copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "promptfront-decoding"


@contextmanager
def decoding(model: Any) -> Iterator[None]:  # noqa: ANN401 (transformers publishes no types)
    """Let the layers of a model with torch's attention attend by `decoding_attention` for a while."""
    before = model.config._attn_implementation
    # Models that do not attend through transformers' interface would not know the name.
    if (
        before == "sdpa"
        and getattr(model, "_supports_attention_backend", False)
        and not model.config.is_encoder_decoder
    ):
        model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        if model.config._attn_implementation == NAME:
            model.set_attn_implementation(before)


def decoding_attention(
    module: Any,  # noqa: ANN401
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **others: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, None]:
    """Attend as transformers does with torch's kernels.

    Parameters
    ----------
    module
        The layer's attention module.
    query, key, value
        Shape ``(rows, heads, tokens, width)``; keys and values may have fewer heads.
    attention_mask
        Who sees whom, ``(rows, 1, queries, keys)``.
    scaling, others
        As the architecture has them.

    Returns
    -------
    output
        Shape ``(rows, tokens, heads, width)``.
    """
    rows, heads, tokens, _ = query.shape
    each = heads // key.shape[1]
    plain = attention_mask is None or attention_mask.shape[1] == 1
    if tokens > 1 or each == 1 or not plain or others.get("position_bias") is not None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return found
    mask = None if attention_mask is None else attention_mask.expand(-1, -1, each, -1)
    grouped = query.reshape(rows, key.shape[1], each, -1)
    output = torch.nn.functional.scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=scaling)
    return output.reshape(rows, heads, 1, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, decoding_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
