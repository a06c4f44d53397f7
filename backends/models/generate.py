"""Replies: where they end, and those of models that only transformers itself can write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..quiet import quiet_transformers
from ..sampling import TOP_P
from .loading import known_tokens

if TYPE_CHECKING:
    from ..tokenization import Tokens

_TOGETHER = 16


class Ends:
    """Where replies end: with a token that ends a text or turn, or before a text.

    Parameters
    ----------
    model, tokenizer
        Of transformers.
    stop
        Texts of which none is in a reply: it ends before the first.
    """

    def __init__(self, model: Any, tokenizer: Any, stop: Sequence[str]) -> None:  # noqa: ANN401
        ends = getattr(model.generation_config, "eos_token_id", None)
        self.tokens = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {
            None
        }
        self.tokenizer, self.stop = tokenizer, list(stop)
        self._window = 4 + max(
            (len(text.encode()) for text in stop), default=0
        )  # A token is a byte at least.

    def __call__(self, reply: Sequence[int]) -> bool:
        """Return whether a reply ends with its last token."""
        if reply[-1] in self.tokens:
            return True
        return bool(self.stop) and self._before(last := self.text(reply[-self._window :])) != last

    def at_once(self, token: int) -> bool:
        """Return whether a token that follows a whole answer ends the reply there.

        Spaces before a text that ends it are no part of an answer.
        """
        said = self.text([token]).lstrip(" ")
        return token in self.tokens or any(said.startswith(end) for end in self.stop)

    def text(self, reply: Sequence[int]) -> str:
        """Return what tokens say, without those of control."""
        return str(self.tokenizer.decode(reply, skip_special_tokens=True))

    def whole(self, reply: Sequence[int]) -> str:
        """Return a reply's text, up to its end."""
        return self._before(self.text(reply))

    def _before(self, text: str) -> str:
        return text[: min((text.find(end) for end in self.stop if end in text), default=len(text))]


@torch.inference_mode()
def generate(
    model: Any,  # noqa: ANN401
    prompts: Sequence[Tokens],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    ends: Ends,
) -> list[list[int]]:
    """Return the tokens after each prompt, in padded batches; see `decode.write`."""
    replies: dict[int, list[int]] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": TOP_P}
        if temperature > 0
        else {"do_sample": False}
    )
    pad = _pad_token(model, ends)
    options = {"pad_token_id": pad, "eos_token_id": sorted(ends.tokens) or None, **sampling}
    with (
        torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []),
        quiet_transformers(),
    ):
        torch.manual_seed(seed)
        for start in range(0, len(order), _TOGETHER):
            batch = order[start : start + _TOGETHER]
            inputs = _padded(model, pad, [prompts[i] for i in batch])
            first = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
            # transformers' own stop strings are refused by tokenizers that cannot write them.
            done = [_done(ends, first)] if ends.stop else []
            output = model.generate(
                **inputs, max_new_tokens=max_tokens, stopping_criteria=done, **options
            )
            replies |= zip(batch, output[:, first:].tolist(), strict=True)
    return [_until_end(replies[i], ends) for i in range(len(prompts))]


def _pad_token(model: Any, ends: Ends) -> int:  # noqa: ANN401
    """Return a token that the model knows to pad with; what it says is not read."""
    known = known_tokens(model)
    for token in (ends.tokenizer.pad_token_id, *sorted(ends.tokens)):
        if token is not None and token < known:
            return int(token)
    return 0


def _done(ends: Ends, first: int) -> Callable[..., torch.Tensor]:
    """Return what tells transformers which rows have ended; replies begin at ``first``."""

    def done(rows: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:  # noqa: ANN401
        return torch.tensor([ends(row[first:]) for row in rows.tolist()], device=rows.device)

    return done


def _until_end(reply: list[int], ends: Ends) -> list[int]:
    length = next((i for i in range(1, len(reply) + 1) if ends(reply[:i])), len(reply))
    return reply[:length]


def _padded(
    model: Any,  # noqa: ANN401
    pad: int,
    prompts: Sequence[Tokens],
) -> dict[str, torch.Tensor]:
    """Return a batch, padded on the right for an encoder and on the left for a decoder."""
    width, side = max(map(len, prompts)), 1 if model.config.is_encoder_decoder else -1
    rows = [[*prompt[::side], *[pad] * (width - len(prompt))][::side] for prompt in prompts]
    seen = [[*[1] * len(prompt), *[0] * (width - len(prompt))][::side] for prompt in prompts]
    return {
        "input_ids": torch.tensor(rows, device=model.device),
        "attention_mask": torch.tensor(seen, device=model.device),
    }
