"""Texts as metrics read them: tokens of either language, normalized answers."""

from __future__ import annotations

import re
import string

from ..search.prompts.cjk import CJK

_WORDS_OR_CHARACTERS = re.compile(f"[{CJK}]|[^\\W_]+?(?=[{CJK}]|\\W|_|$)")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans(
    "", "", string.punctuation + "，。、；：？！“”‘’（）《》【】〈〉「」『』…—·～"
)


def characters(text: str) -> list[str]:
    """Return the tokens of a text with Chinese: each character, and each word of other scripts, in lower case."""
    return _WORDS_OR_CHARACTERS.findall(text.lower())


def normalized(text: str) -> str:
    """Return an answer as SQuAD's evaluation compares it: lower case, no punctuation, articles or further spaces.

    Rajpurkar et al. 2016, arXiv 1606.05250. Chinese punctuation goes as well.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())
