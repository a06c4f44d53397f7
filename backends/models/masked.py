"""The scoring engine for masked models (BERT, RoBERTa): answers are read at mask positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..logits import read
from .padding import batches, padded

if TYPE_CHECKING:
    from ..tokenization import Encoded, Tokens

Place = tuple["Tokens", int]
"""An input, and the position of the mask that is read."""


class MaskedEngine:
    """Gives the pseudo-log-likelihood of an answer (Salazar et al. 2020, arXiv 1910.14659).

    An answer of one token is the log-probability of that token at a mask after the prompt. One of
    several tokens is the sum over its tokens of the log-probability of each at a mask, the others
    being shown. The end of the text follows the answer, so each is read as a whole one: none is the
    beginning of another ("1" and "10").

    Parameters
    ----------
    model
        A transformers masked language model.
    mask
        The mask token.
    pad
        The padding token: RoBERTa counts positions by it.
    end
        What the tokenizer writes after an input.
    max_batch_tokens
        Tokens in one pass, padding included.
    """

    description = "pseudo-log-likelihoods at mask positions"

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        mask: int,
        pad: int,
        end: Tokens,
        max_batch_tokens: int,
    ) -> None:
        self._model = model
        self._mask = mask
        self._pad = pad
        self._end = end
        self.max_batch_tokens = max_batch_tokens
        self.computed_tokens = 0
        """Tokens passed through the model so far, padding included."""

    @torch.inference_mode()
    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return the pseudo-log-likelihood of each continuation of each request."""
        wanted: dict[Place, set[int]] = {}
        for request in requests:
            for continuation in request.continuations:
                for i, token in enumerate(continuation):
                    wanted.setdefault(self._place(request.prompt, continuation, i), set()).add(
                        token
                    )
        logprobs: dict[Place, dict[int, float]] = {}
        masks: dict[Tokens, list[Place]] = {}
        for place in wanted:
            masks.setdefault(place[0], []).append(place)
        for inputs in batches(masks, self.max_batch_tokens):
            ids, mask = padded(inputs, self._pad, self._model.device)
            logits = self._model(input_ids=ids, attention_mask=mask).logits
            self.computed_tokens += ids.numel()
            places = [(row, place) for row, tokens in enumerate(inputs) for place in masks[tokens]]
            rows, columns = torch.tensor(
                [(row, place[1]) for row, place in places], device=ids.device
            ).T
            logprobs |= read(logits[rows, columns], [(place, wanted[place]) for _, place in places])
        return [
            tuple(
                sum(logprobs[self._place(request.prompt, c, i)][token] for i, token in enumerate(c))
                for c in request.continuations
            )
            for request in requests
        ]

    def forget(self) -> None:
        """Do nothing: nothing is kept."""

    def _place(self, prompt: Tokens, continuation: Tokens, i: int) -> Place:
        shown = (*continuation[:i], self._mask, *continuation[i + 1 :])
        return (*prompt, *shown, *self._end), len(prompt) + i
