"""Batched generation by transformers; what the prompts of a batch share is computed once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .loading import quiet_transformers
from .trie import common_length

if TYPE_CHECKING:
    from .tokenization import Tokens

_TOGETHER = 16
_MIN_SHARED = 32


def generate(
    model: Any,  # noqa: ANN401 (transformers publishes no types)
    tokenizer: Any,  # noqa: ANN401
    prompts: Sequence[Tokens],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
) -> list[str]:
    """Return one completion per prompt.

    Parameters
    ----------
    model, tokenizer
        Of transformers.
    prompts
        What the model reads, without padding.
    max_tokens
        Tokens of a completion, at most.
    temperature
        0 takes the most likely token each time; else one is sampled from the likeliest 95 %.
    seed
        Of the sampling; the global generator is left as it was.
    """
    replies: list[str] = []
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": 0.95} if temperature > 0 else {"do_sample": False}
    )
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(prompts), _TOGETHER):
            inputs = _inputs(model, tokenizer, prompts[start : start + _TOGETHER])
            with quiet_transformers():
                output = model.generate(
                    **inputs,
                    max_new_tokens=max_tokens,
                    pad_token_id=_pad(tokenizer),
                    eos_token_id=tokenizer.eos_token_id,
                    **sampling,
                )
            first = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
            replies += [str(text) for text in tokenizer.batch_decode(output[:, first:], skip_special_tokens=True)]
    return replies


def _inputs(model: Any, tokenizer: Any, prompts: Sequence[Tokens]) -> dict[str, Any]:  # noqa: ANN401
    """Return a padded batch: on the right for an encoder; for a decoder after what is shared and before the rest.

    A decoder's completions so begin where their prompts end.
    """
    width = max(map(len, prompts))
    decoder = not model.config.is_encoder_decoder
    shared = min(common_length(min(prompts), max(prompts)), min(map(len, prompts)) - 1) if decoder else 0
    shared = shared if shared >= _MIN_SHARED and len(prompts) > 1 else 0
    ids, mask = [], []
    for prompt in prompts:
        gap = width - len(prompt)
        cut = shared if decoder else len(prompt)
        ids.append([*prompt[:cut], *[_pad(tokenizer)] * gap, *prompt[cut:]])
        mask.append([*[1] * cut, *[0] * gap, *[1] * (len(prompt) - cut)])
    inputs: dict[str, Any] = {
        "input_ids": torch.tensor(ids, device=model.device),
        "attention_mask": torch.tensor(mask, device=model.device),
    }
    if shared:
        cache = model(input_ids=inputs["input_ids"][:1, :shared], use_cache=True, logits_to_keep=1).past_key_values
        inputs["past_key_values"] = copy.deepcopy(cache)
        inputs["past_key_values"].batch_repeat_interleave(len(prompts))
    return inputs


def _pad(tokenizer: Any) -> int:  # noqa: ANN401
    return int(next((t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id) if t is not None), 0))
