"""Training examples as demonstrations are drawn: each input once, short ones, grouped by label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ..search.prompts.cjk import cjk_count

if TYPE_CHECKING:
    import random

    from ..search.contracts import Example, Task

_SHORT = 60
"""Words of a short example, about 80 tokens."""
_ENOUGH = 8
"""Examples to choose from at least, long ones if need be."""
_EXCERPT_WORDS = 40
"""Words of an input that a writer is shown."""
_EXCERPT_CHARACTERS = 240
"""Characters of it that are shown, for scripts without spaces."""
_REMEMBERED = 10_000
"""Texts whose words are counted once."""


def short_examples(train: Sequence[Example]) -> list[Example]:
    """Return the short examples, each input once: a demonstration is paid for with every input.

    Where few are short, the shorter third counts as short.
    """
    once = without((), train)
    lengths = sorted(map(example_words, once))[: max(_ENOUGH, len(once) // 3)]
    longest = max([_SHORT, *lengths])
    return [example for example in once if example_words(example) <= longest]


def without(shown: Iterable[Example], examples: Iterable[Example]) -> list[Example]:
    """Return the examples whose inputs are not shown yet, each input once."""
    seen = {example.inputs for example in shown}
    # Read backwards, so that of equal inputs the first example is kept.
    first = {example.inputs: example for example in reversed(list(examples))}
    return [example for inputs, example in reversed(first.items()) if inputs not in seen]


def by_label(task: Task, examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples grouped by label, in the task's order; free texts are one group."""
    if not task.labels:
        return [list(examples)] if examples else []
    groups = [[example for example in examples if example.target == label] for label in task.labels]
    return [group for group in groups if group]


def mixed(task: Task, rng: random.Random, size: int) -> tuple[Example, ...]:
    """Return a few short training examples of as many labels as possible, in any order.

    Of one label alone nothing can be induced.
    """
    groups = by_label(task, short_examples(task.train))
    columns = [
        rng.sample(group, min(size, len(group))) for group in rng.sample(groups, len(groups))
    ]
    in_turns = [column[i] for i in range(size) for column in columns if i < len(column)]
    shown = in_turns[:size]
    return tuple(rng.sample(shown, len(shown)))


def excerpt(example: Example) -> str:
    """Return the beginning of an example's inputs, in one line."""
    words = " ".join(value for _, value in example.inputs).split()
    return " ".join(words[:_EXCERPT_WORDS])[:_EXCERPT_CHARACTERS]


def example_words(example: Example) -> int:
    """Return the number of words of an example, its target included."""
    return sum(_words(text) for _, text in example.inputs) + _words(example.target)


@lru_cache(_REMEMBERED)
def _words(text: str) -> int:
    # Chinese has no spaces: there a character counts as half a word.
    return max(len(text.split()), cjk_count(text) // 2)
