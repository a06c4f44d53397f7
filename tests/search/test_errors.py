"""Errors are one sentence on one line, whatever the data in them."""

from __future__ import annotations

import pytest

from promptfront.search.errors import InputError


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ("\n", r"\n"),
        ("\r", r"\r"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x85", r"\x85"),
        ("\u2028", r"\u2028"),
        ("\u202e", r"\u202e"),
        ("\ud800", r"\ud800"),
        ("好 é 🙂", "好 é 🙂"),
    ],
)
def test_a_message_is_one_line(odd: str, shown: str) -> None:
    """What would break the line, or do something to the terminal, is written as an escape; other text stays."""
    assert f"found a{shown}b" == str(InputError(f"found a{odd}b"))
