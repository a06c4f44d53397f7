"""Short answers: exact match, token F1, numbers, key phrases.

With several accepted answers the best match counts.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from ..search.contracts import Score
from .normalize import explained, normalized, tokens

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from ..search.contracts import Example

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?|[-+]?\.\d+")
_SEPARATORS = re.compile(r"[,;，；、\n]|\s-\s|^\s*[-*•]\s*|^\s*\d+[.)]\s", re.MULTILINE)
_RELATIVE = 1e-6


def exact_match(reply: str, example: Example) -> float:
    """Return 1 if the reply is one of the answers after SQuAD's normalization."""
    golds = {normalized(gold) for gold in example.golds}
    said = normalized(reply)
    if said in golds:
        return 1.0
    within = any(f" {gold} " in f" {said} " for gold in golds if gold)
    return Score(0.0, "it says more than the answer" if within else "")


def token_f1(reply: str, example: Example) -> float:
    """Return the F1 of the tokens that reply and answer share, as SQuAD's evaluation has it.

    Of characters in Chinese.
    """
    score = max(_f1(tokens(reply), tokens(gold)) for gold in example.golds)
    return explained(score, reply, example)


def number(reply: str, example: Example) -> float | None:
    """Return 1 if the reply's last number is the answer's; None if the answer has no number."""
    golds = [value for gold in example.golds if (value := _last_number(gold)) is not None]
    answer = _last_number(reply)
    if not golds:
        return None
    if answer is None:
        return Score(0.0, "it has no number")
    if any(abs(answer - gold) <= _RELATIVE * max(1, abs(gold)) for gold in golds):
        return 1.0
    return Score(0.0, f"its last number is {answer:g}")


def key_phrases(reply: str, example: Example) -> float:
    """Return the F1 of two lists of key phrases, compared by their stems (Porter 1980).

    The answer's phrases are the target's, between commas or lines, and every further reference. All
    of the reply's count (F1@M; Yuan et al. 2020, arXiv 1810.05241).
    """
    golds = {phrase for gold in example.golds for phrase in _phrases(gold)}
    found = _phrases(reply)
    lacking, beside = sorted(golds - found), sorted(found - golds)
    said = [f"it lacks {', '.join(lacking)}"] if lacking else []
    said += [f"it adds {', '.join(beside)}"] if beside else []
    return Score(_f1(found, golds), "; ".join(said))


def _f1(reply: Iterable[Hashable], gold: Iterable[Hashable]) -> float:
    ours, theirs = Counter(reply), Counter(gold)
    if not ours or not theirs:
        return float(ours == theirs)
    common = (ours & theirs).total()
    precision, recall = common / ours.total(), common / theirs.total()
    return 2 * precision * recall / (precision + recall) if common else 0.0


def _last_number(text: str) -> float | None:
    numbers = _NUMBER.findall(text)
    if not numbers:
        return None
    value, _, divisor = numbers[-1].replace(",", "").partition("/")
    if divisor and float(divisor) == 0:
        return None
    return float(value) / float(divisor or 1)


def _phrases(text: str) -> set[str]:
    phrases = (" ".join(_stem(word) for word in _words(part)) for part in _SEPARATORS.split(text))
    return {phrase for phrase in phrases if phrase}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@lru_cache(maxsize=10_000)
def _stem(word: str) -> str:
    from nltk.stem.porter import PorterStemmer

    return str(PorterStemmer().stem(word))
