"""The train as demonstrations are drawn from it: each input once, short ones first, grouped by label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ..search.prompts.cjk import cjk_count

if TYPE_CHECKING:
    from ..search.contracts import Example, Task

_SHORT_WORDS = 60
_ENOUGH = 8


def short_examples(train: Sequence[Example]) -> list[Example]:
    """Return the short examples, each input once, for a demonstration is paid for each time; the shorter third if few are short."""
    once = without((), train)
    lengths = sorted(map(words, once))[: max(_ENOUGH, len(once) // 3)]
    return [e for e in once if words(e) <= max([_SHORT_WORDS, *lengths])]


def without(shown: Iterable[Example], examples: Iterable[Example]) -> list[Example]:
    """Return the examples whose inputs are not shown yet, each input once."""
    seen = {example.inputs for example in shown}
    first = {example.inputs: example for example in reversed(list(examples))}
    return [example for inputs, example in reversed(first.items()) if inputs not in seen]


def by_label(task: Task, examples: Sequence[Example]) -> list[list[Example]]:
    """Return the examples grouped by label, in the task's order of labels; free texts are one group."""
    if not task.labels:
        return [list(examples)] if examples else []
    groups = [[e for e in examples if e.target == label] for label in task.labels]
    return [group for group in groups if group]


def words(example: Example) -> int:
    """Return the number of words of an example."""
    return sum(_length(text) for _, text in (*example.inputs, ("", example.target)))


@lru_cache(maxsize=10_000)
def _length(text: str) -> int:
    # Chinese has no spaces: there a character counts as half a word.
    return max(len(text.split()), cjk_count(text) // 2)
