"""Overlap with reference texts: ROUGE, BLEU and chrF, computed by their well-kept libraries.

With several references ROUGE takes the best, BLEU and chrF compare with all at once, as the
libraries do.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..search.prompts.cjk import has_cjk
from .normalize import characters, explained

if TYPE_CHECKING:
    from ..search.contracts import Example


def rouge_1(reply: str, example: Example) -> float:
    """Return ROUGE-1 F (Lin 2004): the words that both texts have; characters in Chinese."""
    return _rouge("rouge1", reply, example)


def rouge_2(reply: str, example: Example) -> float:
    """Return ROUGE-2 F: the pairs of words that both texts have."""
    return _rouge("rouge2", reply, example)


def rouge_l(reply: str, example: Example) -> float:
    """Return ROUGE-L F: the longest common subsequence."""
    return _rouge("rougeL", reply, example)


def bleu(reply: str, example: Example) -> float:
    """Return sentence BLEU (Papineni et al. 2002) as sacrebleu has it; characters in Chinese."""
    from sacrebleu import sentence_bleu

    tokenizer = "zh" if any(map(has_cjk, example.golds)) else "13a"
    return min(
        1.0, float(sentence_bleu(reply, list(example.golds), tokenize=tokenizer).score) / 100
    )


def chrf(reply: str, example: Example) -> float:
    """Return sentence chrF (Popović 2015): n-grams of characters, in any language and in code."""
    from sacrebleu import sentence_chrf

    return min(1.0, float(sentence_chrf(reply, list(example.golds)).score) / 100)


def _rouge(name: str, reply: str, example: Example) -> float:
    scorer = _scorer(name, any(map(has_cjk, example.golds)))
    best = max(float(scorer.score(gold, reply)[name].fmeasure) for gold in example.golds)
    return explained(best, reply, example)


class _Characters:
    """What rouge-score takes as a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return characters(text)


@cache
def _scorer(name: str, chinese: bool) -> Any:  # noqa: ANN401 (the library publishes no types)
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([name], tokenizer=_Characters() if chinese else None)
