"""Constraints as rules: measured on replies, and bound at decoding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptfront.scorers.overlap import rouge_l
from promptfront.search.contracts import (
    Constraint,
    Example,
    Form,
    GenerateRequest,
    LikelihoodRequest,
    Prompt,
    Rule,
    Structure,
    Task,
)
from promptfront.search.errors import InputError
from promptfront.search.evaluation.cached_model import CachedModel
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.replies import ReplyScores
from promptfront.search.prompts.render import prompt_from_dict, prompt_to_dict
from promptfront.search.prompts.rules import (
    bound,
    constraints_met,
    decoding_form,
    decoding_limit,
    obeys,
)
from promptfront.search.scoring import Metric, load_scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Backend

_ENGLISH, _CHINESE = (
    Example((("text", "A short review."),), ""),
    Example((("text", "这是一条评论。"),), ""),
)


_SCHEMA = (
    '{"type": "object", "required": ["mood"], "properties": {"mood": {"enum": ["good", "bad"]}}}'
)


def ruled(
    rule: Rule, limit: int | None = None, words: tuple[str, ...] = (), pattern: str = ""
) -> Constraint:
    """Return a constraint with a rule."""
    return Constraint(rule, "Keep to it.", limit, rule, words, pattern)


@pytest.mark.parametrize(
    ("constraint", "kept", "broken"),
    [
        (ruled("max_words", 3), "one two three", "one two three four"),
        (ruled("max_words", 4), "很好 ok 的", "很好很好的"),
        (ruled("max_words"), "one", "one two"),
        (ruled("max_lines", 2), "a\nb", "a\nb\nc"),
        (ruled("avoid", words=("I", "不")), "In it, 好", "so i say"),
        (ruled("avoid", words=("I", "不")), "", "我不说"),
        (ruled("include", words=("film", "plot")), "The plot of the FILM", "The films have a plot"),
        (ruled("choice", words=("yes", "no")), " yes\n", "yes and no"),
        (ruled("regex", pattern=r"\d{4}"), "1984", "in 1984"),
        (ruled("json", pattern=_SCHEMA), '{"mood": "good"}', '{"mood": "mixed"}'),
        (ruled("json"), '{"a": [1]}', "{a: 1}"),
        (ruled("json"), "3", ""),
        (ruled("language"), "A reply with 好 in it", "好的好的"),
        (ruled("language"), "ok", ""),
    ],
)
def test_rules_are_measured(constraint: Constraint, kept: str, broken: str) -> None:
    """Words at their borders, Chinese by characters; an empty reply is no JSON and no language."""
    assert obeys(constraint, kept, _ENGLISH) is True
    assert obeys(constraint, broken, _ENGLISH) is False


def test_the_language_is_that_of_the_input() -> None:
    """A Chinese input asks for Chinese."""
    assert obeys(ruled("language"), "很好，ok", _CHINESE)
    assert not obeys(ruled("language"), "fine", _CHINESE)


def test_what_has_no_rule_is_not_counted() -> None:
    """The share is of what can be measured, and there is none without anything."""
    told, length = Constraint("tone", "Be kind."), ruled("max_words", 1)
    assert obeys(told, "x", _ENGLISH) is None
    assert constraints_met([told, length], [_ENGLISH] * 2, ["x", "x y"]) == 0.5
    assert constraints_met([told], [_ENGLISH], ["x"]) is None


def test_decoding_leaves_room_for_what_keeps_to_a_limit() -> None:
    """The tightest rule counts, a Chinese character may be several tokens, a line ends itself."""
    assert decoding_limit([ruled("max_words", 10), ruled("max_words", 3)], 128) == (14, ())
    assert decoding_limit([Constraint("l", "不超过{limit}个字。", 10, "max_words")], 128) == (
        38,
        (),
    )
    assert decoding_limit([ruled("max_words", 500), ruled("max_lines", 1)], 128) == (128, ("\n",))


@given(st.text("ab 好的\n\u3000"), st.integers(1, 5))
def test_a_reply_ends_at_its_limit(text: str, limit: int) -> None:
    """It is a beginning of what was written, whole where that keeps to the limit."""
    for rule in (ruled("max_words", limit), ruled("max_lines", limit)):
        cut = bound([rule], text)
        assert cut in text
        assert obeys(rule, cut, _ENGLISH)
        assert cut.strip() == text.strip() or not obeys(rule, text, _ENGLISH)
    assert bound([ruled("max_words", 3), ruled("avoid", words=("x",))], "x 好 y z") == "x 好 y"


def test_a_form_is_asked_for_where_a_backend_can_hold_to_it() -> None:
    """The first constraint of a form decides.

    What is held to it ends with it, and others write up to a stop.
    """
    asked: list[dict[str, object]] = []

    class Writer:
        fingerprint = "w"

        def generate(self, prompts: Sequence[str], **options: object) -> list[str]:
            asked.append(options)
            return ["1"] * len(prompts)

    class Former(Writer):
        holds_to_form = True

    form = decoding_form(
        [ruled("max_words", 3), ruled("json", pattern=_SCHEMA), ruled("choice", words=("a",))]
    )
    assert form == Form("json", _SCHEMA)
    assert decoding_form([ruled("choice", words=("a", "好"))]) == Form("choice", '["a", "好"]')
    assert decoding_form([ruled("max_words", 3)]) is None
    for backend in (Writer(), Former()):
        CachedModel(cast("Backend", backend)).outputs(
            [GenerateRequest("p", 5, ("\n",), form), GenerateRequest("p", 5, ("\n",))]
        )
    assert [{*options} - {"max_tokens", "temperature", "seed"} for options in asked] == [
        {"stop"},
        {"stop"},
        {"form"},
        {"stop"},
    ]


def test_a_limit_is_stated_bound_and_measured(reviews: Task, default_backend: HFBackend) -> None:
    """With the real model.

    Decoding ends near the limit, replies at it, and the share of constraints met is known.
    """
    task = replace(reviews, labels=(), scorer="rouge-l", max_tokens=40, dev=reviews.dev[:4])
    evaluator = Evaluator(task, default_backend, Metric("rouge-l", rouge_l))
    limited = replace(
        task.start,
        constraints=(Constraint("length", "Use {limit} words at most.", 4, "max_words"),),
    )
    scores = ReplyScores(Metric("rouge-l", rouge_l))
    plain, held = (evaluator.measure([p], task.dev)[0] for p in (task.start, limited))
    free = [reply.text for reply in scores.bound(task.start, task.dev, plain)]
    short = [reply.text for reply in scores.bound(limited, task.dev, held)]
    assert max(len(text.split()) for text in short) <= 4 < max(len(text.split()) for text in free)
    written = [reply.text for reply in scores.written(limited, task.dev, held)]
    assert max(len(default_backend._tokenizer(text)["input_ids"]) for text in written) <= 16
    assert all(text.startswith(part) for text, part in zip(written, short, strict=True))
    expected = sum(len(text.split()) <= 4 for text in written) / 4
    assert evaluator.constraints_met(limited, task.dev) == expected
    assert evaluator.constraints_met(task.start, task.dev) is None


def test_a_rule_survives_the_database() -> None:
    """With its words; files from before rules are read too."""
    prompt = Prompt("x", Structure(("Text",), "Answer"), (), (ruled("avoid", words=("a", "好")),))
    parts = prompt_to_dict(prompt)
    assert prompt_from_dict(parts) == prompt
    parts["constraints"] = [{"name": "n", "template": "t", "limit": None}]
    assert prompt_from_dict(parts).constraints == (Constraint("n", "t"),)


def _no_judge(_: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
    raise AssertionError("no model is asked")


def test_constraints_met_are_a_score() -> None:
    """It is the share of the task's rules kept, also as a part.

    A task without any is a sentence.
    """
    task = Task(
        "t",
        "",
        Prompt("Answer.", Structure(("Text",), "Answer")),
        ("text",),
        "answer",
        (),
        (),
        (),
        (),
        constraints=(ruled("max_words", 2), ruled("avoid", words=("no",)), ruled("")),
    )
    found = load_scorer("constraints-met").prepare(task, _no_judge)
    assert found.score_replies([_ENGLISH] * 3, ["yes", "no", "no no no"]) == [1.0, 0.5, 0.0]  # type: ignore[union-attr]
    half = load_scorer("1*constraints-met+1*exact-match").prepare(task, _no_judge)
    assert half.score_replies([Example(_ENGLISH.inputs, "no", ("no",))], ["no"]) == [0.75]  # type: ignore[union-attr]
    with pytest.raises(InputError, match="the task 't' has no constraint with a rule"):
        load_scorer("constraints-met").prepare(replace(task, constraints=(ruled(""),)), _no_judge)
