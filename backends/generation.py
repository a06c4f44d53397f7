"""Batched generation by transformers: what the prompts of a batch share is computed once, and what has ended leaves the batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from .loading import quiet_transformers
from .trie import common_length

if TYPE_CHECKING:
    from .tokenization import Tokens

_ON_CPU, _ON_GPU = 16, 128
"""Completions at once: on a GPU a step takes its launches, not its rows."""
_MEMORY_SHARE = 0.25
_AT_ONCE = 16
"""Tokens after which completions that have ended leave the batch."""
_MIN_SHARED = 32


def generate(
    model: Any,  # noqa: ANN401 (transformers publishes no types)
    tokenizer: Any,  # noqa: ANN401
    prompts: Sequence[Tokens],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    stop: Sequence[str] = (),
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
    stop
        Texts of which none is in a completion: it ends before the first.
    """
    replies: dict[int, str] = {}
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # the less is padded
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": 0.95} if temperature > 0 else {"do_sample": False}
    )
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(seed)
        together = _together(model, max(map(len, prompts), default=0) + max_tokens)
        for start in range(0, len(prompts), together):
            batch = order[start : start + together]
            inputs = _inputs(model, tokenizer, [prompts[i] for i in batch])
            with quiet_transformers():
                found = _complete(model, tokenizer, inputs, max_tokens, sampling, stop)
            replies |= zip(batch, found, strict=True)
    return [replies[i] for i in range(len(prompts))]


def _together(model: Any, width: int) -> int:  # noqa: ANN401
    """Return how many completions of ``width`` tokens are written at once: those whose cache takes a share of a GPU's free memory."""
    if model.device.type != "cuda":
        return _ON_CPU
    config = model.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 16))
    kept = int(getattr(config, "num_key_value_heads", None) or heads)
    size = torch.finfo(model.dtype).bits // 8 * int(getattr(config, "hidden_size", 1024)) * kept // heads
    cache = 2 * size * int(getattr(config, "num_hidden_layers", 24)) * width
    fitting = int(_MEMORY_SHARE * torch.cuda.mem_get_info(model.device)[0] // cache)
    return max(1, min(_ON_GPU, fitting))


def _complete(
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    inputs: dict[str, Any],
    max_tokens: int,
    sampling: dict[str, Any],
    stop: Sequence[str],
) -> list[str]:
    """Return the completions of a batch."""
    decoder = not model.config.is_encoder_decoder
    first = inputs["input_ids"].shape[1] if decoder else 1
    going, left = list(range(len(inputs["input_ids"]))), max_tokens
    replies = [""] * len(going)
    while going:
        some = min(_AT_ONCE, left) if decoder else left
        left -= some
        output = model.generate(
            **inputs,
            max_new_tokens=some,
            pad_token_id=_pad(tokenizer),
            eos_token_id=tokenizer.eos_token_id,
            stopping_criteria=StoppingCriteriaList([_Stop(tokenizer, first, stop)] if stop else []),
            return_dict_in_generate=True,
            **sampling,
        )
        written = output.sequences[:, first:]
        for row, text in zip(going, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True):
            replies[row] = text
        ends = [tokenizer.eos_token_id in row for row in written.tolist()]
        kept = [
            i for i, row in enumerate(going) if left and not ends[i] and _before(replies[row], stop) == replies[row]
        ]
        going = [going[i] for i in kept]
        inputs = _rest(inputs, output, kept) if going else {}
    return [_before(reply, stop) for reply in replies]


def _rest(inputs: dict[str, Any], output: Any, kept: list[int]) -> dict[str, Any]:  # noqa: ANN401
    """Return the inputs that continue some rows of a decoder's batch."""
    rows = torch.tensor(kept, device=output.sequences.device)
    mask = inputs["attention_mask"]
    more = mask.new_ones(len(mask), output.sequences.shape[1] - mask.shape[1])
    rest = {"input_ids": output.sequences[rows], "attention_mask": torch.cat([mask, more], 1)[rows]}
    cache = getattr(output, "past_key_values", None)
    if cache is None or not hasattr(cache, "batch_select_indices"):
        return rest  # a kind of cache that cannot be divided: the rows are read again
    cache.batch_select_indices(rows)
    return rest | {"past_key_values": cache}


class _Stop(StoppingCriteria):  # type: ignore[misc]  # (transformers publishes no types)
    """Ends each completion once it holds one of some texts."""

    def __init__(self, tokenizer: Any, first: int, stop: Sequence[str]) -> None:  # noqa: ANN401
        self._tokenizer, self._first, self._stop = tokenizer, first, stop

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:  # noqa: ARG002
        texts = self._tokenizer.batch_decode(input_ids[:, self._first :], skip_special_tokens=True)
        return torch.tensor([_before(text, self._stop) != text for text in texts], device=input_ids.device)


def _before(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.find(end) for end in stop if end in text), default=len(text))]


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
