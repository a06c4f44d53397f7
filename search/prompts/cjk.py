"""Scripts written without spaces, Chinese and Japanese: there each character counts as a word."""

from __future__ import annotations

import re

CJK = "\u2e80-\u9fff\uf900-\ufaff\uff66-\uff9f"
"""Their characters, for the inside of a regular expression's brackets."""
HAN = "\u3400-\u9fff"
"""The characters of Chinese among them, which tell it from a text of Japanese syllables."""
_CJK, _WORD = re.compile(f"[{CJK}]"), re.compile(f"(?!\\s)[{CJK}]|[^\\s{CJK}]+")


def has_cjk(text: str) -> bool:
    """Whether a text has a character of such a script."""
    return _CJK.search(text) is not None


def cjk_count(text: str) -> int:
    """Return the number of a text's characters of such a script."""
    return len(_CJK.findall(text))


def mostly_cjk(text: str) -> bool:
    """Whether at least a third of a text's letters are of such a script."""
    return 3 * cjk_count(text) >= max(1, sum(map(str.isalpha, text)))


def word_count(text: str) -> int:
    """Return the number of words, each character of such a script counted as one."""
    return len(_WORD.findall(text))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where each word begins and ends, counted as in `word_count`."""
    return [match.span() for match in _WORD.finditer(text)]


def first_words(text: str, count: int) -> str:
    """Return the beginning of a text with that many words at most, counted as in `word_count`."""
    ends = [match.end() for match in _WORD.finditer(text)]
    return text if len(ends) <= count else text[: ends[count - 1]]
