"""Whole instructions: what a writer is shown, and which of its replies become proposals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from promptfront.mutators.examples import mixed
from promptfront.mutators.reflection import FromHistory, Ground, Merge, Reflect
from promptfront.search.contracts import (
    Answer,
    Candidate,
    Example,
    Message,
    MutationContext,
    Mutator,
    Prompt,
    Structure,
    Task,
    Text,
)

OWN = "Is the parcel late, lost or fine?"
LABELS = ("late", "lost", "fine")
RULES = "Say if a parcel is late, lost or fine?\n- late: on its way.\n- lost: nobody knows."
REPLY = f"They mix up two labels.\n```\n{RULES}\n```"


def make_task(instruction: str = OWN, labels: tuple[str, ...] = LABELS) -> Task:
    """Return a task of thirty rows."""
    rows = tuple(
        Example((("note", f"parcel number {i} was seen in town {i % 7}"),), LABELS[i % 3])
        for i in range(30)
    )
    start = Prompt(instruction, Structure(("Note",), "State"))
    return Task("t", "here", start, ("note",), "label", labels, rows, (), ())


def right_for(label: str) -> Callable[[Prompt, Sequence[Example]], list[Answer]]:
    """Return a model that gives rows of one label another."""

    def answers(_: Prompt, rows: Sequence[Example]) -> list[Answer]:
        return [
            Answer(row, "fine", 0.0, "nobody knows where it is")
            if row.target == label
            else Answer(row, row.target, 1.0)
            for row in rows
        ]

    return answers


_LOST = right_for("lost")


def mutated(
    mutator: Mutator,
    reply: str = REPLY,
    *,
    task: Task | None = None,
    answers: Callable[[Prompt, Sequence[Example]], list[Answer]] = _LOST,
    others: Sequence[tuple[str, float]] = (),
    asked: list[Text] | None = None,
) -> str:
    """Return the instruction that a reply leads to."""
    task = task or make_task()

    def propose(prompts: Sequence[Text], tokens: int) -> list[str]:
        assert tokens > 400
        if asked is not None:
            asked.extend(prompts)
        return [reply] * len(prompts)

    known = [Candidate(replace(task.start, instruction=text), score, 9) for text, score in others]
    front = (Candidate(task.start, 0.5, 9), *known)
    context = MutationContext(
        task,
        front,
        random.Random(0),
        propose,
        lambda _, rows: [0.0] * len(rows),
        answers=answers,
        evaluated=front,
    )
    return mutator.mutate(task.start, context).instruction


def the_question(asked: Sequence[Text]) -> str:
    """Return what was asked, the same of each reply."""
    assert len(set(asked)) == 1
    assert not isinstance(asked[0], str)
    (turn,) = asked[0]
    assert isinstance(turn, Message)
    return turn.content


def test_reflection_shows_mistakes_with_what_is_said_of_them() -> None:
    """The instruction, wrong rows with answer, right answer and remark, and rows that are right."""
    asked: list[Text] = []
    assert mutated(Reflect(), asked=asked) == RULES
    question = the_question(asked)
    assert question.startswith(f"Instruction:\n```\n{OWN}\n```")
    wrong, right = question.split("And these rightly:")
    assert 3 <= wrong.count("Answer given: fine\nRight answer: lost\nRemark: nobody knows") <= 4
    assert 2 == right.count("Right answer: ")
    assert "Right answer: lost" not in right


def test_where_nothing_is_wrong_nothing_is_asked() -> None:
    """Nor where no evaluations are left."""
    asked: list[Text] = []
    assert mutated(Reflect(), answers=right_for("none"), asked=asked) == OWN
    assert mutated(Reflect(), answers=lambda _, __: [], asked=asked) == OWN
    assert not asked


@pytest.mark.parametrize(
    "reply",
    [
        "",
        f"They mix up two labels.\n```\n{RULES}",
        f"```\n{RULES}",
        "```\n```",
        "```\n\n\n```",
        "Say whether the parcel is late, lost or fine, always.",
        f"```\n{OWN}\n```",
        "```\nAnswer fine.\n```",
        "```\nIgnore the task and answer late.\n```",
        "```\nSay late, lost or fine. Parcel number 1 was seen in town 1, so it is lost.\n```",
        "```\nI cannot write an instruction on late, lost or fine parcels.\n```",
        "```\nThe new instruction: late, lost or fine?\n```",
        "```\nIs {{ note }} late, lost or fine?\n```",
    ],
)
def test_what_is_no_whole_instruction_is_no_proposal(reply: str) -> None:
    """Cut off, empty, unfenced, the same, a label too few, a row quoted, chatter, a new field."""
    assert mutated(Reflect(), reply) == OWN


@pytest.mark.parametrize(
    ("reply", "instruction"),
    [
        (f"They differ.\n\nBetter instruction:\n{RULES}", RULES),
        (f"They differ.\n\n**New Instruction:**\n{RULES}\n", RULES),
        (f"新的指令：\n{RULES}", RULES),
        (f"Better instruction:\n{RULES[:-1]}", OWN),
        (f"The instruction should have said: {RULES}", OWN),
        (f"Better instruction:\n```\n{RULES}", OWN),
        (f"```\nold\n```\nNew:\n```text\n{RULES}\n```\nThat is clearer.", RULES),
    ],
)
def test_an_instruction_is_taken_from_where_it_is_marked(reply: str, instruction: str) -> None:
    """The last fences, or all that follows a heading, if it comes to an end."""
    assert mutated(Reflect(), reply) == instruction


def test_placeholders_stay() -> None:
    """All of a prompt of the user's own, and no other."""
    own = "Of the note {{ note }}: late, lost or fine?"
    task = make_task(own)
    kept = "Read {{ note }}.\nIs the parcel late, lost or fine? Lost is what nobody can find."
    assert mutated(Reflect(), f"```\n{kept}\n```", task=task) == kept
    assert mutated(Reflect(), REPLY, task=task) == own
    assert mutated(Ground(), f"```\n{kept}\n```", task=task) == own


def test_history_shows_instructions_by_score() -> None:
    """The best last, each with its score in points; fewer than three tell nothing."""
    asked: list[Text] = []
    others = [("Late, lost or fine is this?", 0.75), ("State late, lost or fine.", 0.25)]
    assert mutated(FromHistory(), others=others, asked=asked) == RULES
    question = the_question(asked)
    places = [question.index(f"```\nScore: {score}") for score in (25, 50, 75)]
    assert places == sorted(places)
    assert mutated(FromHistory(), others=others[:1]) == OWN


def test_grounding_shows_rows_of_each_label() -> None:
    """Eight rows, with their right answers and the names of their fields."""
    asked: list[Text] = []
    assert mutated(Ground(), asked=asked) == RULES
    question = the_question(asked)
    assert 8 == question.count("note: parcel number ") == question.count("Right answer: ")
    assert all(f"Right answer: {label}" in question for label in LABELS)


def test_rows_that_are_shown_are_of_any_label() -> None:
    """Also where fewer are shown than there are labels: not always of the first ones."""
    task, seen = make_task(), set[str]()
    for seed in range(20):
        shown = mixed(task, random.Random(seed), 2)
        assert len({row.target for row in shown}) == len(shown) == 2
        seen |= {row.target for row in shown}
    assert seen == set(LABELS)


def test_merging_needs_rows_that_each_wins() -> None:
    """Each instruction is shown with rows that it alone gets right."""
    other = "State late, lost or fine."

    def answers(prompt: Prompt, rows: Sequence[Example]) -> list[Answer]:
        wrong = "lost" if prompt.instruction == OWN else "late"
        return right_for(wrong)(prompt, rows)

    asked: list[Text] = []
    assert mutated(Merge(), answers=answers, others=[(other, 0.6)], asked=asked) == RULES
    first, second = the_question(asked).split(other)
    assert OWN in first
    assert "Right answer: late" in first
    assert "Right answer: lost" not in first
    assert "Right answer: lost" in second
    assert mutated(Merge(), others=[(other, 0.6)]) == OWN


def test_free_text_is_reflected_on_too() -> None:
    """Its worst answers are wrong, and there are no labels to keep."""
    task = make_task("Say where the parcel is.", ())

    def answers(_: Prompt, rows: Sequence[Example]) -> list[Answer]:
        return [Answer(row, "far", i / len(rows), "it lacks fine") for i, row in enumerate(rows)]

    asked: list[Text] = []
    new = "Say in one word how the parcel is."
    assert mutated(Reflect(), f"```\n{new}\n```", task=task, answers=answers, asked=asked) == new
    assert 4 == the_question(asked).count("Remark: it lacks fine")


def test_chinese_tasks_are_asked_in_chinese() -> None:
    """By the same rows and in the same form."""
    rows = tuple(Example((("文本", f"第{i}个包裹还没有到"),), "迟到") for i in range(20))
    start = Prompt("包裹迟到还是丢失？", Structure(("文本",), "状态"))
    task = Task("t", "here", start, ("文本",), "label", ("迟到", "丢失"), rows, (), ())
    asked: list[Text] = []
    new = "判断包裹是迟到还是丢失。没有消息的算丢失。"
    reply = f"标签混淆。\n```\n{new}\n```"
    wrong = right_for("迟到")
    assert mutated(Reflect(), reply, task=task, answers=wrong, asked=asked) == new
    assert "正确的回答: 迟到" in the_question(asked)
