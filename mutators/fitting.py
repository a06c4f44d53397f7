"""Verbalizers fitted to the model: the words it would itself write after examples of each label.

One pass of the model over an input says how likely every word is to follow, so a hundred labelled inputs judge every
choice of words at once. Words for labels were searched like this by Schick et al. (2020, "Automatically identifying words
that can serve as labels", arXiv 2010.13641) and Gao et al. (2021, LM-BFF, arXiv 2012.15723) for fine-tuning; here they are
what a prompt of the search answers with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..search.splits import by_turns
from .wording import label_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..search.contracts import Gene, MutationContext, Prompt, Words

    Array = NDArray[np.float64]

_ROWS = 100
"""Pool examples that words are read after."""
_CHOICES = (300, 1000)
"""How many of the likely words to choose from: few are safe, many hold more that fit."""
_DRAWN, _ROUNDS = 2, 8
_AS_READ = 0.3
"""How often every example counts the same; else each counts at random, so that other words are found."""
_LEAST = 2


class FitVerbalizers:
    """For each label the word that tells its examples best from the others', as the model reads them without demonstrations."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with words in the place of its labels' texts."""
        task, rng = context.task, context.rng
        rows = by_turns(task.pool)[:_ROWS]
        gold = np.array([task.labels.index(row.target) for row in rows if task.labels], dtype=np.int64)
        if len(task.labels) < 2 or np.bincount(gold, minlength=len(task.labels)).min() < _LEAST:
            return prompt
        read = context.words(prompt, rows)
        most = rng.choice(_CHOICES)
        free = _free(read, label_texts(task.start.structure, task.labels))[:most]
        if len(free) < len(task.labels):
            return prompt
        texts = [read.texts[i] for i in free]
        even = rng.random() < _AS_READ
        weights = np.array([1.0 if even else rng.expovariate(1.0) for _ in rows])
        seed = np.random.default_rng(rng.getrandbits(32))
        chosen = fit(np.asarray(read.outputs)[:, free], gold, weights, len(task.labels), seed)
        pairs = tuple((label, texts[i]) for label, i in zip(task.labels, chosen, strict=True) if label != texts[i])
        return replace(prompt, structure=replace(prompt.structure, verbalizers=pairs))


def fit(outputs: Array, gold: NDArray[np.int64], weights: Array, labels: int, rng: np.random.Generator) -> list[int]:
    """Return a word for each label, so that the right label's is likely and the others' are not.

    Coordinate descent on the cross-entropy of the labels' words, one label after the other, from
    the words that each label's examples favour most, and from some drawn at random.

    Parameters
    ----------
    outputs
        Log-likelihoods in nats, shape ``(examples, words)``, of at least as many words as labels.
    gold, weights
        Each example's right label and how much it counts, shape ``(examples,)``.
    labels
        The number of labels.
    rng
        Draws the starts.
    """
    best, least = list[int](), np.inf
    starts = [_telling(outputs, gold, labels)]
    starts += [[int(i) for i in rng.choice(outputs.shape[1], labels, replace=False)] for _ in range(_DRAWN)]
    for chosen in starts:
        loss = np.inf
        for _ in range(_ROUNDS):
            before = list(chosen)
            for label in range(labels):
                losses = _losses(outputs, gold, weights, chosen, label)
                chosen[label] = int(losses.argmin())
                loss = float(losses.min())
            if chosen == before:
                break
        if loss < least:
            best, least = chosen, loss
    return best


def _telling(outputs: Array, gold: NDArray[np.int64], labels: int) -> list[int]:
    """Return for each label the word whose log-likelihood is most above that with other labels, each word once."""
    found = list[int]()
    for label in range(labels):
        above = outputs[gold == label].mean(axis=0) - outputs[gold != label].mean(axis=0)
        above[found] = -np.inf
        found.append(int(above.argmax()))
    return found


def _losses(outputs: Array, gold: NDArray[np.int64], weights: Array, chosen: Sequence[int], label: int) -> Array:
    """Return the cross-entropy with each word in the place of one label's; infinite with a word that another label has."""
    others = [word for other, word in enumerate(chosen) if other != label]
    total = np.logaddexp(np.logaddexp.reduce(outputs[:, others], axis=1)[:, None], outputs)
    right = np.where(
        (gold == label)[:, None], outputs, outputs[np.arange(len(gold)), np.asarray(chosen)[gold]][:, None]
    )
    losses: Array = weights @ (total - right)
    losses[others] = np.inf
    return losses


def _free(read: Words, texts: Sequence[str]) -> list[int]:
    """Return the words that stand for nothing else, likely ones first: of those that differ in case alone the first."""
    taken, free = {text.casefold() for text in texts}, list[int]()
    for i, word in enumerate(read.texts):
        if word.casefold() not in taken:
            taken.add(word.casefold())
            free.append(i)
    return free
