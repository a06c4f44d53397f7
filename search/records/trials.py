"""What a search has tried: candidates, their outcomes, and the alleles of their genes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution

from ..contracts import GENES, Gene, Prompt
from ..prompts.render import prompt_from_dict, prompt_to_dict, zero_shot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SLOTS = 256
"""The number of alleles a gene can have in one study: Optuna wants it fixed."""
REMEMBERED = 512
"""The latest trials that sampler and bandit learn from: more would cost more for every candidate."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate before it is scored.

    ``prompt`` is missing where a mutator failed, and ``error`` says how. ``rows`` are the dev rows that it was scored on
    in an earlier race.
    """

    prompt: Prompt | None
    parents: tuple[int, ...] = ()
    mutators: tuple[str, ...] = ()
    error: str = ""
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished trial as the search sees it.

    ``quality`` is its estimated quality on all dev rows, ``potential`` the same were its label bias taken away;
    both are missing for a failed one. ``rows`` are the dev rows it was scored on.
    """

    number: int
    prompt: Prompt | None
    mutators: tuple[str, ...]
    quality: float | None
    tokens: int | None
    complete: bool
    potential: float | None = None
    rows: int = 0


@dataclass
class History:
    """The finished trials: the latest as they are, and of all the number of every prompt that was scored.

    ``made`` are each mutator's prompts, by its name.
    """

    latest: deque[Outcome] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    numbers: dict[Prompt, int] = field(default_factory=dict)
    made: dict[str, list[Prompt]] = field(default_factory=dict)
    first: float | None = None
    best: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Take in the next trial."""
        self.latest.append(outcome)
        if outcome.prompt:
            for name in outcome.mutators:
                self.made.setdefault(name, []).append(outcome.prompt)
        if outcome.prompt and outcome.quality is not None:
            self.numbers[outcome.prompt] = outcome.number
            self.first = outcome.quality if self.first is None else self.first
            self.best = max(self.best, outcome.quality)

    def read_by(self, names: Iterable[str]) -> set[Prompt]:
        """Return the prompts, without demonstrations, that these mutators have worked on."""
        return {zero_shot(prompt) for name in names for prompt in self.made.get(name, ())}

    def worth(self, outcome: Outcome) -> float:
        """Return a trial's gain over the first one as a part of the largest gain so far; nothing for a loss."""
        if outcome.quality is None or self.first is None or self.best <= self.first:
            return 0.0
        return max(0.0, (outcome.quality - self.first) / (self.best - self.first))


@dataclass
class Tried:
    """The prompts written down so far, and the alleles of their genes, numbered in the order they were found."""

    prompts: dict[Prompt, None] = field(default_factory=dict)
    alleles: dict[Gene, dict[Any, int]] = field(
        default_factory=lambda: {gene: {} for gene in GENES}
    )

    def add(self, prompt: Prompt) -> None:
        """Take in a prompt; a gene whose slots are full takes no more alleles."""
        self.prompts[prompt] = None
        for gene, alleles in self.alleles.items():
            if len(alleles) < SLOTS:
                alleles.setdefault(getattr(prompt, gene), len(alleles))

    def numbers(self, prompt: Prompt) -> dict[str, int] | None:
        """Return the prompt's allele number per gene; nothing if a gene's slots were full before it."""
        try:
            return {gene: alleles[getattr(prompt, gene)] for gene, alleles in self.alleles.items()}
        except KeyError:
            return None

    def distributions(self) -> dict[str, Any]:
        """Return the choices a sampler has."""
        return {
            gene: CategoricalDistribution(tuple(range(len(alleles))))
            for gene, alleles in self.alleles.items()
        }

    def prompt(self, numbers: Mapping[str, int]) -> Prompt:
        """Return the prompt made of those alleles."""
        return Prompt(
            **{gene: list(alleles)[numbers[gene]] for gene, alleles in self.alleles.items()}
        )


def proposals_to_json(proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Return candidates as plain values, to be written down before they are scored."""
    return [
        {
            "prompt": prompt_to_dict(p.prompt) if p.prompt else None,
            "parents": list(p.parents),
            "mutators": list(p.mutators),
            "error": p.error,
            "rows": p.rows,
        }
        for p in proposals
    ]


def proposals_from_json(values: Sequence[Mapping[str, Any]]) -> list[Proposal]:
    """Return the candidates that `proposals_to_json` described."""
    return [
        Proposal(
            prompt_from_dict(v["prompt"]) if v["prompt"] else None,
            tuple(v["parents"]),
            tuple(v["mutators"]),
            v["error"],
            v.get("rows", 0),
        )
        for v in values
    ]


def stored_distributions() -> dict[str, Any]:
    """Return the distributions of the stored study: every gene's fixed number of slots."""
    return {gene: CategoricalDistribution(tuple(range(SLOTS))) for gene in GENES}
