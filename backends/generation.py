"""Batched generation by transformers: what the prompts of a batch share is computed once, and what has ended leaves the batch."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psutil
import torch
import torch.nn.functional as F  # noqa: N812 (as everyone has it)
from transformers import StoppingCriteria, StoppingCriteriaList

from .decoding import decoding
from .loading import quiet_transformers
from .trie import common_length

if TYPE_CHECKING:
    from .tokenization import Tokens

_ON_CPU, _ON_GPU = 64, 128
"""Completions at once: a step of few rows takes as long as one of many (benchmarks/RESULTS.md)."""
_PADDING = {"cpu": 0.5, "cuda": 1.0}
"""Share of a batch's columns for padding, at most: on a GPU a step of a small model costs its launches, whatever the columns."""
_MEMORY_SHARE = 0.25
"""Share of the free memory for the cache, at most."""
_AT_ONCE = 16
"""Tokens after which completions that have ended leave the batch."""
_PASS, _PASS_TOKENS = 64, 8192
"""What a pass costs besides its tokens, in tokens, and how many it may have."""


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
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": 0.95} if temperature > 0 else {"do_sample": False}
    )
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []), torch.inference_mode():
        torch.manual_seed(seed)
        most = _together(model, max(map(len, prompts), default=0) + max_tokens)
        for batch in batches(prompts, most, _PADDING.get(model.device.type, 0.5)):
            with quiet_transformers(), decoding(model):
                inputs = _inputs(model, tokenizer, [prompts[i] for i in batch])
                found = _complete(model, tokenizer, inputs, max_tokens, sampling, stop)
            replies |= zip(batch, found, strict=True)
    return [replies[i] for i in range(len(prompts))]


def _together(model: Any, width: int) -> int:  # noqa: ANN401
    """Return how many completions of ``width`` tokens are written at once: those whose cache takes a share of the free memory."""
    if model.device.type == "cuda":
        most, free = _ON_GPU, torch.cuda.mem_get_info(model.device)[0]
    else:
        most, free = _ON_CPU, psutil.virtual_memory().available
    config = model.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 16))
    kept = int(getattr(config, "num_key_value_heads", None) or heads)
    size = torch.finfo(model.dtype).bits // 8 * int(getattr(config, "hidden_size", 1024)) * kept // heads
    cache = 2 * size * int(getattr(config, "num_hidden_layers", 24)) * width
    return max(1, min(most, int(_MEMORY_SHARE * free // cache)))


def batches(prompts: Sequence[Tokens], most: int, padding: float) -> list[list[int]]:
    """Return the prompts in batches of about the same length: what shares its beginning side by side, the short first.

    Every step reads the cache of the whole batch, padding too, so a batch ends where more than ``padding`` of it would be padding.
    """
    order = iter(sorted(range(len(prompts)), key=lambda i: prompts[i]))
    groups = [[next(order) for _ in group] for group in grouped(sorted(prompts))]
    groups.sort(key=lambda group: max(len(prompts[i]) for i in group))
    found: list[list[int]] = []
    for i in (i for group in groups for i in group):
        if found and len(found[-1]) < most and _padded([*found[-1], i], prompts) <= padding:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _padded(batch: Sequence[int], prompts: Sequence[Tokens]) -> float:
    lengths = [len(prompts[i]) for i in batch]
    return 1 - sum(lengths) / (len(lengths) * max(lengths))


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
    """Ends each completion once it holds one of some texts: asked after every token, it looks at the last ones alone."""

    def __init__(self, tokenizer: Any, first: int, stop: Sequence[str]) -> None:  # noqa: ANN401
        self._tokenizer, self._first, self._stop = tokenizer, first, stop
        self._window = 4 + max(len(text.encode()) for text in stop)  # A token is a byte at least.

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:  # noqa: ARG002
        first = max(self._first, input_ids.shape[1] - self._window)
        texts = self._tokenizer.batch_decode(input_ids[:, first:], skip_special_tokens=True)
        return torch.tensor([_before(text, self._stop) != text for text in texts], device=input_ids.device)


def _before(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.find(end) for end in stop if end in text), default=len(text))]


def _inputs(model: Any, tokenizer: Any, prompts: Sequence[Tokens]) -> dict[str, Any]:  # noqa: ANN401
    """Return a padded batch: on the right for an encoder, on the left for a decoder, whose prompts are read already."""
    width, pad, decoder = max(map(len, prompts)), _pad(tokenizer), not model.config.is_encoder_decoder
    read = _read_all(model, pad, prompts) if decoder else None
    if read:
        cache, mask = read
        ids = mask.new_full((len(prompts), mask.shape[1] + 1), pad)
        ids[:, -1] = mask.new_tensor([prompt[-1] for prompt in prompts])
        return {"input_ids": ids, "attention_mask": F.pad(mask, (0, 1), value=1), "past_key_values": cache}
    gaps = [width - len(prompt) for prompt in prompts]
    rows = [[*prompt, *[pad] * gap] for prompt, gap in zip(prompts, gaps, strict=True)]
    own = [[1] * (width - gap) + [0] * gap for gap in gaps]
    if decoder:
        rows = [[*row[width - gap :], *row[: width - gap]] for row, gap in zip(rows, gaps, strict=True)]
        own = [row[::-1] for row in own]
    return {
        "input_ids": torch.tensor(rows, device=model.device),
        "attention_mask": torch.tensor(own, device=model.device),
    }


def _read_all(model: Any, pad: int, prompts: Sequence[Tokens]) -> tuple[Any, torch.Tensor] | None:  # noqa: ANN401
    """Return the cache of the prompts, each up to its last token, and its mask; nothing from models with other caches.

    What prompts share is read once, however many share it: a race's prompts have few beginnings, and those are long.
    """
    caches, masks = [], []
    for group in grouped([prompt[:-1] for prompt in prompts]):
        cache, mask = _read(model, pad, group)
        if not all(type(layer).__name__ == "DynamicLayer" for layer in getattr(cache, "layers", [None])):
            return None
        caches.append(cache)
        masks.append(mask)
    width = max(mask.shape[1] for mask in masks)
    for layers in zip(*(cache.layers for cache in caches), strict=True):
        for name in ("keys", "values"):
            parts = [getattr(layer, name) for layer in layers]
            setattr(layers[0], name, torch.cat([F.pad(part, (0, 0, width - part.shape[2], 0)) for part in parts]))
    return caches[0], torch.cat([F.pad(mask, (width - mask.shape[1], 0)) for mask in masks])


def grouped(prompts: Sequence[Tokens]) -> list[list[Tokens]]:
    """Return neighbours together while reading them in one padded pass, what they share once, takes fewer tokens than apart."""
    groups: list[list[Tokens]] = []
    for prompt in prompts:
        together = [*groups[-1], prompt] if groups else [prompt]
        if groups and _cost(together) <= _cost(groups[-1]) + _cost([prompt]) and _rest_tokens(together) <= _PASS_TOKENS:
            groups[-1] = together
        else:
            groups.append([prompt])
    return groups


def _shared(group: Sequence[Tokens]) -> int:
    return common_length(min(group), max(group)) if len(group) > 1 else 0


def _rest_tokens(group: Sequence[Tokens]) -> int:
    return len(group) * (max(map(len, group)) - _shared(group))


def _cost(group: Sequence[Tokens]) -> int:
    return _PASS + _shared(group) + _rest_tokens(group)


def _read(model: Any, pad: int, group: Sequence[Tokens]) -> tuple[Any, torch.Tensor]:  # noqa: ANN401
    """Return the cache of a group, whose columns are what is shared, padding and the rest, and its mask."""
    shared, width = _shared(group), max(map(len, group))
    gaps = [width - len(prompt) for prompt in group]
    mask = torch.tensor([[1] * shared + [0] * gap + [1] * (width - shared - gap) for gap in gaps], device=model.device)
    cache: Any = None
    if shared:
        stem = torch.tensor([group[0][:shared]], device=model.device)
        cache = model(input_ids=stem, use_cache=True, **_accepted(model, logits_to_keep=1)).past_key_values
        cache.batch_repeat_interleave(len(group))
    if width > shared:
        rest = [[pad] * gap + list(prompt[shared:]) for prompt, gap in zip(group, gaps, strict=True)]
        places = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
        ids, options = torch.tensor(rest, device=model.device), _accepted(model, logits_to_keep=1, position_ids=places)
        cache = model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **options
        ).past_key_values
    return cache, mask


def _accepted(model: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the options that a model's forward pass has."""
    known = inspect.signature(model.forward).parameters
    return {name: value for name, value in options.items() if name in known}


def _pad(tokenizer: Any) -> int:  # noqa: ANN401
    return int(next((t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id) if t is not None), 0))
