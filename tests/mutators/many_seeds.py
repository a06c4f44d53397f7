"""A task of forty short rows, and what a mutator makes of it with many seeds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from promptfront.search.contracts import (
    Candidate,
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
