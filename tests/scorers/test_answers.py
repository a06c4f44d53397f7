"""Short answers against reference implementations and what their field knows of them."""

from __future__ import annotations

import pytest
from transformers.data.metrics.squad_metrics import compute_exact, compute_f1

from promptfront.scorers.answers import exact_match, key_phrases, number, token_f1
from promptfront.search.contracts import Example
from promptfront.search.tasks.answering import math, qa


def gold(*answers: str) -> Example:
    """Return an example with these answers."""
    return Example((("text", "x"),), answers[0], answers[1:])


def test_squad_scores_are_those_of_the_reference() -> None:
    """On 200 real answers, each against itself, the next one and both."""
    targets = [row.target for row in qa().test[:200]]
    assert len(targets) == 200
    for target, other in zip(targets, [*targets[1:], targets[0]], strict=True):
        for reply in (target, other, f"The {target.upper()}!", f"{target} and {other}", ""):
            assert exact_match(reply, gold(target)) == compute_exact(target, reply)
            assert token_f1(reply, gold(target)) == pytest.approx(compute_f1(target, reply))
            best = max(compute_f1(target, reply), compute_f1(other, reply))
            assert token_f1(reply, gold(target, other)) == pytest.approx(best)


def test_chinese_answers_are_characters() -> None:
    """Punctuation does not count, and there are no spaces to split at."""
    assert exact_match("北京市。", gold("北京市")) == 1
    assert token_f1("北京", gold("北京市")) == pytest.approx(0.8)
    assert token_f1("上海", gold("北京市")) == 0


@pytest.mark.parametrize(
    ("reply", "answer", "score"),
    [
        ("So she has 1,200 apples.", "#### 1200", 1),
        ("3 + 4 = 7", "7 balls", 1),
        ("7 of 8", "7 balls", 0),
        ("$3.50", "3.5 dollars", 1),
        ("-2", "2", 0),
        ("3/4", "0.75", 1),
        ("1/0", "1", 0),
        ("none", "1", 0),
        ("1", "none", None),
    ],
)
def test_the_last_number_counts(reply: str, answer: str, score: float | None) -> None:
    """Thousands, decimals, signs and fractions are read.

    An answer without a number cannot be scored.
    """
    assert number(reply, gold(answer)) == score


def test_a_gold_sum_scores_one() -> None:
    """On 200 real rows."""
    rows = math().test[:200]
    assert {1.0} == {number(row.target, row) for row in rows}
    assert {0.0} == {number("", row) for row in rows}


def test_key_phrases_are_sets_of_stems() -> None:
    """Order, case, inflection and repetition do not count; lists with bullets are lists."""
    example = gold("neural network", "graphs", "search trees")
    assert key_phrases("Search tree, neural networks; graph; Graphs", example) == 1
    assert key_phrases("- neural networks\n- cats", example) == pytest.approx(0.4)
    assert key_phrases("", example) == 0
    assert key_phrases("神经网络、图", gold("图，神经网络")) == 1
