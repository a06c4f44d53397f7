"""Replies of the models that the packed engine reads: many at once, a token each in every pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import psutil
import torch

from ...search.errors import BackendError
from ..sampling import TOP_P
from .attention import packed
from .trie import depth_of

if TYPE_CHECKING:
    from ..tokenization import Tokens
    from .engine import PackedEngine
    from .trie import Group

    Ended = Callable[[list[int]], bool]

_MOST = 128
"""Replies at once: a pass reads all weights, however many there are."""
_PROMPT_TOKENS = 8
"""Tokens of a pass for each of them, at least: where memory runs out and passes are halved, so are
they."""
_MEMORY_SHARE = 0.25
"""Share of the free memory for keys and values, at most."""
_LEFT = 0.75
"""Share of a step's replies that still go on from which the ended ones are left out, which copies
the others."""


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
        0 takes the most likely token each time; else one is sampled from the likeliest 95 %.
    seed
        Of the sampling.
    ended
        Whether a reply, whose last token is new, ends there.

    Raises
    ------
    BackendError
        If the model gave NaN.
    """
    draws = torch.rand(len(prompts), max_tokens, generator=torch.Generator().manual_seed(seed))
    replies: dict[int, list[int]] = {}
    longest = max(map(len, prompts), default=0) + max_tokens
    most, padding = _together(engine, longest)
    with packed(engine.model):
        for batch in batches(engine.groups(prompts), prompts, most, padding):
            some = [prompts[i] for i in batch]
            written = _write(engine, some, draws[batch], temperature, ended)
            replies |= zip(batch, written, strict=True)
    return [replies[i] for i in range(len(prompts))]


def _write(
    engine: PackedEngine,
    prompts: Sequence[Tokens],
    draws: torch.Tensor,
    temperature: float,
    ended: Ended,
) -> list[list[int]]:
    """Return the replies of a batch.

    Each token of each has a draw of its own, so that batches change no reply.
    """
    replies: list[list[int]] = [[] for _ in prompts]
    step = engine.begin(prompts, room=draws.shape[1])
    in_step = list(range(len(prompts)))
    going = set(in_step)
    for column in draws.unbind(1):
        tokens = _pick(engine.advance(step), temperature, column[in_step])
        for i, token in zip(in_step, tokens.tolist(), strict=True):
            if i in going:
                replies[i].append(token)
        going = {i for i in going if not ended(replies[i])}
        if not going:
            break
        step.grow(tokens)
        if len(going) <= _LEFT * len(in_step):
            step = step.only([row for row, i in enumerate(in_step) if i in going])
            in_step = [i for i in in_step if i in going]
    return replies


def batches(
    groups: Sequence[Group], prompts: Sequence[Tokens], most: int, padding: int
) -> list[list[int]]:
    """Return the prompts in batches: those of a prefix side by side, with little after it first.

    Every pass reads the keys and values of all columns, so a batch ends where more than ``padding``
    of them would be padding.
    """
    asked: dict[Tokens, list[int]] = {}
    for i, prompt in enumerate(prompts):
        asked.setdefault(prompt, []).append(i)
    runs = []
    for group in groups:
        depth = depth_of(group.prefix)
        ordered = group.sequences if group.prefix else sorted(group.sequences, key=len)
        runs.append([(len(sequence) - depth, i) for sequence in ordered for i in asked[sequence]])
    batched: list[list[tuple[int, int]]] = []
    for run in sorted(runs, key=max):
        for entry in run:
            last = batched[-1] if batched else None
            if last is not None and len(last) < most and _padding([*last, entry]) <= padding:
                last.append(entry)
            else:
                batched.append([entry])
    return [[i for _, i in batch] for batch in batched]


def _padding(batch: Sequence[tuple[int, int]]) -> int:
    sizes = [size for size, _ in batch]
    return len(sizes) * max(sizes) - sum(sizes)


def _together(engine: PackedEngine, longest: int) -> tuple[int, int]:
    """Return how many replies are written at once, and with how much padding.

    Their keys and values take a share of the free memory; reading the padding takes as long as one
    pass more, which reads all weights.
    """
    model = engine.model
    numbers = _numbers_of_a_token(model.config.get_text_config())
    size = torch.finfo(model.dtype).bits // 8
    most = min(
        _MOST,
        engine.max_batch_tokens // _PROMPT_TOKENS,
        int(_MEMORY_SHARE * _free_memory(model.device) // (size * numbers * longest)),
    )
    return max(1, most), sum(weight.numel() for weight in model.parameters()) // numbers


def _numbers_of_a_token(config: object) -> int:
    """Return how many numbers the keys and values of one token are, by a model's configuration."""
    heads = int(getattr(config, "num_attention_heads", 16))
    kv_heads = int(getattr(config, "num_key_value_heads", None) or heads)
    width = int(getattr(config, "hidden_size", 1024)) // heads
    width = int(getattr(config, "head_dim", None) or width)
    return 2 * kv_heads * width * int(getattr(config, "num_hidden_layers", 24))


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _pick(logits: torch.Tensor, temperature: float, draws: torch.Tensor) -> torch.Tensor:
    """Return a token for each row of logits, given a number between 0 and 1 for each."""
    if logits.isnan().any():
        raise BackendError(
            f"the model gave NaN logits in {logits.dtype}: "
            "run it in a wider dtype (`dtype` float32)"
        )
    if temperature == 0:
        return logits.argmax(-1)
    shares, tokens = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    sums = shares.cumsum(-1)
    kept = sums.masked_fill(sums - shares > TOP_P, 0).amax(-1, keepdim=True)
    picked = (sums < draws.to(sums.device)[:, None] * kept).sum(-1, keepdim=True)
    return tokens.gather(-1, picked).squeeze(-1)
