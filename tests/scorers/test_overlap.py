"""Overlap with references: the libraries' own numbers, and Chinese by characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from promptfront.scorers.overlap import bleu, chrf, rouge_1, rouge_2, rouge_l
from promptfront.search.contracts import Example
from promptfront.search.tasks.writing import summarize

if TYPE_CHECKING:
    from collections.abc import Callable

_METRICS = (rouge_1, rouge_2, rouge_l, bleu, chrf)


def test_the_numbers_are_the_references() -> None:
    """On 200 real articles, whose first line stands for the reply."""
    rows = summarize().test[:200]
    assert len(rows) == 200
    reference = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for row in rows:
        reply = row.inputs[0][1].split("\n")[0]
        expected = reference.score(row.target, reply)
        assert rouge_1(reply, row) == expected["rouge1"].fmeasure
        assert rouge_2(reply, row) == expected["rouge2"].fmeasure
        assert rouge_l(reply, row) == expected["rougeL"].fmeasure
        assert bleu(reply, row) == pytest.approx(
            sacrebleu.sentence_bleu(reply, [row.target]).score / 100
        )
        assert chrf(reply, row) == pytest.approx(
            sacrebleu.sentence_chrf(reply, [row.target]).score / 100
        )


@pytest.mark.parametrize("metric", _METRICS)
@pytest.mark.parametrize(
    "target", ["The cat sat on the mat today.", "今天我在北京工作，天气很好。"]
)
def test_gold_is_one_and_nothing_is_zero(
    metric: Callable[[str, Example], float], target: str
) -> None:
    """And with two references the gold one counts."""
    example = Example((("text", "x"),), target)
    assert metric(target, example) == pytest.approx(1)
    assert metric("", example) == 0
    assert metric(
        target, Example((("text", "x"),), "Some other text.", (target,))
    ) == pytest.approx(1)


def test_chinese_is_read_by_characters() -> None:
    """Four of five characters are in common; words of other scripts stay whole."""
    example = Example((("text", "x"),), "我爱北京市")
    assert rouge_1("我爱北京城", example) == pytest.approx(0.8)
    assert rouge_2("我爱北京城", example) == pytest.approx(0.75)
    assert rouge_1("gpt", Example((("text", "x"),), "我用GPT")) == pytest.approx(0.5)
