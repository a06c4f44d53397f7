"""Replies of the models that the packed engine reads: many at once, a token each in every pass of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import torch

from ..search.errors import BackendError
from .attention import packed

if TYPE_CHECKING:
    from .engine import PackedEngine
    from .tokenization import Tokens
    from .trie import Group

    Pick = Callable[[torch.Tensor], torch.Tensor]
    Ended = Callable[[list[int]], bool]

_MOST = 128
"""Replies at once: a pass reads all weights, whatever the rows."""
_MEMORY_SHARE = 0.25
"""Share of the free memory for keys and values, at most."""
_LEFT = 0.75
"""Rows that have ended are left out once no more than this share goes on: leaving them out copies the others."""
TOP_P = 0.95


@torch.inference_mode()
def write(
    engine: PackedEngine,
    prompts: Sequence[Tokens],
    *,
    max_tokens: int,
    temperature: float,
    seed: int,
    ended: Ended,
) -> list[list[int]]:
    """Return the tokens after each prompt.

    Parameters
    ----------
    engine
        Reads the prompts and computes the logits.
    prompts
        What the model reads.
    max_tokens
        Tokens of a reply, at most.
    temperature
        0 takes the most likely token each time; else one is sampled from the likeliest 95 % (nucleus sampling, Holtzman et al.
        2020, arXiv 1904.09751).
    seed
        Of the sampling.
    ended
        Whether a reply, whose last token is new, ends there.

    Raises
    ------
    BackendError
        If the model gave NaN.
    """
    generator = torch.Generator(engine.model.device).manual_seed(seed)
    replies: dict[int, list[int]] = {}
    longest = max(map(len, prompts), default=0) + max_tokens
    most, padding = _together(engine.model, longest)
    pick = partial(_pick, temperature=temperature, generator=generator)
    with packed(engine.model):
        for batch in batches(engine.groups(prompts), prompts, most, padding):
            found = _write(engine, [prompts[i] for i in batch], max_tokens, pick, ended)
            replies |= zip(batch, found, strict=True)
    return [replies[i] for i in range(len(prompts))]


def _write(
    engine: PackedEngine, prompts: Sequence[Tokens], max_tokens: int, pick: Pick, ended: Ended
) -> list[list[int]]:
    """Return the replies of a batch."""
    replies: list[list[int]] = [[] for _ in prompts]
    step = engine.begin(prompts, max_tokens)
    rows, going = list(range(len(prompts))), set(range(len(prompts)))
    while True:
        tokens = pick(engine.advance(step))
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if row in going:
                replies[row].append(token)
        going = {row for row in going if len(replies[row]) < max_tokens and not ended(replies[row])}
        if not going:
            return replies
        step.grow(tokens)
        if len(going) <= _LEFT * len(rows):
            step = step.only([i for i, row in enumerate(rows) if row in going])
            rows = [row for row in rows if row in going]


def batches(groups: Sequence[Group], prompts: Sequence[Tokens], most: int, padding: int) -> list[list[int]]:
    """Return the prompts in batches: the rows of a stem side by side, those with little after it first.

    Every pass reads the keys and values of all columns, so a batch ends where more than ``padding`` of them would be padding.
    """
    places: dict[Tokens, list[int]] = {}
    for i, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(i)
    runs = []
    for group in groups:
        depth = sum(map(len, group.stem))
        ordered = group.sequences if group.stem else sorted(group.sequences, key=len)
        runs.append([(len(sequence) - depth, i) for sequence in ordered for i in places[sequence]])
    found: list[list[tuple[int, int]]] = []
    for entry in (entry for run in sorted(runs, key=max) for entry in run):
        if found and len(found[-1]) < most and _padding([*found[-1], entry]) <= padding:
            found[-1].append(entry)
        else:
            found.append([entry])
    return [[i for _, i in batch] for batch in found]


def _padding(batch: Sequence[tuple[int, int]]) -> int:
    sizes = [size for size, _ in batch]
    return len(sizes) * max(sizes) - sum(sizes)


def _together(model: Any, longest: int) -> tuple[int, int]:  # noqa: ANN401 (transformers publishes no types)
    """Return how many replies are written at once, and with how much padding.

    Their keys and values take a share of the free memory; reading the padding takes as long as one pass more, which reads all weights.
    """
    cuda = model.device.type == "cuda"
    free = torch.cuda.mem_get_info(model.device)[0] if cuda else psutil.virtual_memory().available
    config = model.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 16))
    kept = int(getattr(config, "num_key_value_heads", None) or heads)
    width = int(getattr(config, "head_dim", None) or int(getattr(config, "hidden_size", 1024)) // heads)
    numbers = 2 * kept * width * int(getattr(config, "num_hidden_layers", 24))
    size = torch.finfo(model.dtype).bits // 8
    most = int(_MEMORY_SHARE * free // (size * numbers * longest))
    return max(1, min(_MOST, most)), sum(weight.numel() for weight in model.parameters()) // numbers


def _pick(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """Return a token for each row of logits."""
    if logits.isnan().any():
        raise BackendError(f"the model gave NaN logits in {logits.dtype}: run it in a wider dtype (--dtype float32)")
    if temperature == 0:
        return logits.argmax(-1)
    shares, tokens = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    shares[shares.cumsum(-1) - shares > TOP_P] = 0
    return tokens.gather(-1, torch.multinomial(shares, 1, generator=generator)).squeeze(-1)
