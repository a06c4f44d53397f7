"""Replies are cut out of their chatter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptfront.mutators.proposer_replies import clean


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ('Sure! Here is the instruction: "Label it."\nHope this helps!', "Label it."),
        ("**Label it.**", "Label it."),
        ("Label the review: good or bad?", "Label the review: good or bad?"),
        ("", ""),
    ],
)
def test_replies_are_cleaned(raw: str, cleaned: str) -> None:
    """Preamble, quotes and postscripts are cut off, and nothing of the instruction."""
    assert cleaned == clean(raw)


@pytest.mark.parametrize(
    "own",
    [
        "Answer whether the review is good or bad.",
        "Output the sentiment: good or bad.",
        "Label it: a or b.",
    ],
)
def test_a_verb_at_the_beginning_is_no_preamble(own: str) -> None:
    """Nothing is cut off an instruction that is already clean."""
    assert clean(own) == own


@given(st.text(max_size=200))
def test_cleaning_ends_and_is_settled(reply: str) -> None:
    """Any reply becomes one line without outer white space."""
    text = clean(reply)
    assert text == " ".join(text.split())
    assert "\n" not in text
