"""What makes no sense is refused before anything is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.contracts import Constraint, Example, Prompt, Structure, Task
from promptfront.search.data.checks import check_task
from promptfront.search.errors import InputError
from promptfront.search.prompts.rules import bound

_ROW = Example((("text", "x"),), "y")
_TASK = Task(
    "t",
    "here",
    Prompt("Say.", Structure(("Text",), "Label")),
    ("text",),
    "label",
    (),
    (_ROW,),
    (_ROW,),
    (),
)


@pytest.mark.parametrize("rule", ["max_words", "max_lines"])
@pytest.mark.parametrize("limit", [None, 0, -9, True, 2.5, "3"])
def test_a_limit_that_makes_no_sense_is_refused(rule: str, limit: object) -> None:
    """A task made in Python is held to the same as a task file."""
    told = Constraint("short", "Use {limit} words.", limit, rule)  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"task 't', constraint 'short': expected a whole number above 0 as limit"
    ):
        check_task(replace(_TASK, constraints=(told,)))


def test_what_makes_sense_passes() -> None:
    """A limit with its place in the text, and a sentence alone."""
    check_task(
        replace(
            _TASK,
            constraints=(
                Constraint("a", "{limit} words.", 3, "max_words"),
                Constraint("b", "Be brief."),
            ),
        )
    )


def test_no_reply_is_cut_by_less_than_one_word() -> None:
    """Whatever a mutator makes of a limit, cutting does not fail."""
    assert "one" == bound([Constraint("a", "{limit} words.", -9, "max_words")], "one two")


def test_constraints_have_different_names() -> None:
    """A prompt holds one of a name, so the other would never be used."""
    with pytest.raises(
        InputError, match="expected a different name for each constraint, found a, a"
    ):
        check_task(replace(_TASK, constraints=(Constraint("a", "x"), Constraint("a", "y"))))


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (replace(_TASK, start=replace(_TASK.start, instruction="a \udce9")), "an instruction"),
        (replace(_TASK, instructions=("\ud83d",)), "an instruction"),
        (replace(_TASK, labels=("a", "\ud83d")), "a label"),
        (replace(_TASK, constraints=(Constraint("a", "\ud83d"),)), "a constraint"),
        (replace(_TASK, dev=(Example((("text", "\ud83d"),), "y"),)), "a row"),
        (replace(_TASK, train=(replace(_ROW, references=("\ud83d",)),)), "a row"),
        (replace(_TASK, stop=("\ud83d",)), "stop"),
    ],
)
def test_half_a_character_is_refused(task: Task, what: str) -> None:
    """A lone surrogate, which no tokenizer takes, is told with its place, printably."""
    with pytest.raises(
        InputError, match=f"expected valid Unicode in {what}, found a lone surrogate"
    ) as caught:
        check_task(task)
    assert str(caught.value).isascii()
