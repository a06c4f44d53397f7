"""Scripts without spaces: one range for all that count, join or compare words."""

from __future__ import annotations

from promptfront.mutators.examples import example_words
from promptfront.mutators.lexicon import is_chinese, names
from promptfront.search.contracts import Example
from promptfront.search.prompts.cjk import cjk_count, has_cjk, mostly_cjk, word_count
from promptfront.search.prompts.sentences import join_sentences


def test_japanese_is_written_without_spaces_too() -> None:
    """Its syllables are counted, joined and found like Chinese characters, but are no Chinese."""
    assert (cjk_count("カメラ と 本"), word_count("カメラ と 本")) == (5, 5)
    assert has_cjk("ア")
    assert mostly_cjk("カメラは良い")
    assert join_sentences(["これはペン", "です。"]) == "これはペンです。"
    assert names("このカメラは", "カメラ")
    assert not is_chinese("このカメラはいい")


def test_other_scripts_have_spaces() -> None:
    """Korean, emoji and full-width signs are no words of their own."""
    assert cjk_count("한국어 문장 😀 ！？") == 0
    assert example_words(Example((("text", "한국어 문장이 있다"),), "😀😀😀😀")) == 4
