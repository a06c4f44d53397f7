"""A made-up task, what was tried on it, and mutators that misbehave."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from promptfront.search.contracts import (
    Candidate,
    Example,
    Gene,
    MutationContext,
    Mutator,
    Prompt,
    Structure,
    Task,
)
from promptfront.search.plugins import available, load
from promptfront.search.records.trials import History, Trial, Tried
from tests.records import trial

TRAIN = tuple(Example((("text", f"train {i}"),), "ab"[i % 2]) for i in range(40))
DEV = tuple(Example((("text", f"dev {i}"),), "ab"[i % 2]) for i in range(9))
START = Prompt("Say a or b, please. Be careful.", Structure(("Text",), "Label"))
TASK = Task("t", "here", START, ("text",), "label", ("a", "b"), TRAIN, DEV, ())


def context(rng: random.Random) -> MutationContext:
    """Return a context with the starting prompt on the front and a proposer that says nothing."""
    front = (Candidate(START, 0.5, 10),)
    return MutationContext(
        TASK, front, rng, lambda prompts, _: [""] * len(prompts), lambda _, rows: [0.0] * len(rows)
    )


def built_in() -> dict[str, Mutator]:
    """Return all built-in mutators."""
    names = sorted(available("promptfront.mutators"))
    return {
        name: cast("Callable[[], Mutator]", load("promptfront.mutators", name))() for name in names
    }


def tried(*prompts: Prompt) -> Tried:
    """Return prompts as written down."""
    found = Tried()
    for prompt in prompts:
        found.add(prompt)
    return found


def told(*outcomes: Trial) -> History:
    """Return finished trials."""
    found = History()
    for outcome in outcomes:
        found.add(outcome)
    return found


def outcomes(proposals: list[Trial]) -> History:
    """Return made-up results: more demonstrations are better."""
    start = trial(0, START, 0.5, 10)
    return told(
        start,
        *(
            trial(
                i,
                p.prompt,
                0.5 + len(p.prompt.demonstrations) / 20,
                10 * i,
                mutators=p.mutators,
                stopped="early" if i % 3 else "",
            )
            for i, p in enumerate(proposals, start=1)
            if p.prompt
        ),
    )


@dataclass
class Bad:
    """A mutator that does whatever it is given."""

    do: Callable[[Prompt], object]
    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Misbehave."""
        return cast("Prompt", self.do(prompt))
