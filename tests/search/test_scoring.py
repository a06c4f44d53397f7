"""Scorers by name and by file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from promptfront.search.contracts import Example
from promptfront.search.errors import InputError
from promptfront.search.scoring import load_scorer

if TYPE_CHECKING:
    from pathlib import Path

_ROW = Example((("text", "a {b}"),), "gold")


def test_a_function_in_a_file_is_a_scorer(tmp_path: Path) -> None:
    """It gets the reply and the example, and None stays None."""
    (tmp_path / "s.py").write_text(
        "def half(reply, example):\n    return None if not reply else 0.5 * (reply == "
        "example.target)\n"
    )
    scorer = load_scorer(f"{tmp_path}/s.py:half")
    assert scorer.score_replies([_ROW] * 3, ["gold", "", "x"]) == [0.5, None, 0.0]  # type: ignore[union-attr]


def test_a_class_is_made_once(tmp_path: Path) -> None:
    """A scorer that wants whole batches has the method itself."""
    (tmp_path / "s.py").write_text(
        "from promptfront.search.contracts import ReplyScorer\n"
        "class Length(ReplyScorer):\n    def score_replies(self, examples, replies):\n        "
        "return [min(1, len(r) / 9) for r in replies]\n"
    )
    assert load_scorer(f"{tmp_path}/s.py:Length").score_replies([_ROW], ["abc"]) == [1 / 3]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "def s(reply, example):\n    return 2\n",
            "expected a number from 0 to 1 or None, found 2",
        ),
        ("def s(reply, example):\n    return reply.missing\n", "AttributeError"),
        (
            "def s(reply, example):\n    return float('nan')\n",
            "expected a number from 0 to 1 or None, found nan",
        ),
        ("def s(reply):\n    return 1\n", "expected a function of a reply and an example"),
        ("s = 3\n", "expected a function of a reply and an example"),
        ("class s:\n    def __init__(self):\n        raise ValueError('no')\n", "ValueError: no"),
        ("t = 3\n", "AttributeError"),
    ],
)
def test_what_is_no_scorer_is_told(tmp_path: Path, code: str, message: str) -> None:
    """In one sentence that names the scorer."""
    (tmp_path / "s.py").write_text(code)
    with pytest.raises(InputError, match=message) as caught:
        load_scorer(f"{tmp_path}/s.py:s").score_replies([_ROW], ["x"])  # type: ignore[union-attr]
    assert "s.py:s" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_name_is_told() -> None:
    """With the nearest that is there."""
    with pytest.raises(InputError, match="did you mean 'rouge-l'"):
        load_scorer("rougel")


def test_several_scorers_have_weights(tmp_path: Path) -> None:
    """Their mean; what one of them cannot score is not scored."""
    (tmp_path / "s.py").write_text(
        "def known(reply, example):\n    return None if reply == '?' else 1.0\n"
    )
    row = Example((("text", "x"),), "a b")
    found = load_scorer(f"3*exact-match+1*{tmp_path}/s.py:known")
    assert found.score_replies([row] * 3, ["a b", "c", "?"]) == [1.0, 0.25, None]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name", ["0*chrf+1*bleu", "x*chrf", "1*", "1*labels", "1*rouge-l+2", "nan*chrf", "1*rouge9"]
)
def test_bad_weights_are_told(name: str) -> None:
    """In one sentence."""
    with pytest.raises(InputError) as caught:
        load_scorer(name)
    assert "\n" not in str(caught.value)
