"""The start asks as a model is usually asked: in chat, with the labels named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.contracts import Example, Prompt, Structure, Task
from promptfront.search.data.start import as_asked

ROWS = (Example((("text", "a film"),), "good"), Example((("text", "b film"),), "bad"))
TASK = Task(
    "films", "made up", Prompt("", Structure(("Text",), "Mood")), ("text",), "mood",
    ("bad", "good"), ROWS, ROWS, (),
)  # fmt: skip


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ("", "Answer bad or good."),
        ("How is it?", "How is it? Answer bad or good."),
        ("Judge it", "Judge it. Answer bad or good."),
        ("Is it bad or good?", "Is it bad or good?"),
        ("Good, or Bad?", "Good, or Bad?"),
        ("Is it badly goodish?", "Is it badly goodish? Answer bad or good."),
        ("好吗", "好吗。回答：bad、good。"),
    ],
)
def test_labels_are_named(own: str, asked: str) -> None:
    """By one sentence more, where the instruction does not name all of them as words."""
    task = replace(TASK, start=replace(TASK.start, instruction=own), instructions=(own,))
    start = as_asked(task)
    assert (start.start.instruction, start.instructions) == (asked, (asked,))
    assert start.start.structure == replace(TASK.start.structure, layout="chat")


def test_a_question_and_texts_of_labels_count() -> None:
    """What is asked after each input names labels too, and a label's text stands for it."""
    question = replace(TASK.start.structure, question="Bad or good?")
    task = replace(TASK, start=Prompt("Judge.", question))
    assert as_asked(task).start.instruction == "Judge."
    texts = (("bad", "sad"), ("good", "happy"))
    verbalized = replace(TASK.start.structure, verbalizers=texts)
    task = replace(TASK, start=Prompt("Judge.", verbalized))
    assert as_asked(task).start.instruction == "Judge. Answer sad or happy."


def test_by_likelihood_and_in_free_text_the_start_stays() -> None:
    """As it was given."""
    for task in (replace(TASK, answers="likelihood"), replace(TASK, labels=())):
        assert as_asked(task) == task
