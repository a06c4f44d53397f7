"""The Hugging Face backend on a GPU, against the same backend on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from promptfront.backends.hf import HFBackend
from promptfront.backends.packed.engine import PackedEngine
from promptfront.search.contracts import LikelihoodRequest, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
_LABELS = (" positive", " very good indeed", " very bad", "\n")
_TEXTS = ["great fun", "a {x} mess {{y}}", "很好，推荐 🎬", "two\nlines", "", "long " * 90]
_PREFIXES = ["", "Classify the review.\n\n", "Review: loved it\nSentiment: positive\n\n" * 16]
_REQUESTS = [
    LikelihoodRequest(f"{prefix}Review: {text}\nSentiment:", _LABELS)
    for prefix in _PREFIXES
    for text in _TEXTS
]


@pytest.fixture(scope="module")
def cpu() -> HFBackend:
    """Load the default model on the CPU."""
    return HFBackend(device="cpu")


def worst(found: Sequence[tuple[float, ...]], expected: Sequence[tuple[float, ...]]) -> float:
    """Return the largest difference between two sets of log-likelihoods."""
    return max(
        abs(a - b) for f, e in zip(found, expected, strict=True) for a, b in zip(f, e, strict=True)
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 1.0)])
def test_a_gpu_gives_the_numbers_of_the_cpu(dtype: str, tolerance: float, cpu: HFBackend) -> None:
    """Packed passes with a cold and a warm cache, also where a pass has few tokens."""
    gpu = HFBackend(device="cuda", dtype=dtype)
    expected = cpu.loglikelihoods(_REQUESTS)
    assert isinstance(gpu._engine, PackedEngine)
    assert worst(gpu.loglikelihoods(_REQUESTS), expected) < tolerance
    gpu._engine.max_batch_tokens = 64
    assert worst(gpu.loglikelihoods(_REQUESTS[::-1])[::-1], expected) < tolerance


def test_bfloat16_is_what_a_gpu_runs_by_default() -> None:
    """GenerateRequest works there too, and the same seed gives the same replies."""
    gpu = HFBackend()
    assert (gpu._model.device.type, gpu._model.dtype) == ("cuda", torch.bfloat16)
    asked = [
        (Message("user", "Name a colour."),),
        (Message("user", "Write a short line about rain."),),
    ]
    replies = [gpu.generate(asked, max_tokens=12, temperature=1.0, seed=1) for _ in range(2)]
    assert replies[0] == replies[1]


def test_layers_may_be_spread_over_all_gpus(cpu: HFBackend) -> None:
    """``device="auto"`` gives the same numbers.

    With one GPU this is the same placement by another way.
    """
    spread = HFBackend(device="auto", dtype="float32")
    assert worst(spread.loglikelihoods(_REQUESTS), cpu.loglikelihoods(_REQUESTS)) < 1e-3


def test_replies_of_a_gpu_are_those_of_the_cpu(cpu: HFBackend) -> None:
    """Prefixes read once, prompts of unlike length in a batch, and the decoding attention."""
    gpu = HFBackend(device="cuda", dtype="float32")
    prompts = [request.prompt for request in _REQUESTS]
    expected, found = (
        b.generate(prompts, max_tokens=16, temperature=0, seed=0, stop=["\n"]) for b in (cpu, gpu)
    )
    assert (
        sum(a == b for a, b in zip(expected, found, strict=True)) >= len(prompts) - 1
    )  # A tie may fall either way.
