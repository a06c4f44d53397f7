"""Thompson sampling: what was worth most so far is drawn most, what is little known now and then.

Each arm has a Beta distribution over what a candidate of it is worth, from 0 to 1. The priors were
set by hand; `benchmarks/search.py` compares the bandit with a uniform choice
(``promptfront-no-bandit``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from ..contracts import Gene, Mutator
    from ..records.trials import History

PRIOR = (1.0, 2.0)
"""Gains and losses of an arm of which nothing is known: most candidates gain nothing."""
GENE_PRIORS: dict[Gene, tuple[float, float]] = {"demonstrations": (4.0, 1.0)}
"""Demonstrations carry most of what published searches gain.

Opsahl-Ong et al. 2024 (arXiv 2406.11695), table 1; Zehle et al. 2025 (arXiv 2504.16005), ablations.
"""
FAVOURED_PRIOR = (6.0, 1.0)
"""The user's own mutators, which are there to be tried."""
WASTE = 2.0
"""Losses that one asking counts which cost something and brought nothing: who cannot, cannot."""
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass
class Arm:
    """What an arm was worth so far: the parameters of its Beta distribution."""

    gains: float
    losses: float

    def learn(self, worth: float) -> None:
        """Add a candidate that was worth that much, from 0 to 1."""
        self.gains += worth
        self.losses += 1 - worth


def best_draw(rng: random.Random, arms: Mapping[str, Arm]) -> str:
    """Draw from each arm's distribution, and return the arm with the largest draw."""
    draws = {name: rng.betavariate(arm.gains, arm.losses) for name, arm in arms.items()}
    return max(draws, key=lambda name: draws[name])


def choose_mutator(
    mutators: Mapping[str, Mutator],
    favoured: Collection[str],
    history: History,
    rng: random.Random,
    wasted: Mapping[str, int] = _NOTHING,
) -> str:
    """Choose a gene, then a mutator of it, by what their candidates were worth so far.

    The gene comes first: else a gene would be changed the more often the more mutators it has. What
    a mutator ``wasted``, asked at a cost and bringing nothing, is no loss of the gene's others.
    """
    genes = {name: mutator.gene for name, mutator in mutators.items()}
    arms = {name: Arm(*PRIOR) for name in mutators}
    gene_arms: dict[str, Arm] = {
        gene: Arm(*GENE_PRIORS.get(gene, PRIOR)) for gene in genes.values()
    }
    for name in arms.keys() & favoured:
        arms[name] = Arm(*FAVOURED_PRIOR)
        gene_arms[genes[name]] = Arm(*FAVOURED_PRIOR)
    for trial in history.latest:
        for name in arms.keys() & trial.mutators:
            worth = history.worth(trial)
            arms[name].learn(worth)
            gene_arms[genes[name]].learn(worth)
    for name, arm in arms.items():
        arm.losses += WASTE * wasted.get(name, 0)
    gene = best_draw(rng, gene_arms)
    return best_draw(rng, {name: arm for name, arm in arms.items() if genes[name] == gene})
