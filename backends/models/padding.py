"""Padded batches for models that read an input whole, where beginnings cannot be shared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from ..tokenization import Tokens


def batches(inputs: Iterable[Tokens], max_tokens: int) -> Iterator[list[Tokens]]:
    """Yield the inputs by length, as many at once as fit into ``max_tokens`` with padding."""
    batch: list[Tokens] = []
    for tokens in sorted(inputs, key=lambda tokens: (len(tokens), tokens)):
        if batch and (len(batch) + 1) * len(tokens) > max_tokens:
            yield batch
            batch = []
        batch.append(tokens)
    if batch:
        yield batch


def padded(
    inputs: Sequence[Tokens], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and attention mask of shape ``(n, longest)``, padded on the right."""
    width = max(map(len, inputs))
    ids = torch.tensor(
        [[*tokens, *[pad] * (width - len(tokens))] for tokens in inputs], device=device
    )
    mask = torch.tensor(
        [[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in inputs], device=device
    )
    return ids, mask
