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

_ROWS, _ROWS_PER_DEV = 100, 2
"""Pool examples that words are read after, and how many at most for each dev row: of few there are few because pairs are."""
_CHOICES = (300, 1000)
"""How many of the likely words to choose from: few are safe, many hold more that fit."""
_DRAWS, _ROUNDS = 8, 8
_LEAST = 2


class FitVerbalizers:
    """For each label the word that tells its examples best from the others', as the model reads them without demonstrations."""

    gene: Gene = "structure"
    usage = Usage(
        needs_unshown_rows=True,
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
        gold = np.array(
            [task.labels.index(row.target) for row in rows if task.labels], dtype=np.int64
        )
        if len(task.labels) < 2 or np.bincount(gold, minlength=len(task.labels)).min() < _LEAST:
            return prompt
        read = context.next_tokens(prompt, rows)
        free = _free(
            read, label_texts(task.start.structure, task.labels), chinese=task_is_chinese(task)
        )
        if len(free) < len(task.labels):
            return prompt
        texts = [read.texts[i] for i in free]
        chosen = best_fit(np.asarray(read.logprobs)[:, free], gold, len(task.labels), rng)
        pairs = tuple(
            (label, texts[i])
            for label, i in zip(task.labels, chosen, strict=True)
            if label != texts[i]
        )
        return replace(prompt, structure=replace(prompt.structure, verbalizers=pairs))


def best_fit(outputs: Array, gold: NDArray[np.int64], labels: int, rng: random.Random) -> list[int]:
    """Return a word for each label, so that the right label's is likely and the others' are not.

    One fit ends in a local minimum and in what happens to be so in these examples. So several are made, each with examples
    that count at random (Bayesian bootstrap; Rubin 1981), and the one with the least cross-entropy on all, counted evenly, is
    returned.

    Parameters
    ----------
    outputs
        Log-likelihoods in nats, shape ``(examples, words)``, of at least as many words as labels, likely words first.
    gold
        Each example's right label, shape ``(examples,)``.
    labels
        The number of labels.
    rng
        Draws how much each example counts, and how many words there are to choose from.
    """
    outputs = outputs - outputs.max(axis=1, keepdims=True)
    found = []
    for _ in range(_DRAWS):
        words = max(labels, rng.choice(_CHOICES))
        weights = np.array([rng.expovariate(1.0) for _ in gold])
        found.append(_fit(outputs[:, :words], gold, weights, labels))
    return min(found, key=lambda chosen: _cross_entropy(outputs[:, chosen], gold))


def _fit(outputs: Array, gold: NDArray[np.int64], weights: Array, labels: int) -> list[int]:
    """Return a word for each label, by coordinate descent on the cross-entropy, one label after the other."""
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
    """Return for each label the word whose log-likelihood is most above that with other labels, each word once."""
    found = list[int]()
    for label in range(labels):
        own, others = np.where(gold == label, weights, 0.0), np.where(gold == label, 0.0, weights)
        above = own @ outputs / own.sum() - others @ outputs / others.sum()
        above[found] = -np.inf
        found.append(int(above.argmax()))
    return found


def _cross_entropy(outputs: Array, gold: NDArray[np.int64]) -> float:
    """Return the mean cross-entropy of the labels in nats, given their words' log-likelihoods, ``(examples, labels)``."""
    return float(
        (np.logaddexp.reduce(outputs, axis=1) - outputs[np.arange(len(gold)), gold]).mean()
    )


def _free(read: NextTokens, texts: Sequence[str], *, chinese: bool) -> list[int]:
    """Return the words that stand for nothing else, likely ones first: of those that differ in case alone the first.

    A Chinese prompt stays one.
    """
    taken, free = {text.casefold() for text in texts}, list[int]()
    for i, word in enumerate(read.texts):
        if word.casefold() not in taken and (has_cjk(word) or not chinese):
            taken.add(word.casefold())
            free.append(i)
    return free
