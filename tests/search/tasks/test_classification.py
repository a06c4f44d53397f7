"""The built-in task, on the real data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.contracts import Prompt, Structure, Task
from promptfront.search.data.load_task import load_task
from promptfront.search.tasks.classification import sentiment


@pytest.fixture(scope="module")
def task() -> Task:
    """Return the task, obtained as a user obtains it."""
    return sentiment()


def test_splits_are_full_and_share_nothing(task: Task) -> None:
    """3300 different reviews, whatever their case and white space."""
    assert (2000, 300, 1000) == (len(task.train), len(task.dev), len(task.test))
    rows = (*task.train, *task.dev, *task.test)
    assert len({" ".join(e.inputs[0][1].split()).casefold() for e in rows}) == 3300


def test_labels_are_balanced_enough(task: Task) -> None:
    """No label is worth guessing."""
    assert ("negative", "positive") == task.labels
    for split in (task.train, task.dev, task.test):
        assert 0.4 < sum(e.target == "positive" for e in split) / len(split) < 0.6


def test_texts_are_clean(task: Task) -> None:
    """Quotes are quotes, white space is single, and both encodings of the file are read."""
    texts = [e.inputs[0][1] for e in (*task.train, *task.dev, *task.test)]
    assert all(text and text == " ".join(text.split()) and "''" not in text for text in texts)
    assert not any("\ufffd" in text or "Ã" in text for text in texts)
    assert any("é" in text for text in texts)


def test_the_start_says_what_to_do(task: Task) -> None:
    """The prompt a search starts from."""
    assert (("text",), "sentiment") == (task.input_fields, task.target_field)
    assert task.start == Prompt(
        "Classify the sentiment of the movie review as positive or negative.",
        Structure(("Review",), "Sentiment"),
    )


def test_the_seed_alone_decides(task: Task) -> None:
    """The same seed gives the same task, by name too; another seed another one."""
    assert task == replace(load_task("sentiment", answers="likelihood"), answers=None)
    assert task.data_hash != sentiment(seed=1).data_hash
