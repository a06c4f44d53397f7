"""Which engine scores with a model, and that it runs within the memory that there is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from ...search.errors import BackendError
from ..packed.engine import PackedEngine
from ..quiet import quiet_transformers
from ..tokenization import Encoded
from .device import physical_cores
from .masked import MaskedEngine
from .plain import PlainEngine
from .quantization import quantize
from .seq2seq import Seq2SeqEngine

if TYPE_CHECKING:
    from ..tokenization import Encoder
    from .loading import Loaded

_PROBE = (
    "The film is a quiet triumph. I liked it",
    "The film is a mess. I",
    "The film is a quiet triumph. He did not like",
    "它很好",
)
"""Texts on which packed passes must agree with plain ones: with beginnings in common, and
without."""
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}
"""Nats by which rounding alone may move a log-likelihood in a dtype."""
_LEAST_TOKENS = 16
"""Tokens of a pass with which running out of memory is final."""
Result = TypeVar("Result")


class Engine(Protocol):
    """Scores encoded requests with one model."""

    description: str
    max_batch_tokens: int
    computed_tokens: int

    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        ...

    def forget(self) -> None:
        """Give back the memory that is kept for later calls."""
        ...


def make_engine(
    loaded: Loaded, encoder: Encoder, name: str, max_batch_tokens: int, *, packed: bool
) -> Engine:
    """Return the engine of a model's kind: for a causal one the packed one, where it can be.

    Raises
    ------
    BackendError
        If int8 is asked for and no layer can have it.
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    engine: Engine
    if loaded.kind == "seq2seq":
        engine = Seq2SeqEngine(model, encoder.end, max_batch_tokens)
    elif loaded.kind == "masked":
        pad, mask = tokenizer.pad_token_id or 0, tokenizer.mask_token_id
        engine = MaskedEngine(model, mask, pad, encoder.end, max_batch_tokens)
    elif packed:
        engine = _checked(PackedEngine(model, max_batch_tokens), encoder, name)
    else:
        engine = PlainEngine(model)
    # After the check: rounding alone moves numbers more than that allows.
    if loaded.dtype == "int8":
        if not quantize(model):
            raise BackendError(
                f"`dtype` int8: {name} has no linear layers that could be int8; leave `dtype` out"
            )
        engine.forget()
    return engine


def within_memory(engine: Engine, device: torch.device, call: Callable[[], Result]) -> Result:
    """Return what a call returns, made again in smaller passes while memory runs out."""
    while True:
        try:
            with physical_cores(device.type):
                return call()
        except (MemoryError, RuntimeError) as error:
            _use_less_memory(engine, device, error)


def _checked(packed: PackedEngine, encoder: Encoder, name: str) -> PackedEngine | PlainEngine:
    """Return the packed engine if it agrees with plain passes on a probe, else plain passes."""
    model: Any = packed.model
    plain = PlainEngine(model)
    probe = [
        Encoded(tokens[:-2], (tokens[-2:], tokens[-1:]))
        for tokens in encoder.encode_prompts(_PROBE)
        if len(tokens) > 2
    ]
    with physical_cores(model.device.type):
        expected = plain.loglikelihoods(probe)
        try:
            with quiet_transformers():
                scores = packed.loglikelihoods(probe)
        except (NotImplementedError, TypeError, AttributeError) as error:
            why = f"cannot be packed ({error})"
        else:
            difference = _largest_difference(expected, scores)
            if difference <= _TOLERANCE.get(model.dtype, 1e-3):
                return packed
            why = f"packed and plain passes differ by {difference:.2g}"
    warnings.warn(f"{name}: {why}; scoring continues with plain passes, more slowly", stacklevel=2)
    return plain


def _largest_difference(
    expected: Sequence[tuple[float, ...]], scores: Sequence[tuple[float, ...]]
) -> float:
    differences: list[float] = []
    for plain, packed in zip(expected, scores, strict=True):
        differences += (abs(a - b) for a, b in zip(plain, packed, strict=True))
    return max(differences, default=0.0)  # none where the tokenizer has no tokens for the probe


def _use_less_memory(
    engine: Engine, device: torch.device, error: MemoryError | RuntimeError
) -> None:
    """Halve the tokens of a pass if memory is what ran out, else raise."""
    short = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    if not short and "can't allocate memory" not in str(error):
        raise error
    if engine.max_batch_tokens <= _LEAST_TOKENS:
        raise BackendError(
            f"out of memory even with {engine.max_batch_tokens} tokens in a pass"
        ) from error
    engine.forget()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    engine.max_batch_tokens //= 2
    warnings.warn(
        f"out of memory: from now on a pass has at most {engine.max_batch_tokens} tokens",
        stacklevel=3,
    )
