"""Texts as metrics read them: tokens of either language, normalized answers."""

from __future__ import annotations

import re
import string

from ..search.prompts.cjk import CJK

_WORDS_OR_CHARACTERS = re.compile(f"[{CJK}]|[^\\W_]+?(?=[{CJK}]|\\W|_|$)")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_CHINESE_PUNCTUATION = "，。、；：？！“”‘’（）《》【】〈〉「」『』…—·～"
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
