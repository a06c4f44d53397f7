"""What the rule-based mutators write, and what they never write: another task than the user's."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import pytest

from promptfront.mutators.constraints import known_constraints
from promptfront.mutators.sentences import join_sentences, split_sentences
from promptfront.search.contracts import (
    Candidate,
    Constraint,
    Example,
    MutationContext,
    Mutator,
    Prompt,
    Structure,
    Task,
)
from promptfront.search.plugins import load

SENTIMENT = ("negative", "positive")


def make_task(
    instruction: str, labels: tuple[str, ...] = SENTIMENT, text: str = "text", **structure: object
) -> Task:
    """Return a task of forty short rows."""
    train = tuple(
        Example((("text", f"{text} {i}"),), labels[i % len(labels)] if labels else "an answer")
        for i in range(40)
    )
    start = Prompt(instruction, replace(Structure(("Review",), "Sentiment"), **structure))  # type: ignore[arg-type]
    return Task("t", "here", start, ("text",), "label", labels, train, (), ())


def results(name: str, task: Task, prompt: Prompt | None = None) -> list[Prompt]:
    """Return what a mutator makes of a prompt, by default the task's first, with many seeds."""
    prompt = prompt or task.start
    mutator = cast("Callable[[], Mutator]", load("promptfront.mutators", name))()
    return [mutator.mutate(prompt, context(task, seed)) for seed in range(60)]


def context(task: Task, seed: int, replies: Sequence[str] = ("",)) -> MutationContext:
    """Return a context whose proposer gives the replies in turn."""
    front = (Candidate(task.start, 0.5, 9),)

    def propose(prompts: Sequence[object], _: int) -> list[str]:
        return [replies[i % len(replies)] for i in range(len(prompts))]

    return MutationContext(
        task, front, random.Random(seed), propose, lambda _, rows: [0.0] * len(rows)
    )


def instructions(name: str, instruction: str, labels: tuple[str, ...] = SENTIMENT) -> set[str]:
    """Return every instruction that a mutator makes of one."""
    return {prompt.instruction for prompt in results(name, make_task(instruction, labels))}


def test_a_plain_instruction_has_plain_forms() -> None:
    """An instruction that says no more than labels and fields do is replaced by other forms."""
    for plain in (
        "",
        "Classify the review as negative or positive.",
        "Classify the sentiment of the movie review.",
    ):
        assert "Is the review negative or positive?" in instructions("rewrite", plain)


@pytest.mark.parametrize(
    ("own", "labels"),
    [
        ("Does the review complain about delivery?", ("yes", "no")),
        ("Is the opinion of the battery positive or negative?", SENTIMENT),
        ("Does the first sentence entail the second?", ("entailment", "contradiction")),
        ("判断评论对电池的看法。", ("正面", "负面")),
    ],
)
def test_an_instruction_that_says_more_is_kept_or_dropped(
    own: str, labels: tuple[str, ...]
) -> None:
    """No form states another task.

    Each is empty or holds the user's words, but for the verb they open with.
    """
    core = own.rstrip("?.。").removeprefix("判断")
    forms = instructions("rewrite", own, labels)
    assert len(forms) > 4
    assert all(core in form for form in forms if form)


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


@pytest.mark.parametrize(
    ("own", "labels"),
    [
        ("Classify the review as good, bad, or mixed.", ("good", "bad", "mixed")),
        (
            "Rate it: very bad, bad, good or very good, please, and be quick about it now.",
            ("very bad", "bad", "good", "very good"),
        ),
        ("Positive means praise. Negative means blame.", SENTIMENT),
    ],
)
def test_shorter_instructions_name_all_labels_or_none(own: str, labels: tuple[str, ...]) -> None:
    """A form that names some of the labels would be another task."""
    for form in instructions("shorten", own, labels) | instructions("drop-sentence", own, labels):
        assert [label in form.lower() for label in labels] in (
            [True] * len(labels),
            [False] * len(labels),
        )


def test_chinese_words_that_hold_a_filler_stay_whole() -> None:
    """请 is politeness, but not in 申请 and 邀请."""
    assert instructions("shorten", "请判断这是申请还是邀请。", ("申请", "邀请")) == {
        "判断这是申请还是邀请。"
    }


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two? Three!", 3),
        ("See e.g. the stars. Then decide.", 2),
        ("Choose one: good; bad.", 1),
        ("他说：“好。”然后走了。", 2),
        ("- first\n- second\n\nThen {x}.", 3),
        ("1. Read it.\n2. Decide.", 2),
    ],
)
def test_sentences_are_found_and_joined_again(text: str, sentences: int) -> None:
    """Abbreviations, colons and lists do not end one; line breaks stay."""
    assert len(split_sentences(text)) == sentences
    assert join_sentences(split_sentences(text)) == text


def test_no_two_built_in_rules_fix_the_form_of_the_answer() -> None:
    """A limit, one word and the labels only would repeat or contradict each other."""
    prompt = replace(
        make_task("").start, constraints=(Constraint("one-word", "Answer with one word."),)
    )
    added = {p.constraints for p in results("add-constraint", make_task(""), prompt)}
    assert {c.name for rules in added for c in rules} == {
        "one-word",
        "no-explanation",
        "closest",
        "overall",
    }


def test_rules_suit_the_task() -> None:
    """The tone is for sentiment, labels for label tasks, one word for answers of one word."""
    names = {
        labels: {
            c.name for c in known_constraints(make_task("", labels).start, make_task("", labels))
        }
        for labels in (SENTIMENT, ("spam", "not spam"), ())
    }
    assert {"overall", "one-word", "labels-only"} <= names[SENTIMENT]
    assert not {"overall", "one-word"} & names["spam", "not spam"]
    assert names[()] == {"length", "no-explanation", "language"}


def test_a_limit_stays_long_enough_for_the_labels() -> None:
    """What a label needs is not forbidden; other limits go down to one."""
    task = make_task("", ("recommended", "not recommended"))
    for name, limit in (("length", 2), ("mine", 1)):
        prompt = replace(task.start, constraints=(Constraint(name, "At most {limit}.", 3),))
        assert {p.constraints[0].limit for p in results("tighten-constraint", task, prompt)} == {
            max(limit, 1)
        }


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
