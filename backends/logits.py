"""From logits to log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import torch

from ..search.errors import BackendError
from .logprobs import LIKELIEST

Place = TypeVar("Place", bound=Hashable)


def read(
    logits: torch.Tensor, wanted: Sequence[tuple[Place, set[int]]]
) -> dict[Place, dict[int, float]]:
    """Return log-probabilities over the whole vocabulary, in float32, at the tokens asked for.

    Parameters
    ----------
    logits
        Shape ``(n, vocabulary)``.
    wanted
        ``n`` places with the tokens that are wanted there, or `LIKELIEST`.

    Raises
    ------
    BackendError
        If the model gave NaN.
    """
    pairs = [(i, token) for i, (_, tokens) in enumerate(wanted) for token in sorted(tokens)]
    rows, tokens = torch.tensor(pairs, device=logits.device).T
    dtype, logits = logits.dtype, logits.float()
    values = (logits[rows, tokens] - torch.logsumexp(logits, dim=-1)[rows]).tolist()
    if any(value != value for value in values):
        raise BackendError(
            f"the model gave NaN log-probabilities in {dtype}: "
            "run it in a wider dtype (`dtype` float32)"
        )
    logprobs: dict[Place, dict[int, float]] = {}
    for (i, token), value in zip(pairs, values, strict=True):
        logprobs.setdefault(wanted[i][0], {})[token] = value
    greedy = [i for i, (_, tokens) in enumerate(wanted) if LIKELIEST in tokens]
    if greedy:
        likeliest = logits[greedy].argmax(dim=-1).tolist()
        for i, token in zip(greedy, likeliest, strict=True):
            logprobs[wanted[i][0]][LIKELIEST] = token
    return logprobs


def output_head(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:  # noqa: ANN401
    """Return what turns a causal model's last hidden states into logits, scaled as it is meant."""
    config = model.config.get_text_config()
    cap = getattr(config, "final_logit_softcapping", None)
    scale = getattr(config, "logit_scale", None) or 1 / (
        getattr(config, "logits_scaling", None) or 1
    )

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = model.get_output_embeddings()(hidden)
        outputs = outputs if scale == 1 else outputs * scale
        return outputs if cap is None else cap * torch.tanh(outputs / cap)

    return logits
