"""Texts as metrics read them: tokens of either language, normalized answers."""

from __future__ import annotations

import re
import string

_CJK = "\u2e80-\u9fff\uf900-\ufaff\uff66-\uff9f"
_HAS_CJK = re.compile(f"[{_CJK}]")
_WORDS_OR_CHARACTERS = re.compile(f"[{_CJK}]|[^\\W_]+?(?=[{_CJK}]|\\W|_|$)")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "，。、；：？！“”‘’（）《》【】〈〉「」『』…—·～")


def is_cjk(text: str) -> bool:
    """Whether a text has Chinese or Japanese characters, which are tokens of their own."""
    return _HAS_CJK.search(text) is not None


def characters(text: str) -> list[str]:
    """Return the tokens of a text with Chinese: each character, and each word of other scripts, in lower case."""
    return _WORDS_OR_CHARACTERS.findall(text.lower())


def normalized(text: str) -> str:
    """Return an answer as SQuAD's evaluation compares it: lower case, no punctuation, articles or further spaces.

    Rajpurkar et al. 2016, arXiv 1606.05250. Chinese punctuation goes as well.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())
