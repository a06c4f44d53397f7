"""Text as sentences."""

from __future__ import annotations

import pytest

from promptfront.search.prompts.sentences import (
    join_sentences,
    movable,
    paragraphs_left_out,
    sentence_spans,
    split_sentences,
    without_each,
)
from tests.mutators.any_task import CHINESE


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two? Three!", 3),
        ("See e.g. the stars. Then decide.", 2),
        ("Choose one: good; bad.", 1),
        ("他说：“好。”然后走了。", 2),
        ("- first\n- second\n\nThen {x}.", 3),
        ("1. Read it.\n2. Decide.", 2),
    ],
)
def test_sentences_are_found_and_joined_again(text: str, sentences: int) -> None:
    """Abbreviations, colons and lists do not end one; line breaks stay."""
    assert len(split_sentences(text)) == sentences
    assert join_sentences(split_sentences(text)) == text


def test_sentences_survive_being_split_and_joined() -> None:
    """English keeps its spaces and Chinese gets none."""
    for text in (CHINESE, "One. Two? Three!", ""):
        assert text == join_sentences(split_sentences(text))


LINES = """\
You sort tickets. Be quick,
and be kind. Never guess.

Rules:
- Read it. Twice.
- Second item
  - nested
1. One.
2. Two.

{
  "json": 1
}
"""


def test_sentences_of_a_text_with_lines() -> None:
    """They may go on in the next line; an item's bullet goes only with the whole item."""
    assert [LINES[start:end] for start, end in sentence_spans(LINES)] == [
        "You sort tickets.",
        "Be quick,\nand be kind.",
        "Never guess.",
        "Rules:",
        "Read it.",
        "Twice.",
        "- Second item",
        "- nested",
        "1. One.",
        "2. Two.",
        '"json": 1',
    ]


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("One. Two.", ["Two.", "One."]),
        ("一。二。", ["二。", "一。"]),
        ("One.\nTwo. Three.", ["Two. Three.", "One.\nThree.", "One.\nTwo."]),
        (
            "One.\n\n  Two.\n\nThree.\n",
            ["  Two.\n\nThree.\n", "One.\n\nThree.\n", "One.\n\n  Two."],
        ),
        ("- a b\n- c", ["- c", "- a b"]),
    ],
)
def test_what_is_left_keeps_its_lines(text: str, forms: list[str]) -> None:
    """Neither an empty line nor a lone bullet stays behind."""
    assert without_each(text) == forms


def test_all_but_what_is_left_out_stays() -> None:
    """Indents, blank lines and bullets of the other lines are as they were."""
    for form in without_each(LINES) + paragraphs_left_out(LINES):
        assert len(form) < len(LINES)
        lines = LINES.split("\n")
        changed = [line for line in form.split("\n") if line not in lines]
        assert len(changed) <= 1, changed
        assert "\n\n\n" not in form
    assert paragraphs_left_out("One.\nTwo.") == []


def test_what_can_change_places() -> None:
    """Items of one list, and whole sentences of one line."""
    groups = [[LINES[start:end] for start, end in group] for group in movable(LINES)]
    assert groups == [["One.", "Two."]]
    assert movable("A b. C d.\nE") == [[(0, 4), (5, 9)]]
