"""Batched generation by transformers: what the prompts of a batch share is computed once, and what has ended leaves the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import psutil
import torch
import torch.nn.functional as F  # noqa: N812 (as everyone has it)
from transformers import DynamicCache, StoppingCriteria, StoppingCriteriaList

from .decoding import decoding
from .loading import quiet_transformers
from .trie import common_length

if TYPE_CHECKING:
    from .packing import KeyValues
    from .tokenization import Tokens

    Read = Callable[[Sequence[Tokens]], dict[Tokens, KeyValues]]

_ON_CPU, _ON_GPU = 64, 128
"""Completions at once: a step of few rows takes as long as one of many (benchmarks/RESULTS.md)."""
_PADDING = {"cpu": 0.5, "cuda": 1.0}
"""Share of a batch's columns for padding, at most: on a GPU a step of a small model costs its launches, whatever the columns."""
_MEMORY_SHARE = 0.25
"""Share of the free memory for the cache, at most."""
_AT_ONCE = 16
"""Tokens after which completions that have ended leave the batch."""


def generate(
    model: Any,  # noqa: ANN401 (transformers publishes no types)
    tokenizer: Any,  # noqa: ANN401
    prompts: Sequence[Tokens],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    stop: Sequence[str] = (),
    read: Read | None = None,
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
    read
        Returns the keys and values of token sequences; without it transformers reads the prompts, with their padding.
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
                inputs = _inputs(model, tokenizer, read, [prompts[i] for i in batch])
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
    groups = sorted(_alike(prompts), key=lambda group: max(len(prompts[i]) for i in group))
    found: list[list[int]] = []
    for i in (i for group in groups for i in group):
        if found and len(found[-1]) < most and _padded([*found[-1], i], prompts) <= padding:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _alike(prompts: Sequence[Tokens]) -> list[list[int]]:
    """Return the prompts in groups, each of which shares more than half with the one before."""
    groups: list[list[int]] = []
    for i in sorted(range(len(prompts)), key=lambda i: prompts[i]):
        before = prompts[groups[-1][-1]] if groups else ()
        if 2 * common_length(before, prompts[i]) > len(prompts[i]):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


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


def _inputs(
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    read: Read | None,
    prompts: Sequence[Tokens],
) -> dict[str, Any]:
    """Return a padded batch: on the right for an encoder, on the left for a decoder, whose prompts are read already."""
    width, pad, decoder = max(map(len, prompts)), _pad(tokenizer), not model.config.is_encoder_decoder
    gaps = [width - len(prompt) for prompt in prompts]
    rows = [[*prompt, *[pad] * gap] for prompt, gap in zip(prompts, gaps, strict=True)]
    own = [[1] * (width - gap) + [0] * gap for gap in gaps]
    if decoder:
        rows = [[*row[width - gap :], *row[: width - gap]] for row, gap in zip(rows, gaps, strict=True)]
        own = [row[::-1] for row in own]
    inputs = {
        "input_ids": torch.tensor(rows, device=model.device),
        "attention_mask": torch.tensor(own, device=model.device),
    }
    if read is not None and min(map(len, prompts)) > 1:
        inputs["past_key_values"] = _cache(read, [prompt[:-1] for prompt in prompts])
    return inputs


def _cache(read: Read, prompts: Sequence[Tokens]) -> DynamicCache:
    """Return the cache of prompts that are padded on the left."""
    width, known, cache = max(map(len, prompts)), read(prompts), DynamicCache()
    for layer in sorted(known[prompts[0]]):
        keys, values = (
            torch.cat([F.pad(known[prompt][layer][i], (0, 0, width - len(prompt), 0)) for prompt in prompts])
            for i in (0, 1)
        )
        cache.update(keys, values, layer)
    return cache


def _pad(tokenizer: Any) -> int:  # noqa: ANN401
    return int(next((t for t in (tokenizer.pad_token_id, tokenizer.eos_token_id) if t is not None), 0))
