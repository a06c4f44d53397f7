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
