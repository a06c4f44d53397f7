"""Demonstrations: which training examples a prompt shows, how many, in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..search.contracts import Direction, Usage
from .debiasing import debiased
from .examples import by_label, example_words, short_examples, without

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from ..search.contracts import Example, Gene, MutationContext, Prompt, Task

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
"""How many demonstrations are drawn ..."""
_COUNT_WEIGHTS = (3, 6, 4, 5, 4, 4, 3, 2)
"""... and how often so many: few are cheap."""
_MOST = 16
"""Demonstrations of a prompt at most: they are read with every input."""
_MOST_WORDS = 1000
"""Words of a prompt's demonstrations at most, about."""
_HARD_SAMPLE = 16
"""Examples whose losses are asked for: each is an evaluation."""
_LEAST_SAMPLED = 6
"""Fewer examples than this are no sample."""
_SUSPECT_PART = 16
"""One of so many, the very hardest, is left out: it is often mislabelled."""
_HARD_PART = 3
"""Of each label, one example of so many is hard."""
_COMPONENTS = 32
"""Dimensions of the embeddings that are clustered."""
_NGRAMS = (2, 4)
"""Lengths of the character n-grams that are counted."""
_MOST_NGRAMS = 20_000
"""The most frequent n-grams, which are counted."""
_NEAREST = 5
"""Examples near a cluster's centre to choose from, so that repeated use draws new sets."""

# Debiasing; the constants were set by hand while benchmarks/search.py ran on Subj.
_FEW = 4
"""Fewer demonstrations than this are replaced, for their order can change little."""
_REDRAWN = 0.25
"""How often others are drawn all the same ..."""
_REDRAWN_COUNTS = (12, 16)
"""... and how many then: of many, some order has little bias."""
_REDRAWN_WORDS = 400
"""Words of such a set at most, about: a longer one takes long to read for what it gains."""


class RandomDemonstrations:
    """Demonstrations drawn at random."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a new random draw."""
        train = short_examples(context.task.train)
        if not train:
            return prompt
        chosen = context.rng.sample(train, _count(context.rng, train))
        return replace(prompt, demonstrations=tuple(chosen))


class BalancedDemonstrations:
    """The same number of demonstrations of every label, or of some of many, in random order."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a new balanced draw."""
        chosen = _balanced(by_label(context.task, short_examples(context.task.train)), context.rng)
        return replace(prompt, demonstrations=chosen) if chosen else prompt


class DiverseDemonstrations:
    """Demonstrations that cover train: one from the middle of each k-means cluster.

    Examples are embedded by latent semantic analysis of their character n-grams, which needs no
    model and serves any language.
    """

    gene: Gene = "demonstrations"

    def __init__(self) -> None:
        self._source: tuple[Example, ...] = ()
        self._train: list[Example] = []
        self._embeddings: NDArray[np.float64] = np.zeros((0, 0))

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with examples near the centres of clusters with a random start."""
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # One thread: how sums are split over threads decides their last digits, and so clusters.
        with threadpool_limits(1):
            self._embed_once(context.task)
            distinct = len(np.unique(self._embeddings, axis=0))
            if distinct < 3:
                return prompt
            count = max(2, min(_count(context.rng, self._train), distinct - 1))
            seed = context.rng.getrandbits(31)
            clusters = KMeans(count, n_init=1, random_state=seed).fit(self._embeddings)
            distances = clusters.transform(self._embeddings)
        nearest = np.argsort(distances, axis=0, kind="stable")[: min(_NEAREST, len(self._train))]
        chosen = dict.fromkeys(
            self._train[int(context.rng.choice(list(column)))] for column in nearest.T
        )
        return replace(prompt, demonstrations=tuple(context.rng.sample(list(chosen), len(chosen))))

    def _embed_once(self, task: Task) -> None:
        if task.train is not self._source:
            self._source, self._train = task.train, short_examples(task.train)
            self._embeddings = _embed(self._train)


class HardDemonstrations:
    """Demonstrations the prompt itself finds hard, balanced over labels."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with the examples of a sample that it loses most on, label by label."""
        train = without(prompt.demonstrations, short_examples(context.task.train))
        if len(train) < _LEAST_SAMPLED:
            return prompt
        sample = context.rng.sample(train, min(_HARD_SAMPLE, len(train)))
        losses = context.losses(prompt, sample)
        known = [i for i, loss in enumerate(losses) if not math.isnan(loss)]
        if not known:
            return prompt
        order = sorted(known, key=lambda i: -losses[i])
        ranked = [sample[i] for i in order][len(order) // _SUSPECT_PART :]
        # A third of each label: a biased prompt loses most on one label alone.
        hard = [
            group[: max(1, len(group) // _HARD_PART)] for group in by_label(context.task, ranked)
        ]
        return replace(prompt, demonstrations=_balanced(hard, context.rng))


class AddDemonstration:
    """One demonstration more, of a label that is shown least."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one more demonstration at any place."""
        shown = list(prompt.demonstrations)
        groups = by_label(context.task, without(shown, short_examples(context.task.train)))
        if not groups or len(shown) >= _MOST or sum(map(example_words, shown)) >= _MOST_WORDS:
            return prompt
        times = [sum(example.target == group[0].target for example in shown) for group in groups]
        least_shown = [group for group, n in zip(groups, times, strict=True) if n == min(times)]
        place = context.rng.randrange(len(shown) + 1)
        shown.insert(place, context.rng.choice(context.rng.choice(least_shown)))
        return replace(prompt, demonstrations=tuple(shown))


class DebiasDemonstrations:
    """Demonstrations in an order, and of labels, with which the model favours no label.

    See `promptfront.mutators.debiasing`.
    """

    gene: Gene = "demonstrations"
    usage = Usage(
        direction=Direction(
            base="potential",
            # With more labels it takes many steps to be rid of a label bias, and gains less.
            fewest_labels=2,
            most_labels=2,
            preceded_by="verbalizers",
            precede_rate=0.3,
        ),
    )

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its own demonstrations debiased, or new ones where it has few."""
        task, rng = context.task, context.rng
        train, shown = short_examples(task.train), prompt.demonstrations
        if len(shown) < _FEW or rng.random() < _REDRAWN:
            most = _affordable(_REDRAWN_WORDS, train)
            count = max(_FEW, min(rng.choice(_REDRAWN_COUNTS), most))
            drawn = _balanced(by_label(task, train), rng, count)
            fitted = context.fit(replace(prompt, demonstrations=drawn))
            shown = fitted.demonstrations if fitted else ()
        if not task.labels or len(shown) < 2:
            return prompt

        def bias(examples: Sequence[Example]) -> dict[str, float]:
            nats = context.label_bias(replace(prompt, demonstrations=tuple(examples)))
            return dict(zip(task.labels, nats, strict=True)) if nats else {}

        unbiased = tuple(debiased(shown, bias, train, rng))
        return replace(prompt, demonstrations=unbiased) if unbiased else prompt


class SwapDemonstration:
    """Another example of the same label in the place of one."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one demonstration replaced."""
        shown = list(prompt.demonstrations)
        if not shown:
            return prompt
        place = context.rng.randrange(len(shown))
        others = without(shown, short_examples(context.task.train))
        same = [e for e in others if not context.task.labels or e.target == shown[place].target]
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


def _count(rng: random.Random, train: Sequence[Example]) -> int:
    """Draw how many of the training examples to show."""
    count = rng.choices(_COUNTS, _COUNT_WEIGHTS)[0]
    return min(count, len(train), max(1, _affordable(_MOST_WORDS, train)))


def _affordable(words: int, train: Sequence[Example]) -> int:
    """Return how many examples have about so many words."""
    return words * len(train) // max(1, sum(map(example_words, train)))


def _balanced(
    groups: Sequence[Sequence[Example]], rng: random.Random, count: int | None = None
) -> tuple[Example, ...]:
    """Return as many examples of each group, shuffled, as the count, by default drawn, allows."""
    if not groups:
        return ()
    groups = groups if len(groups) <= _MOST else rng.sample(groups, _MOST)
    count = count or _count(rng, [example for group in groups for example in group])
    each = min(max(1, round(count / len(groups))), *map(len, groups))
    drawn: list[Example] = []
    for group in groups:
        drawn += rng.sample(group, each)
    return tuple(rng.sample(drawn, len(drawn)))


def _embed(train: Sequence[Example]) -> NDArray[np.float64]:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [" ".join(text for _, text in example.inputs) for example in train]
    if not any(text.split() for text in texts):
        return np.zeros((len(train), 1))
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=_NGRAMS, sublinear_tf=True, max_features=_MOST_NGRAMS
    )
    counts = vectorizer.fit_transform(texts)
    components = min(_COMPONENTS, counts.shape[1] - 1, len(train) - 1)
    if components < 2:
        return np.asarray(counts.toarray(), dtype=np.float64)
    # Texts that differ in case alone have no variance, which scikit-learn divides by.
    with np.errstate(divide="ignore", invalid="ignore"):
        embeddings = TruncatedSVD(components, random_state=0).fit_transform(counts)
    return np.asarray(embeddings, dtype=np.float64)
