"""The scoring engine for encoder-decoder models (T5, BART).

Each input is encoded once, answers branch in the decoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..logits import read
from .padding import batches, padded

if TYPE_CHECKING:
    from ..tokenization import Encoded, Tokens

_DECODED_TOGETHER = 64
"""Branches in one pass of the decoder."""
Place = tuple["Tokens", "Tokens"]
"""An input, and the beginning of an answer."""


class Seq2SeqEngine:
    """Gives the log-likelihood of an answer as what the decoder writes after reading the prompt.

    Parameters
    ----------
    model
        A transformers sequence-to-sequence language model.
    end
        What the tokenizer writes after an input.
    max_batch_tokens
        Encoder tokens in one pass, padding included.
    """

    description = "inputs encoded once, answers as branches of the decoder"

    def __init__(self, model: Any, end: Tokens, max_batch_tokens: int) -> None:  # noqa: ANN401
        self._model = model
        self._end = end
        self.max_batch_tokens = max_batch_tokens
        config = model.config
        forced = getattr(model.generation_config, "forced_bos_token_id", None)
        start = (
            config.decoder_start_token_id
            if config.decoder_start_token_id is not None
            else config.pad_token_id
        )
        self._start: Tokens = (start,) if forced is None else (start, forced)
        self.computed_tokens = 0
        """Encoder tokens passed through the model so far, padding included."""

    @torch.inference_mode()
    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        answers: dict[Tokens, set[Tokens]] = {}
        for request in requests:
            answers.setdefault(request.prompt + self._end, set()).update(request.continuations)
        logprobs: dict[Place, dict[int, float]] = {}
        for inputs in batches(answers, self.max_batch_tokens):
            logprobs |= self._score(inputs, answers)
        return [
            tuple(
                sum(logprobs[request.prompt + self._end, c[:i]][token] for i, token in enumerate(c))
                for c in request.continuations
            )
            for request in requests
        ]

    def forget(self) -> None:
        """Do nothing: nothing is kept."""

    def _score(
        self, inputs: Sequence[Tokens], answers: dict[Tokens, set[Tokens]]
    ) -> dict[Place, dict[int, float]]:
        device = self._model.device
        ids, mask = padded(inputs, 0, device)
        states = self._model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        self.computed_tokens += ids.numel()
        branches = [
            (i, branch) for i, text in enumerate(inputs) for branch in _branches(answers[text])
        ]
        logprobs: dict[Place, dict[int, float]] = {}
        for first in range(0, len(branches), _DECODED_TOGETHER):
            some = branches[first : first + _DECODED_TOGETHER]
            of = torch.tensor([i for i, _ in some], device=device)
            decoded, _ = padded([self._start + branch for _, branch in some], 0, device)
            logits = self._model(
                encoder_outputs=(states[of],),
                attention_mask=mask[of],
                decoder_input_ids=decoded,
                use_cache=False,
            ).logits
            cells: list[tuple[int, int]] = []
            wanted: list[tuple[Place, set[int]]] = []
            for row, (i, branch) in enumerate(some):
                for end in range(len(branch) + 1):
                    cells.append((row, len(self._start) - 1 + end))
                    place = (inputs[i], branch[:end])
                    wanted.append((place, _next_tokens(answers[inputs[i]], branch[:end])))
            rows, columns = torch.tensor(cells, device=device).T
            logprobs |= read(logits[rows, columns], wanted)
        return logprobs


def _next_tokens(answers: set[Tokens], begun: Tokens) -> set[int]:
    """Return what the answers go on with that begin so."""
    end = len(begun)
    return {answer[end] for answer in answers if answer[:end] == begun and end < len(answer)}


def _branches(answers: set[Tokens]) -> Iterator[Tokens]:
    """Yield what the decoder must read to score all answers: all but their last tokens."""
    contexts = sorted({answer[:-1] for answer in answers})
    for context, after in zip(contexts, [*contexts[1:], None], strict=True):
        if after is None or after[: len(context)] != context:
            yield context
