"""What a prompt would score that was not scored at all, judged by the demonstrations it shows.

Which labels a prompt shows, how often and which last, moves a small model to those labels far more than what the examples
say (Zhao et al. 2021, arXiv 2102.09690), and a prompt that leans to the wrong labels is a poor one. So the lean of each
scored prompt, its shift in `completion.py`, is regressed on what it shows, by a Gaussian process: one effect of being shown that all
labels have in common, so that two prompts say something, and one for each pair of labels. With the lean that is
expected, and as doubtful as it is, the completed examples say what share of them the prompt would have right. A Gaussian
process with the texts' embeddings was used by Schneider et al. (2025, HbBoPs, arXiv 2412.07820).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .completion import Model
    from .contracts import Prompt

    Array = NDArray[np.float64]

_RECENCY = 0.7
"""How much a demonstration counts of what the next one does."""
_SHOWN, _LAST, _OFTEN = 4.0, 1.0, 0.4
"""Variances of the common effect: of a label's share of what is shown, of being last, of the logarithm of its number."""
_OWN, _INSTRUCTION, _STRUCTURE, _USUAL = 1.0, 0.3, 1.0, 1.0
"""Variances of the effect of one label on another, of the instruction, of the structure, and of what all prompts lean to."""
_NOISE = 0.4
_DRAWS = 64


def foresee(
    model: Model, known: Sequence[Prompt], prompts: Sequence[Prompt], labels: Sequence[str], weights: Sequence[float]
) -> list[float]:
    """Return the accuracy that each prompt is expected to have on all examples.

    Parameters
    ----------
    model
        Fitted to the ``known`` prompts, in their order.
    known
        Prompts that were scored.
    prompts
        Prompts that were not.
    labels
        The task's labels.
    weights
        How much every example counts.
    """
    lean, doubt = _leans(model.shift, known, prompts, labels)
    sharpness, skill = model.weights.mean(axis=0)
    noise = np.random.default_rng(0).standard_normal((2, _DRAWS, 1, len(labels)))
    usual = float(np.sqrt((model.noise**2).mean()))
    rows = sharpness * model.rows + skill * model.right
    gold, found = model.right.argmax(axis=1), []
    for own, sd in zip(lean, doubt, strict=True):
        right = ((own + rows + usual * noise[0] + sd * noise[1]).argmax(axis=2) == gold).mean(axis=0)
        found.append(float(np.average(right, weights=weights)))
    return found


def _leans(
    shift: Array, known: Sequence[Prompt], prompts: Sequence[Prompt], labels: Sequence[str]
) -> tuple[Array, Array]:
    """Return the expected lean of each prompt to each label, ``(prompts, labels)``, and its standard deviation, ``(prompts,)``."""
    count, scale = len(labels), float(shift.std()) or 1.0
    covariance = _covariance([*known, *prompts], labels)
    old, size = len(known) * count, len(prompts)
    among, across = covariance[:old, :old] + _NOISE * np.eye(old), covariance[old:, :old]
    solved = np.linalg.solve(among, np.column_stack([(shift / scale).ravel(), across.T]))
    lean = (across @ solved[:, 0]).reshape(size, count) * scale
    variance = covariance.diagonal()[old:] - np.einsum("ij,ji->i", across, solved[:, 1:])
    return lean, scale * np.sqrt(np.maximum(variance, 0.0).reshape(size, count).mean(axis=1))


def _covariance(prompts: Sequence[Prompt], labels: Sequence[str]) -> Array:
    """Return the covariance of the leans, ``(prompts * labels, prompts * labels)``."""
    shown = np.stack([_shown(prompt, labels) for prompt in prompts])
    apart = shown - shown.mean(axis=1, keepdims=True)
    common = np.einsum("pkf,qlf->pkql", apart, apart)
    flat = np.column_stack([[bool(prompt.demonstrations) for prompt in prompts], shown.reshape(len(prompts), -1) / 2])
    alike = (
        _OWN * flat @ flat.T
        + _INSTRUCTION * _same([prompt.instruction for prompt in prompts])
        + _STRUCTURE * _same([prompt.structure for prompt in prompts])
        + _USUAL
    )
    centred = np.eye(len(labels)) - 1 / len(labels)
    size = len(prompts) * len(labels)
    covariance: Array = (common + np.einsum("pq,kl->pkql", alike, centred)).reshape(size, size)
    return covariance


def _shown(prompt: Prompt, labels: Sequence[str]) -> Array:
    """Return for each label its share of what is shown, whether it is last, and how often it is there, ``(labels, 3)``."""
    found = np.zeros((len(labels), 3))
    for age, example in enumerate(reversed(prompt.demonstrations)):
        label = labels.index(example.target)
        found[label] += [_RECENCY**age, age == 0, 1.0]
    found[:, 0] /= max(found[:, 0].sum(), 1e-9)
    found[:, 2] = np.log1p(found[:, 2])
    scaled: Array = found * np.sqrt([_SHOWN, _LAST, _OFTEN])
    return scaled


def _same(values: Sequence[object]) -> Array:
    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    codes = np.array([numbers[value] for value in values])
    same: Array = (codes[:, None] == codes[None, :]).astype(np.float64)
    return same
