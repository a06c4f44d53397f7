"""Verbalizers fitted to what the model would write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from promptfront.search.contracts import (
    Example,
    NextTokens,
    Prompt,
)
from tests.mutators.any_task import ENGLISH, context, make, make_task


def test_fitted_verbalizers_tell_labels_apart() -> None:
    """Each label gets the word that follows its own examples, wherever the descent starts."""
    task = make_task([f"review number {i}" for i in range(40)], ("negative", "positive"), ENGLISH)
    for seed in range(8):
        found = make("fit-verbalizers").mutate(task.start, context(task, seed))
        assert found.structure.verbalizers == (("negative", "awful"), ("positive", "lovely"))


def test_verbalizers_are_not_fitted_to_labels_without_examples() -> None:
    """A label that train has once or never would get a word by luck."""
    task = make_task(["one", "two"], ("negative", "positive"), ENGLISH)
    assert make("fit-verbalizers").mutate(task.start, context(task, 0)) == task.start


def test_a_chinese_prompt_is_fitted_chinese_words() -> None:
    """Others may tell labels apart as well, but the prompt is to stay Chinese."""
    task = make_task([f"这是第{i}条评论" for i in range(40)], ("消极", "积极"), "判断情感。")
    english = context(task, 0)
    assert make("fit-verbalizers").mutate(task.start, english) == task.start

    def next_tokens(prompt: Prompt, rows: Sequence[Example]) -> NextTokens:
        found = english.next_tokens(prompt, rows)
        return NextTokens(
            (*found.texts, "差", "好"),
            [(*output, output[0] - 1, output[-1] - 1) for output in found.logprobs],
        )

    found = make("fit-verbalizers").mutate(task.start, replace(english, next_tokens=next_tokens))
    assert found.structure.verbalizers == (("消极", "差"), ("积极", "好"))
