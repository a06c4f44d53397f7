"""Rules that suit a task, and one another."""

from __future__ import annotations

from dataclasses import replace

from promptfront.mutators.constraints import known_constraints
from promptfront.search.contracts import (
    Constraint,
)
from tests.mutators.many_seeds import SENTIMENT, make_task, results


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
