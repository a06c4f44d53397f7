"""Texts as metrics read them: tokens of either language, normalized answers."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from ..search.contracts import Score
from ..search.prompts.cjk import CJK, has_cjk, word_count

if TYPE_CHECKING:
    from ..search.contracts import Example

_WORDS_OR_CHARACTERS = re.compile(f"[{CJK}]|[^\\W_]+?(?=[{CJK}]|\\W|_|$)")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_CHINESE_PUNCTUATION = "，。、；：？！“”‘’（）《》【】〈〉「」『』…—·～"
_MISSED = 6
"""Words of the answer that a sentence on a reply names at most."""
_LONG = 2
"""A reply of so many times the answer's words is told to be long."""
_PUNCTUATION = str.maketrans("", "", string.punctuation + _CHINESE_PUNCTUATION)


def characters(text: str) -> list[str]:
    """Return the tokens of a text with Chinese, in lower case: characters, and other words."""
    return _WORDS_OR_CHARACTERS.findall(text.lower())


def normalized(text: str) -> str:
    """Return an answer as SQuAD's evaluation compares it.

    Lower case, no punctuation, articles or further spaces. Rajpurkar et al. 2016, arXiv 1606.05250.
    Chinese punctuation goes as well.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def tokens(text: str) -> list[str]:
    """Return the words of a normalized text; of one with Chinese its characters."""
    text = normalized(text)
    return characters(text) if has_cjk(text) else text.split()


def explained(score: float, reply: str, example: Example) -> float:
    """Return a score below 1 with what the reply lacks of the answer, and whether it is long."""
    if score >= 1:
        return score
    said, gold = set(tokens(reply)), example.golds[0]
    missed = [word for word in dict.fromkeys(tokens(gold)) if word not in said]
    words, wanted = word_count(reply), word_count(gold)
    parts = [f"it lacks {', '.join(missed[:_MISSED])}"] if missed else []
    parts += [f"it has {words} words, the answer {wanted}"] if words > _LONG * wanted else []
    return Score(score, "; ".join(parts))
