"""Demonstrations rid of their label bias: in an order, and of labels, that favour no label.

A model favours the labels that it saw most and last (Zhao et al. 2021, arXiv 2102.09690), and that
bias hides how well a set of demonstrations tells the labels apart. It shows on a few inputs,
without their labels; so a set is rid of it in a few steps, each of which either moves
demonstrations of disfavoured labels towards the end, or puts such ones in the place of others.

The constants were set by hand while `benchmarks/search.py` ran on Subj, which has two labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from .examples import without

if TYPE_CHECKING:
    import random

    from ..search.contracts import Example

    Bias = Mapping[str, float]

_STEPS = 6
"""Sets to try at most: each is scored on a few inputs."""
_NO_BIAS = 0.2
"""Nats below which a bias is none: it decides few examples."""
_SHIFT = 0.5
"""The part of all places that a demonstration moves for each nat of its label's bias, at first."""
_LARGER_SHIFT = 1.5
"""What the shift is multiplied by where it was too small to change the order."""
_SMALLER_SHIFT = 0.5
"""What the shift is multiplied by where it turned the bias round."""
_EXCHANGED = 6
"""One demonstration of so many is exchanged in a step."""


def debiased(
    shown: Sequence[Example],
    measure: Callable[[Sequence[Example]], Bias],
    train: Sequence[Example],
    rng: random.Random,
) -> Sequence[Example]:
    """Return the demonstrations with the least label bias of those tried on the way from ``shown``.

    Parameters
    ----------
    shown
        The demonstrations to begin with.
    measure
        Returns the bias of demonstrations to each label in nats, or nothing where it is not told.
    train
        What demonstrations are exchanged for.
    rng
        Draws which are exchanged.

    Returns
    -------
    debiased
        None where no bias is told.
    """
    bias, tried = measure(shown), {tuple(shown)}
    if not bias:
        return ()
    # With two labels the order alone can often do it.
    moving, shift = len(bias) == 2, _SHIFT
    for _ in range(_STEPS):
        if _largest(bias) < _NO_BIAS:
            break
        new = _moved(shown, bias, shift) if moving else _exchanged(shown, bias, train, rng)
        if tuple(new) in tried:
            shift *= _LARGER_SHIFT if moving else 1
            moving = not moving
            continue
        tried.add(tuple(new))
        new_bias = measure(new)
        if not new_bias:
            break
        if _largest(new_bias) < _largest(bias):
            shown, bias = new, new_bias
        elif moving and _opposed(new_bias, bias):
            shift *= _SMALLER_SHIFT
        else:
            moving = not moving
    return shown


def _largest(bias: Bias) -> float:
    return max(abs(nats) for nats in bias.values())


def _opposed(one: Bias, other: Bias) -> bool:
    """Whether two biases favour other labels."""
    return sum(one[label] * other[label] for label in other) < 0


def _moved(shown: Sequence[Example], bias: Bias, shift: float) -> list[Example]:
    """Return the demonstrations with those of favoured labels moved to the front."""
    keys = [
        (i + 0.5) / len(shown) - shift * bias[example.target] for i, example in enumerate(shown)
    ]
    return [shown[i] for i in sorted(range(len(shown)), key=keys.__getitem__)]


def _exchanged(
    shown: Sequence[Example], bias: Bias, train: Sequence[Example], rng: random.Random
) -> list[Example]:
    """Return the demonstrations with some of the most favoured label exchanged for the least."""
    new, wanted = list(shown), min(bias, key=lambda label: bias[label])
    others = [example for example in without(shown, train) if example.target == wanted]
    for example in rng.sample(others, min(len(others), max(1, len(shown) // _EXCHANGED))):
        favoured = max((other.target for other in new), key=lambda label: bias[label])
        places = [i for i, other in enumerate(new) if other.target == favoured]
        new[rng.choice(places)] = example
    return new
