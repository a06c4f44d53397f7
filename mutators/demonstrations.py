"""Demonstrations: which training examples a prompt shows, how many, in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..search.contracts import Direction, Usage
from .example_pool import by_label, short_examples, without, words

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

    from ..search.contracts import Example, Gene, MutationContext, Prompt, Task

_COUNTS, _WEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16), (3, 6, 4, 5, 4, 4, 3, 2)
_MOST, _MOST_WORDS = 16, 1000
"""Demonstrations of a prompt, and about how many words they have at most, for all of them are read each time."""
_FEW, _FRESH, _LEVELLED = 4, 0.25, (12, 16)
"""How many demonstrations are too few to level, how often others are drawn all the same, and how many then."""
_WORDS = 400
"""What a set to be levelled has at most, about, or it would take long to read for what it gains."""
_STEPS, _LEVEL, _TILT = 6, 0.2, 0.5
"""Steps to take at most, the label_bias in nats that is none, and the part of all places a demonstration moves per nat."""
_HARD_SAMPLE = 16
_COMPONENTS = 32


class RandomDemonstrations:
    """Demonstrations drawn at random."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a fresh random draw."""
        train = short_examples(context.task.train)
        if not train:
            return prompt
        return replace(
            prompt, demonstrations=tuple(context.rng.sample(train, _count(context.rng, train)))
        )


class BalancedDemonstrations:
    """The same number of demonstrations of every label, in random order; where there are many labels, of some."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a fresh balanced draw."""
        chosen = _balanced(by_label(context.task, short_examples(context.task.train)), context.rng)
        return replace(prompt, demonstrations=chosen) if chosen else prompt


class DiverseDemonstrations:
    """Demonstrations that cover train: one from the middle of each k-means cluster.

    Examples are embedded by latent semantic analysis of their character n-grams, which needs no model and serves any
    language.
    """

    gene: Gene = "demonstrations"

    def __init__(self) -> None:
        self._source: tuple[Example, ...] = ()
        self._train: list[Example] = []
        self._embeddings: NDArray[np.float64] = np.zeros((0, 0))

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with the examples nearest to the cluster centres, clustered with a random start."""
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # One thread: how sums are split over threads decides their last digits, and with them the clusters.
        with threadpool_limits(1):
            self._embed_once(context.task)
            distinct = len(np.unique(self._embeddings, axis=0))
            if distinct < 3:
                return prompt
            count = max(2, min(_count(context.rng, self._train), distinct - 1))
            means = KMeans(count, n_init=1, random_state=context.rng.getrandbits(31)).fit(
                self._embeddings
            )
            distances = means.transform(self._embeddings)
        nearest = np.argsort(distances, axis=0, kind="stable")[: min(5, len(self._train))]
        # Among the five nearest to a centre the choice is free, so that repeated use finds new sets.
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
        """Return the prompt with examples from the third of a sample on which it loses most, label by label."""
        train = without(prompt.demonstrations, short_examples(context.task.train))
        if len(train) < 6:
            return prompt
        sample = context.rng.sample(train, min(_HARD_SAMPLE, len(train)))
        losses = context.losses(prompt, sample)
        known = [i for i, loss in enumerate(losses) if not math.isnan(loss)]
        if not known:
            return prompt
        order = sorted(known, key=lambda i: -losses[i])
        # The very hardest are often mislabelled.
        ranked = [sample[i] for i in order][len(order) // 16 :]
        # A third of each label: a biased prompt loses most on one label alone.
        hard = [group[: max(1, len(group) // 3)] for group in by_label(context.task, ranked)]
        return replace(prompt, demonstrations=_balanced(hard, context.rng))


class AddDemonstration:
    """One demonstration more, of a label that is shown least."""

    gene: Gene = "demonstrations"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one more demonstration at any place."""
        shown = list(prompt.demonstrations)
        groups = by_label(context.task, without(shown, short_examples(context.task.train)))
        if not groups or len(shown) >= _MOST or sum(map(words, shown)) >= _MOST_WORDS:
            return prompt
        times = [sum(example.target == group[0].target for example in shown) for group in groups]
        fewest = [group for group, n in zip(groups, times, strict=True) if n == min(times)]
        shown.insert(
            context.rng.randrange(len(shown) + 1), context.rng.choice(context.rng.choice(fewest))
        )
        return replace(prompt, demonstrations=tuple(shown))


class DebiasDemonstrations:
    """Demonstrations in an order and of labels that make the model choose no label more than another.

    A model leans to the labels that it saw most and last (Zhao et al. 2021, arXiv 2102.09690), and a label_bias hides how well
    a set tells the labels apart. It shows on a few inputs, without their labels; so a set is rid of it in a few steps,
    each of which either moves demonstrations of labels that are leant away from towards the end, or puts such
    demonstrations in the place of others.
    """

    gene: Gene = "demonstrations"
    usage = Usage(
        direction=Direction(
            base="potential",
            # With more labels it takes many steps to be rid of a label bias, and what is gained is less.
            fewest_labels=2,
            most_labels=2,
            preceded_by="verbalizers",
            precede_rate=0.3,
        ),
    )

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its own demonstrations levelled, or a fresh balanced draw where it has few."""
        task, rng = context.task, context.rng
        train, shown = short_examples(task.train), prompt.demonstrations
        if len(shown) < _FEW or rng.random() < _FRESH:
            most = _WORDS * len(train) // max(1, sum(words(example) for example in train))
            shown = _balanced(
                by_label(task, train), rng, max(_FEW, min(rng.choice(_LEVELLED), most))
            )
        if not task.labels or len(shown) < 2:
            return prompt

        def label_bias(examples: Sequence[Example]) -> dict[str, float]:
            found = context.label_bias(replace(prompt, demonstrations=tuple(examples)))
            return dict(zip(task.labels, found, strict=True)) if found else {}

        levelled = tuple(_levelled(shown, label_bias, train, rng))
        return replace(prompt, demonstrations=levelled) if levelled else prompt


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


def _levelled(
    shown: Sequence[Example],
    measure: Callable[[Sequence[Example]], dict[str, float]],
    train: Sequence[Example],
    rng: random.Random,
) -> Sequence[Example]:
    """Return the demonstrations that label_bias least of those tried on the way down from ``shown``; none if no label_bias is told."""
    label_bias, tried = measure(shown), {tuple(shown)}
    if not label_bias:
        return ()
    tilting, tilt = len(label_bias) == 2, _TILT
    for _ in range(_STEPS):
        if _most(label_bias) < _LEVEL:
            break
        new = (
            _tilted(shown, label_bias, tilt)
            if tilting
            else _exchanged(shown, label_bias, train, rng)
        )
        if tuple(new) in tried:
            tilting, tilt = not tilting, tilt * (1.5 if tilting else 1)
            continue
        tried.add(tuple(new))
        found = measure(new)
        if not found:
            break
        if _most(found) < _most(label_bias):
            shown, label_bias = new, found
        elif tilting and sum(found[label] * label_bias[label] for label in label_bias) < 0:
            tilt /= 2
        else:
            tilting = not tilting
    return shown


def _most(label_bias: Mapping[str, float]) -> float:
    return max(abs(nats) for nats in label_bias.values())


def _tilted(
    shown: Sequence[Example], label_bias: Mapping[str, float], tilt: float
) -> list[Example]:
    """Return the demonstrations sorted by place, those of labels with less label_bias moved back by ``tilt`` per nat."""
    keys = [
        (i + 0.5) / len(shown) - tilt * label_bias[example.target]
        for i, example in enumerate(shown)
    ]
    return [shown[i] for i in sorted(range(len(shown)), key=lambda i: keys[i])]


def _exchanged(
    shown: Sequence[Example],
    label_bias: Mapping[str, float],
    train: Sequence[Example],
    rng: random.Random,
) -> list[Example]:
    """Return the demonstrations with a sixth replaced: of the label leant to most by the label leant to least."""
    new, wanted = list(shown), min(label_bias, key=lambda label: label_bias[label])
    fresh = [example for example in without(shown, train) if example.target == wanted]
    for example in rng.sample(fresh, min(len(fresh), max(1, len(shown) // 6))):
        most = max((e.target for e in new), key=lambda label: label_bias[label])
        new[rng.choice([i for i, e in enumerate(new) if e.target == most])] = example
    return new


def _count(rng: random.Random, train: Sequence[Example]) -> int:
    """Draw how many of a train's examples to show."""
    affordable = _MOST_WORDS * len(train) // max(1, sum(map(words, train)))
    return min(rng.choices(_COUNTS, _WEIGHTS)[0], len(train), max(1, affordable))


def _balanced(
    groups: Sequence[Sequence[Example]], rng: random.Random, count: int | None = None
) -> tuple[Example, ...]:
    """Return as many examples of each group as the smallest has and the count, by default drawn, allows, shuffled."""
    if not groups:
        return ()
    groups = groups if len(groups) <= _MOST else rng.sample(groups, _MOST)
    count = count or _count(rng, [example for group in groups for example in group])
    each = min(max(1, round(count / len(groups))), *map(len, groups))
    drawn = [example for group in groups for example in rng.sample(group, each)]
    return tuple(rng.sample(drawn, len(drawn)))


def _embed(train: Sequence[Example]) -> NDArray[np.float64]:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [" ".join(text for _, text in example.inputs) for example in train]
    if not any(text.split() for text in texts):
        return np.zeros((len(train), 1))
    counts = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=20_000
    ).fit_transform(texts)
    components = min(_COMPONENTS, counts.shape[1] - 1, len(train) - 1)
    if components < 2:
        return np.asarray(counts.toarray(), dtype=np.float64)
    # Texts that differ in case alone have no variance, which scikit-learn divides by.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            TruncatedSVD(components, random_state=0).fit_transform(counts), dtype=np.float64
        )
