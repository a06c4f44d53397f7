"""Text as sentences."""

from __future__ import annotations

import pytest

from promptfront.search.prompts.sentences import join_sentences, split_sentences
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
