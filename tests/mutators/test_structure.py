"""Structure: one aspect at a time, in the task's language."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.contracts import (
    Structure,
)
from promptfront.search.proposals.inventory import load_mutators
from tests.mutators.many_seeds import SENTIMENT, context, instructions, make_task, results


def test_labels_that_mean_nothing_alone_make_no_question() -> None:
    """Nobody understands "Is the review yes or no?"."""
    for labels in (("yes", "no"), ("0", "1"), ("a", "b")):
        assert all(
            " is the review " not in f" {form.lower()}"
            for form in instructions("rewrite", "", labels)
        )
        assert {
            prompt.structure.question for prompt in results("question", make_task("", labels))
        } == {""}


def test_verbalizers_fit_the_labels() -> None:
    """Positive and negative get words of their kind, and unknown labels only change their case."""
    sets = {p.structure.verbalizers for p in results("verbalizers", make_task(""))}
    assert (("negative", "bad"), ("positive", "good")) in sets
    texts = {
        t
        for p in results("verbalizers", make_task("", ("zig/zag", "quux")))
        for _, t in p.structure.verbalizers
    }
    assert {text.casefold() for text in texts} <= {"zig/zag", "quux"}


def test_verbalizers_vary_the_users_own() -> None:
    """A label that has its meaning from the user's text never loses it."""
    task = make_task("", ("0", "1"), verbalizers=(("0", "negative"), ("1", "positive")))
    sets = [dict(p.structure.verbalizers) for p in results("verbalizers", task)]
    assert all(set(texts) == {"0", "1"} and not set(texts.values()) & {"0", "1"} for texts in sets)
    assert {"0": "bad", "1": "good"} in sets


def test_a_question_lists_the_texts_that_are_scored() -> None:
    """When the texts change, so does a question that lists them."""
    task = make_task("", question="Is this review negative or positive?")
    for prompt in results("verbalizers", task):
        assert all(
            prompt.structure.verbalize(label) in prompt.structure.question for label in SENTIMENT
        )


@pytest.mark.parametrize(
    ("name", "aspects"),
    [
        ("field-names", {"input_labels", "target_label"}),
        ("separators", {"field_separator", "block_separator"}),
        ("verbalizers", {"verbalizers", "question"}),
        ("question", {"question"}),
        ("layout", {"layout"}),
        ("calibration", {"calibration"}),
    ],
)
def test_structure_mutators_change_one_aspect(name: str, aspects: set[str]) -> None:
    """Everything else about the structure stays, and the separators stay distinct."""
    task = make_task("")
    for prompt in results(name, task):
        old, new = task.start.structure, prompt.structure
        assert {f for f in Structure.__slots__ if getattr(old, f) != getattr(new, f)} <= aspects
        assert new.field_separator != new.block_separator


def test_names_speak_the_language_of_the_task() -> None:
    """A Chinese task gets Chinese names.

    A task that is not of sentiment is not called so; fields stay apart.
    """
    chinese = make_task(
        "", ("正面", "负面"), text="这部电影很好看", input_labels=("评论",), target_label="情感"
    )
    names = {
        n
        for p in results("field-names", chinese)
        for n in (*p.structure.input_labels, p.structure.target_label)
    }
    assert names >= {"文本", "标签"}
    assert not any(name.isascii() for name in names if name)
    spam = make_task("", ("spam", "ham"), input_labels=("Message",), target_label="Label")
    assert "Sentiment" not in {p.structure.target_label for p in results("field-names", spam)}
    pair = make_task("", input_labels=("Premise", "Hypothesis"))
    assert all(
        len({n.lower() for n in p.structure.input_labels}) == 2
        for p in results("field-names", pair)
    )


def test_replies_may_be_longer_where_they_are_cut_off() -> None:
    """Twice as long, up to four times; elsewhere there is nothing to propose."""
    mutator, task = load_mutators(())["longer-replies"], make_task("Sum it up.")
    cut = replace(context(task, 0), cut_off=lambda _: 0.3)
    twice = mutator.mutate(task.start, cut)
    assert twice == replace(task.start, structure=replace(task.start.structure, reply_factor=2))
    assert mutator.mutate(twice, cut).structure.reply_factor == 4
    assert mutator.mutate(mutator.mutate(twice, cut), cut).structure.reply_factor == 4
    assert mutator.mutate(task.start, replace(cut, cut_off=lambda _: 0.05)) == task.start
