"""Directed mutators: when one makes a candidate, and from which prompts it starts.

Constants without a paper were set by hand while `benchmarks/search.py` ran on AG News, SST-5 and
Subj; none was tuned alone.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..contracts import usage_of
from ..prompts.render import zero_shot
from .bandit import PRIOR, WASTE, Arm, best_draw

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Mapping

    from ..contracts import MutationContext, Mutator, Prompt
    from ..records.trials import History

DIRECTED_CANDIDATES = 3
"""Candidates of a batch that may be directed."""
_MOST_POTENTIAL = 4
"""Prompts that count as those with most potential."""
_DOUBT = 0.3
"""Taken off the potential of a prompt that was scored on one example; for n, divided by sqrt(n)."""
_UNDIRECTED = ""
"""The arm of all mutators that just try."""


class DirectedMutators:
    """Those of a search's mutators that know what they are after.

    Parameters
    ----------
    mutators
        Name to mutator, the others included.
    """

    def __init__(self, mutators: Mapping[str, Mutator]) -> None:
        directions = {name: usage_of(mutator).direction for name, mutator in mutators.items()}
        self.directions = {name: direction for name, direction in directions.items() if direction}
        self.once_a_batch = {name for name, one in self.directions.items() if one.once_a_batch}

    def choose(
        self,
        context: MutationContext,
        history: History,
        left_out: Collection[str],
        wasted: Mapping[str, int],
    ) -> str | None:
        """Choose a directed mutator or, with None, all others, by what each was worth so far.

        ``left_out`` are mutators not to choose; ``wasted`` counts how often each was asked at a
        cost and brought nothing.
        """
        useful = self._useful(context, history, left_out)
        arms = {name: Arm(*self.directions[name].prior) for name in useful}
        arms[_UNDIRECTED] = Arm(*PRIOR)
        for trial in history.latest:
            if trial.mutators:
                name = next((name for name in useful if name in trial.mutators), _UNDIRECTED)
                arms[name].learn(history.worth(trial))
        for name in useful:
            arms[name].losses += WASTE * wasted.get(name, 0)
        return best_draw(context.rng, arms) or None

    def _useful(
        self, context: MutationContext, history: History, left_out: Collection[str]
    ) -> list[str]:
        """Return the directed mutators that there is something to do for."""
        useful = []
        for name, direction in self.directions.items():
            suits = name not in left_out and direction.suits(len(context.task.labels))
            if suits and self.bases(name, context, history):
                useful.append(name)
        return useful

    def bases(self, name: str, context: MutationContext, history: History) -> list[Prompt]:
        """Return the prompts that a directed mutator may be given."""
        direction = self.directions[name]
        front = [candidate.prompt for candidate in context.front]
        if direction.base == "potential":
            return _with_most_potential(history) or front
        return _worth_reading(front, name, history) if direction.reads_next_tokens else front

    def steps(self, name: str, mutators: Collection[str], rng: random.Random) -> list[str]:
        """Return the mutators to apply: the directed one, now and then after another it names."""
        direction = self.directions[name]
        before = direction.preceded_by
        if before in mutators and rng.random() < direction.precede_rate:
            return [before, name]
        return [name]


def _with_most_potential(history: History) -> list[Prompt]:
    """Return the prompts that would be best without their label bias, before any calibration."""
    # Of many that were scored on few examples the best looks better than it is.
    sure = {
        trial.prompt: trial.potential - _DOUBT / math.sqrt(trial.rows)
        for trial in history.latest
        if trial.prompt and trial.potential is not None
    }
    best = sorted(sure, key=lambda prompt: -sure[prompt])
    # Calibration takes label bias away by itself: what is left to debias is the prompt without it.
    plain = [
        replace(prompt, structure=replace(prompt.structure, calibration="none")) for prompt in best
    ]
    return list(dict.fromkeys(plain))[:_MOST_POTENTIAL]


def _worth_reading(front: list[Prompt], name: str, history: History) -> list[Prompt]:
    """Return those of the front after which the mutator has read the next tokens.

    All of it where nothing was read yet, or where verbalizers that this led to are on the front:
    reading costs more than racing a candidate, so it is done again only where it was worth it.
    """
    read = history.read_by([name])
    fitted = {prompt.structure.verbalizers for prompt in history.made.get(name, ())}
    if not read or any(prompt.structure.verbalizers in fitted for prompt in front):
        return front
    return [prompt for prompt in front if zero_shot(prompt) in read]
