"""What a proposer says becomes an instruction, or nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import pytest

from promptfront.search.contracts import (
    Candidate,
    Example,
    MutationContext,
    Mutator,
    Prompt,
    Structure,
    Task,
    Text,
)
from promptfront.search.plugins import load
from tests.mutators import any_task
from tests.mutators.any_task import make

GOOD = "Tell whether a review is positive or negative."


START = "Classify the sentiment of the review as positive or negative."


def make_task(instruction: str = START, labels: tuple[str, ...] = ("negative", "positive")) -> Task:
    """Return a task of twenty reviews."""
    train = tuple(
        Example((("text", f"a film about {{people}} and place {i}"),), labels[i % len(labels)])
        for i in range(20)
    )
    return Task(
        "t",
        "here",
        Prompt(instruction, Structure(("Review",), "Sentiment")),
        ("text",),
        "label",
        labels,
        train,
        (),
        (),
    )


def proposed(name: str, task: Task, replies: Sequence[str], asked: list[Text] | None = None) -> str:
    """Return the instruction that a mutator makes of the replies."""

    def propose(prompts: Sequence[Text], _: int) -> list[str]:
        if asked is not None:
            asked.extend(prompts)
        return [replies[i % len(replies)] for i in range(len(prompts))]

    front = (
        Candidate(task.start, 0.5, 9),
        Candidate(replace(task.start, instruction="Is it good or bad?"), 0.6, 12),
    )
    context = MutationContext(
        task, front, random.Random(0), propose, lambda _, rows: [0.0] * len(rows)
    )
    mutator = cast("Callable[[], Mutator]", load("promptfront.mutators", name))()
    return mutator.mutate(task.start, context).instruction


@pytest.mark.parametrize("name", ["paraphrase", "induce", "crossover"])
@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f'"{GOOD}"',
        f"Sure! Here's a rewritten version:\n\n**{GOOD}**\n\nLet me know if you need anything "
        "else!",
        f"Sure, here is one short sentence: {GOOD}",
        f"Instruction: {GOOD}",
        f"**Instruction:** {GOOD}",
        f"1. {GOOD}\n2. Decide which of positive or negative fits the review.",
        f"“{GOOD}” This keeps the meaning.",
        f"The instruction is to {GOOD[0].lower()}{GOOD[1:]}",
    ],
)
def test_an_instruction_is_cut_out_of_chatter(name: str, reply: str) -> None:
    """However it is wrapped, the sentence alone is taken."""
    assert proposed(name, make_task(), ["", reply]) == GOOD


@pytest.mark.parametrize("name", ["paraphrase", "induce", "crossover"])
@pytest.mark.parametrize(
    "reply",
    [
        "",
        "  \n ",
        "positive",
        "Sentiment: positive",
        "The review is clearly positive.",
        START,
        START.upper().rstrip("."),
        "Sure! I can help with that.",
        "I'm sorry, but I cannot rewrite the review.",
        "As an AI language model, I read every review.",
        "Sure! Keep its meaning and every label it names. Name all the possible outputs. Keep "
        "every label they name.",
        "Say this instruction in different words: is the review positive or negative?",
        "Input: a film Output: positive or negative",
        "Write a poem about the sea.",
        f"{GOOD} " * 6,
        "Read the review, decide whether it is positive or negative, and",
    ],
)
def test_what_is_no_instruction_costs_no_score(name: str, reply: str) -> None:
    """Chatter, answers, copies, echoes, rambling and torn off text leave the prompt as it was."""
    assert proposed(name, make_task(), [reply]) == START


def test_a_reply_that_quotes_an_example_is_refused() -> None:
    """An instruction induced from examples must not carry one of them."""
    leak = "Is a review like a film about {people} and place 3 positive or negative?"
    assert proposed("induce", replace(make_task(), train=make_task().train[3:4]), [leak]) == START


def test_a_parent_that_names_one_label_may_have_such_a_child() -> None:
    """What the user's own instruction says is not a leak."""
    task = make_task("Is this message spam?", ("spam", "ham"))
    assert (
        proposed("paraphrase", task, ["Does the message look like spam?"])
        == "Does the message look like spam?"
    )


def test_a_task_of_rewriting_may_speak_of_it() -> None:
    """Words that are chatter elsewhere are not where the parent uses them."""
    task = make_task("Rewrite the review as positive or negative.")
    child = "Rewrite each review to be positive or negative."
    assert proposed("paraphrase", task, [child]) == child


def test_labels_are_words_not_letters() -> None:
    """A label such as "1" is not named by "10"."""
    task = make_task("Rate the review from 0 to 10.", ("1", "2"))
    child = "Give the review a rating up to 10."
    assert proposed("paraphrase", task, [child]) == child


def test_the_proposer_sees_examples_of_every_label_and_literal_data() -> None:
    """Of one label alone no task can be induced; braces in the data arrive as they are."""
    asked: list[Text] = []
    proposed("induce", make_task(), [GOOD], asked)
    content = cast("tuple[tuple[str, str], ...]", asked[0])[0][1]
    assert len(asked) > 1
    assert content.count("Output: positive") == content.count("Output: negative") == 3
    assert "{people}" in content


def test_a_proposal_must_look_like_an_instruction() -> None:
    """Chatter, answers and echoes are passed over; the first reply that fits is taken."""
    task = any_task.make_task(
        [f"text {i}" for i in range(9)], ("negative", "positive"), "Classify the review."
    )
    assert (
        make("paraphrase").mutate(task.start, any_task.context(task, 0)).instruction
        == "Tell if a review is positive or negative."
    )


def test_without_a_valid_proposal_nothing_changes() -> None:
    """A proposer that only chatters costs no score."""
    task = any_task.make_task(
        [f"text {i}" for i in range(9)], ("negative", "positive"), "Classify the review."
    )
    bad = replace(
        any_task.context(task, 0),
        propose=lambda prompts, _: ["I'm sorry, I cannot rewrite the review."] * len(prompts),
    )
    for name in ("paraphrase", "induce", "crossover"):
        assert task.start == make(name).mutate(task.start, bad)


LONG = (
    "You sort reviews for a film shop.\n\n"
    "1. Read the review in {{text}} to its end.\n"
    "2. Ignore what it says of the plot.\n"
    "Then say whether it is positive or negative:"
)


@pytest.mark.parametrize(
    ("reply", "part", "new"),
    [
        ("Leave its plot out", "Ignore what it says of the plot.", "Leave its plot out."),
        ('Sure! Here it is:\n"2. Leave its plot out."', "Ignore what it says of the plot.",
         "Leave its plot out."),
        ("Read all of {{text}} first.", "Read the review in {{text}} to its end.",
         "Read all of {{text}} first."),
        ("Is it positive or negative:", "Then say whether it is positive or negative:",
         "Is it positive or negative:"),
        ("You sort reviews for a film shop.", "", ""),
        ("Is the plot positive?", "", ""),
        ("Read {text} first.", "", ""),
        ("", "", ""),
        ("I can rewrite that.", "", ""),
        ("word " * 30, "", ""),
    ],
)  # fmt: skip
def test_one_sentence_of_a_long_instruction_is_reworded(reply: str, part: str, new: str) -> None:
    """It stands where the old one stood, with its number, its end, its fields and its labels."""
    task, found = make_task(LONG), set()
    mutator = make("rewrite-sentence")
    for seed in range(16):
        context = replace(
            any_task.context(task, seed), propose=lambda prompts, _: [reply] * len(prompts)
        )
        found.add(mutator.mutate(task.start, context).instruction)
    assert (LONG.replace(part, new) in found) if part else (found == {LONG})
    assert all("{{text}}" in one and "\n1. " in one for one in found)
    assert make_task().start == mutator.mutate(make_task().start, context)


def test_what_may_be_long_follows_what_it_replaces() -> None:
    """A long instruction is rewritten whole, in lines; a short one in a sentence."""
    limits: list[int] = []
    whole = LONG.replace("for a film shop", "of films").replace("Ignore what it", "Forget all it")

    def propose(prompts: Sequence[Text], most: int) -> list[str]:
        limits.append(most)
        return [f"Here is the new instruction:\n\n{whole}"] * len(prompts)

    for task, expected in ((make_task(LONG), whole), (make_task(), START)):
        context = replace(any_task.context(task, 0), propose=propose)
        assert expected == make("paraphrase").mutate(task.start, context).instruction
    assert limits == [3 * len(LONG.split()), 40]


def test_an_instruction_that_loses_a_field_or_a_label_is_refused() -> None:
    """What stands in braces is no word, and without its labels nothing can be answered."""
    task = make_task("Read {{text}}. Is it positive or negative?")
    good = "Is {{text}} positive or negative?"
    assert good == proposed("paraphrase", task, [good])
    for bad in ("Is the review positive or negative?", "Is {text} positive or negative?"):
        assert task.start.instruction == proposed("paraphrase", task, [bad])
    assert START == proposed("paraphrase", make_task(), ["What is the sentiment of the review?"])


def test_an_induced_instruction_may_say_how_to_decide() -> None:
    """Now and then several sentences are asked for, and then they are taken."""
    task = make_task()
    explained = f"{GOOD} Praise of people makes it positive. Boredom makes it negative."
    taken = set()
    for seed in range(12):
        context = replace(
            any_task.context(task, seed), propose=lambda prompts, _: [explained] * len(prompts)
        )
        taken.add(make("induce").mutate(task.start, context).instruction)
    assert explained in taken


def test_what_is_cut_off_is_no_proposal() -> None:
    """A line that is as long as its tokens allow and has no end is half a sentence."""
    cut = "Tell whether a review is positive or negative " + "by what it really says of films " * 2
    assert START == proposed("paraphrase", make_task(), [cut + "they made"])


def test_a_chinese_instruction_is_reworded_in_chinese() -> None:
    """The proposer is asked in the language that it is to answer in."""
    asked: list[Text] = []
    task = make_task("判断评论的情感是正面还是负面。", ("正面", "负面"))
    child = "这条评论是正面的还是负面的？"
    assert child == proposed("paraphrase", task, [child], asked)
    assert "改写" in asked[0][0].content  # type: ignore[union-attr]
