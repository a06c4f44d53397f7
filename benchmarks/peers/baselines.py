"""Baselines: what a person writes, and what drawing at random finds."""

from __future__ import annotations

import random
from contextlib import suppress
from statistics import fmean
from typing import TYPE_CHECKING

from peers.run import MANY, SHOTS, Run, RunEnded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from search_arena import Arena

    from promptfront.search.contracts import Example, Prompt

RANDOM_SHOTS = (0, 2, 4, 8)
"""Demonstrations of a prompt in random search; set by hand."""


def hand(arena: Arena) -> None:
    """Baseline: the best of the three prompts that a person wrote, on dev rows.

    Rows that a prompt shows do not count. Each of the three is tested, so that the best of them on
    the test rows is known too.
    """
    _hold_best(Run(arena), arena.hand)
    arena.front = list(arena.hand)


def initial(arena: Arena) -> None:
    """Baseline: the best of the initial instructions, each on all dev rows."""
    _hold_best(Run(arena), (arena.prompt(instruction) for instruction in arena.instructions))


def random_demonstrations(arena: Arena) -> None:
    """Baseline: the first instruction with random sets of 4 demonstrations, on all dev rows."""
    run, rng = Run(arena), random.Random(arena.seed)
    _hold_best(
        run, (run.prompt(arena.instructions[0], _draw(run, rng, SHOTS)) for _ in range(MANY))
    )


def random_search(arena: Arena) -> None:
    """Baseline: a random initial instruction with 0, 2, 4 or 8 random demonstrations."""
    run, rng = Run(arena), random.Random(arena.seed)
    _hold_best(
        run,
        (
            run.prompt(rng.choice(arena.instructions), _draw(run, rng, rng.choice(RANDOM_SHOTS)))
            for _ in range(MANY)
        ),
    )


def _draw(run: Run, rng: random.Random, k: int) -> list[Example]:
    return rng.sample(run.train, min(k, len(run.train)))


def _hold_best(run: Run, prompts: Iterable[Prompt]) -> None:
    with suppress(RunEnded):
        for prompt in prompts:
            rows = [row for row in run.dev if row not in prompt.demonstrations]
            run.offer(prompt, fmean(run.score(prompt, rows)))
