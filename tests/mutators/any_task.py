"""Tasks of any texts and labels, and a model that tells their labels apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import cast

from promptfront.search.contracts import (
    Answer,
    Candidate,
    Constraint,
    Example,
    MutationContext,
    Mutator,
    NextTokens,
    Prompt,
    Structure,
    Task,
    Text,
)
from promptfront.search.plugins import load

ENGLISH = (
    "Please read the review (all of it). Then decide, carefully, whether it is positive or "
    "negative."
)
WHOLE = """Reviews of films.
```
Tell if the review is positive or negative.
- positive: the writer liked it.
- negative: the writer did not.
```"""
CHINESE = "请阅读评论（全文）。判断情感。"


_load = cache(load)  # reading what is installed takes longer than most mutations


def make(name: str) -> Mutator:
    """Return a new mutator as the search makes it."""
    return cast("Callable[[], Mutator]", _load("promptfront.mutators", name))()


def reply(prompts: Sequence[Text], _: int) -> list[str]:
    """Answer as a small chat model does: chatter, an answer, and once an instruction and a line."""
    chatter = (
        "Sure! I can help with that.",
        "positive",
        "",
        'Here is the instruction:\n"Tell if a review is positive or negative."',
        "What people say who liked the film.",
    )
    if "```" in str(prompts[0]):  # asked for a whole instruction
        return [WHOLE] * len(prompts)
    return [chatter[i % 5] for i in range(len(prompts))]


def answers(prompt: Prompt, rows: Sequence[Example]) -> list[Answer]:
    """Answer every second row wrongly, those that ask the others."""
    late = prompt.instruction.endswith("?")
    return [
        Answer(row, "what?", float(i % 2 == late), rationale="It says so.")
        for i, row in enumerate(rows)
    ]


def context(task: Task, seed: int) -> MutationContext:
    """Return a context: losses grow with the text, words tell labels apart, the last leads."""
    other = replace(task.start, instruction="Is it positive or negative?")
    front = (Candidate(task.start, 0.5, 9), Candidate(other, 0.6, 12))

    def next_tokens(_: Prompt, rows: Sequence[Example]) -> NextTokens:
        """Return a word that follows the first label's examples alone, one for the others."""
        first = [row.target == task.labels[0] for row in rows]
        noise = [-9.0 - i % 3 for i in range(8)]
        outputs = [(-1.0 if f else -5.0, -1.5, *noise, -5.0 if f else -1.0) for f in first]
        return NextTokens(("awful", "the", *(f"word{c}" for c in "abcdefgh"), "lovely"), outputs)

    def label_bias(prompt: Prompt) -> tuple[float, ...]:
        last = [example.target for example in prompt.demonstrations[-1:]]
        return tuple((label in last) - 1 / len(task.labels) for label in task.labels)

    return MutationContext(
        task,
        front,
        random.Random(seed),
        reply,
        lambda _, rows: [float(len(row.inputs[0][1])) for row in rows],
        label_bias,
        next_tokens=next_tokens,
        answers=answers,
        cut_off=lambda _: 0.5,
        evaluated=(*front, Candidate(replace(task.start, instruction="Label it."), 0.4, 5)),
    )


def make_task(texts: Sequence[str], labels: tuple[str, ...], instruction: str) -> Task:
    """Return a task whose train are the texts, labelled in turn.

    Without labels, each with a text of its own as target.
    """
    train = tuple(
        Example((("text", text),), labels[i % len(labels)] if labels else f"about {text}")
        for i, text in enumerate(texts)
    )
    start = Prompt(instruction, Structure(("Review",), "Sentiment"))
    return Task("t", "here", start, ("text",), "label", labels, train, train, ())


def full_prompt(task: Task) -> Prompt:
    """Return a prompt in which every gene holds something to change."""
    limit = Constraint("length", "At most {limit} words.", 8)
    distinct = tuple({e.inputs: e for e in task.train}.values())
    return replace(
        task.start,
        demonstrations=distinct[:3],
        constraints=(limit, Constraint("x", "Be {brief}.")),
        structure=replace(task.start.structure, reasoning="Think; then write {marker}."),
    )
