"""One context after the other through the model's own forward pass: slow, and always right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..logits import read
from ..logprobs import LogProbs, Wanted, chain

if TYPE_CHECKING:
    from ..tokenization import Encoded


class PlainEngine:
    """What the packed engine is checked against, and what serves the models it cannot.

    Parameters
    ----------
    model
        Any transformers causal language model.
    """

    description = "plain passes"

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._model = model
        self.max_batch_tokens = 1
        self.computed_tokens = 0
        """Tokens passed through the model so far."""

    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        return chain(requests, self.compute)

    @torch.inference_mode()
    def compute(self, wanted: Wanted) -> LogProbs:
        """Return the log-probabilities of the wanted next tokens after each context."""
        logprobs: LogProbs = {}
        for context, tokens in wanted.items():
            ids = torch.tensor([list(context)], device=self._model.device)
            logits = self._model(input_ids=ids, use_cache=False).logits[0, -1:]
            logprobs |= read(logits, [(context, tokens)])
            self.computed_tokens += len(context)
        return logprobs

    def forget(self) -> None:
        """Do nothing: nothing is kept."""
