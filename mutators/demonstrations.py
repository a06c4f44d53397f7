"""Demonstrations: which pool examples a prompt shows, how many, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from ..search.contracts import Example, Gene, MutationContext, Prompt

_COUNTS, _WEIGHTS = (1, 2, 3, 4, 6, 8), (5, 6, 4, 4, 2, 1)
_SHORT_WORDS = 60
_HARD_SAMPLE = 32
_COMPONENTS = 32


class RandomDemonstrations:
    """Demonstrations drawn at random."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a fresh random draw."""
        pool = short_examples(context.task.pool)
        return replace(prompt, demonstrations=tuple(context.rng.sample(pool, _count(context.rng, len(pool)))))


class BalancedDemonstrations:
    """The same number of demonstrations of every label, in random order."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a fresh balanced draw."""
        groups = by_label(short_examples(context.task.pool))
        each = max(1, round(_count(context.rng, 8) / len(groups)))
        drawn = [e for group in groups for e in context.rng.sample(group, min(each, len(group)))]
        return replace(prompt, demonstrations=tuple(context.rng.sample(drawn, len(drawn))))


class DiverseDemonstrations:
    """Demonstrations that cover the pool: one from the middle of each k-means cluster.

    Examples are embedded by latent semantic analysis of their character n-grams, which needs no model and serves any
    language.
    """

    gene: Gene = "demonstrations"

    def __init__(self) -> None:
        self._pool: list[Example] = []
        self._embeddings: NDArray[np.float64] = np.zeros((0, 0))

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with the examples nearest to the cluster centres, clustered with a random start."""
        from sklearn.cluster import KMeans

        pool = short_examples(context.task.pool)
        if len(pool) < 3:
            return prompt
        if pool != self._pool:
            self._pool, self._embeddings = pool, _embed(pool)
        count = max(2, _count(context.rng, len(pool) - 1))
        means = KMeans(count, n_init=1, random_state=context.rng.getrandbits(31)).fit(self._embeddings)
        nearest = np.argsort(means.transform(self._embeddings), axis=0, kind="stable")[: min(5, len(pool))]
        # Among the five nearest to a centre the choice is free, so that repeated use finds new sets.
        chosen = dict.fromkeys(pool[int(context.rng.choice(list(column)))] for column in nearest.T)
        return replace(prompt, demonstrations=tuple(context.rng.sample(list(chosen), len(chosen))))


class HardDemonstrations:
    """Demonstrations the prompt itself finds hard, balanced over labels."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with examples from the third of a sample on which it loses most."""
        pool = [e for e in short_examples(context.task.pool) if e not in prompt.demonstrations]
        if len(pool) < 6:
            return prompt
        sample = context.rng.sample(pool, min(_HARD_SAMPLE, len(pool)))
        losses = dict(zip(sample, context.losses(prompt, sample), strict=True))
        ranked = sorted(sample, key=lambda example: -losses[example])
        # The very hardest are often mislabelled.
        hard = ranked[len(ranked) // 16 : max(2, len(ranked) // 3)]
        groups = by_label(hard)
        each = max(1, round(_count(context.rng, 8) / len(groups)))
        chosen = [example for group in groups for example in group[:each]]
        return replace(prompt, demonstrations=tuple(context.rng.sample(chosen, len(chosen))))


class SwapDemonstration:
    """Another example of the same label in the place of one."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one demonstration replaced."""
        shown = list(prompt.demonstrations)
        if not shown:
            return prompt
        place = context.rng.randrange(len(shown))
        others = [e for e in short_examples(context.task.pool) if e not in shown]
        same = [e for e in others if e.target == shown[place].target] or others
        if not same:
            return prompt
        shown[place] = context.rng.choice(same)
        return replace(prompt, demonstrations=tuple(shown))


class DropDemonstration:
    """One demonstration less."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt without one of its demonstrations."""
        shown = list(prompt.demonstrations)
        if not shown:
            return prompt
        del shown[context.rng.randrange(len(shown))]
        return replace(prompt, demonstrations=tuple(shown))


class ReorderDemonstrations:
    """The same demonstrations in another order."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its demonstrations shuffled."""
        shown = prompt.demonstrations
        return replace(prompt, demonstrations=tuple(context.rng.sample(shown, len(shown))))


def short_examples(pool: Sequence[Example]) -> list[Example]:
    """Return the pool's short examples, for every token of a demonstration is paid for each time; all if few are short."""
    short = [e for e in pool if sum(_length(text) for _, text in e.inputs) <= _SHORT_WORDS]
    return short if len(short) >= min(8, len(pool)) else list(pool)


def by_label(examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples grouped by target, in order of target; free texts, each its own, count as one group."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.target, []).append(example)
    if len(groups) > max(2, len(examples) // 2):
        return [list(examples)]
    return [groups[target] for target in sorted(groups)]


def _length(text: str) -> int:
    # Chinese has no spaces: there a character counts as half a word.
    return max(len(text.split()), sum(c >= "\u2e80" for c in text) // 2)


def _count(rng: random.Random, most: int) -> int:
    return min(rng.choices(_COUNTS, _WEIGHTS)[0], most)


def _embed(pool: Sequence[Example]) -> NDArray[np.float64]:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [" ".join(text for _, text in example.inputs) for example in pool]
    counts = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=20_000
    ).fit_transform(texts)
    components = min(_COMPONENTS, counts.shape[1] - 1, len(pool) - 1)
    if components < 2:
        return np.asarray(counts.toarray(), dtype=np.float64)
    return np.asarray(TruncatedSVD(components, random_state=0).fit_transform(counts), dtype=np.float64)
