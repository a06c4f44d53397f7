"""Verbalizers fitted to the model: the words it would itself write after examples of each label.

One pass of the model over an input says how likely every word is to follow, so a hundred labelled
inputs judge every choice of words at once. Words for labels were searched like this for fine-tuning
by Schick et al. (2020, "Automatically identifying words that can serve as labels", arXiv
2010.13641) and Gao et al. (2021, LM-BFF, arXiv 2012.15723); here a prompt answers with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..search.contracts import Direction, Usage
from ..search.data.splits import by_turns
from ..search.prompts.cjk import has_cjk
from .lexicon import label_texts, task_is_chinese

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..search.contracts import Gene, MutationContext, NextTokens, Prompt

    Array = NDArray[np.float64]

# The constants were set by hand; benchmarks/search.py takes the whole out (`no-fitting`).
_ROWS = 100
"""Training examples that words are read after, each an evaluation."""
_ROWS_PER_DEV = 2
"""Those for each dev row at most: where dev rows are few, evaluations are."""
_CHOICES = (300, 1000)
"""How many of the likely words to choose from: few are safe, many hold more that fit."""
_FITS = 8
"""Fits to resampled examples, of which the best is taken."""
_ROUNDS = 8
"""Rounds of coordinate descent at most."""
_LEAST = 2
"""Examples of a label at least."""


class FitVerbalizers:
    """For each label the word that best tells its examples from the others', zero-shot."""

    gene: Gene = "structure"
    usage = Usage(
        needs_unshown_rows=True,
        needs_likelihood=True,
        direction=Direction(
            fewest_labels=2,
            # What a second fit to the same examples finds is much the same.
            once_a_batch=True,
            reads_next_tokens=True,
        ),
    )

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with words in the place of its labels' texts."""
        task, rng = context.task, context.rng
        rows = by_turns(task.train)[: min(_ROWS, _ROWS_PER_DEV * len(task.dev))]
        labels = len(task.labels)
        if labels < 2:
            return prompt
        gold = np.array([task.labels.index(row.target) for row in rows], dtype=np.int64)
        if np.bincount(gold, minlength=labels).min() < _LEAST:
            return prompt
        read = context.next_tokens(prompt, rows)
        own_texts = label_texts(task.start.structure, task.labels)
        free = _free(read, own_texts, chinese=task_is_chinese(task))
        if len(free) < labels:
            return prompt
        vocabulary = [read.texts[i] for i in free]
        chosen = best_fit(np.asarray(read.logprobs)[:, free], gold, labels, rng)
        texts = [vocabulary[i] for i in chosen]
        pairs = tuple(
            (label, text) for label, text in zip(task.labels, texts, strict=True) if label != text
        )
        return replace(prompt, structure=replace(prompt.structure, verbalizers=pairs))


def best_fit(outputs: Array, gold: NDArray[np.int64], labels: int, rng: random.Random) -> list[int]:
    """Return a word for each label, so that the right label's is likely and the others' are not.

    One fit ends in a local minimum and in what happens to be so in these examples. So several are
    made, each with examples that count at random (Bayesian bootstrap; Rubin 1981), and the one with
    the least cross-entropy on all, counted evenly, is returned.

    Parameters
    ----------
    outputs
        Log-likelihoods in nats, shape ``(examples, words)``, of at least as many words as labels,
        likely words first.
    gold
        Each example's right label, shape ``(examples,)``.
    labels
        The number of labels.
    rng
        Draws how much each example counts, and how many words there are to choose from.
    """
    outputs = outputs - outputs.max(axis=1, keepdims=True)
    fits = []
    for _ in range(_FITS):
        vocabulary_size = max(labels, rng.choice(_CHOICES))
        weights = np.array([rng.expovariate(1.0) for _ in gold])
        fits.append(_fit(outputs[:, :vocabulary_size], gold, weights, labels))
    return min(fits, key=lambda chosen: _cross_entropy(outputs[:, chosen], gold))


def _fit(outputs: Array, gold: NDArray[np.int64], weights: Array, labels: int) -> list[int]:
    """Return a word for each label, by coordinate descent on the cross-entropy, label by label."""
    likelihoods, chosen = np.exp(outputs), _telling(outputs, gold, weights, labels)
    for _ in range(_ROUNDS):
        before = list(chosen)
        for label in range(labels):
            others = [word for other, word in enumerate(chosen) if other != label]
            total = np.log(likelihoods[:, others].sum(axis=1, keepdims=True) + likelihoods)
            losses = weights @ total - (weights * (gold == label)) @ outputs
            losses[others] = np.inf
            chosen[label] = int(losses.argmin())
        if chosen == before:
            break
    return chosen


def _telling(outputs: Array, gold: NDArray[np.int64], weights: Array, labels: int) -> list[int]:
    """Return for each label the word that is likelier with it than with others by most, once."""
    chosen = list[int]()
    for label in range(labels):
        own, others = np.where(gold == label, weights, 0.0), np.where(gold == label, 0.0, weights)
        above = own @ outputs / own.sum() - others @ outputs / others.sum()
        above[chosen] = -np.inf
        chosen.append(int(above.argmax()))
    return chosen


def _cross_entropy(outputs: Array, gold: NDArray[np.int64]) -> float:
    """Return the labels' mean cross-entropy in nats.

    ``outputs`` are the log-likelihoods of their words, ``(examples, labels)``.
    """
    right = outputs[np.arange(len(gold)), gold]
    return float((np.logaddexp.reduce(outputs, axis=1) - right).mean())


def _free(read: NextTokens, texts: Sequence[str], *, chinese: bool) -> list[int]:
    """Return the words that stand for nothing else, likely ones first.

    Of those that differ in case alone it is the first. A Chinese prompt stays Chinese.
    """
    taken, free = {text.casefold() for text in texts}, list[int]()
    for i, word in enumerate(read.texts):
        if word.casefold() not in taken and (has_cjk(word) or not chinese):
            taken.add(word.casefold())
            free.append(i)
    return free
