"""What a search has tried: candidates, how far they came, and the alleles of their genes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..contracts import GENES, Gene, Prompt
from ..prompts.render import prompt_from_dict, prompt_to_dict, zero_shot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SLOTS = 256
"""The number of alleles a gene can have in one study: Optuna wants it fixed."""
REMEMBERED = 512
"""The latest trials that sampler and bandit learn from: more cost more for every candidate."""
_MEASURED = ("rows", "tokens", "reply_tokens", "dev_mean", "estimate", "potential")


class Interval(NamedTuple):
    """A 95 % interval of a mean score, and the number of scores it is of."""

    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate: what was proposed, and how far it came.

    Parameters
    ----------
    prompt
        The candidate; missing where a mutator failed.
    parents, mutators
        The trials it comes from, and what was done to them.
    error
        Why it could not be proposed or scored.
    rows
        The dev rows it was scored on; before its race those that an earlier race has shown it.
    tokens, reply_tokens
        What it adds to an input, once it is known, and what the model writes to one, on average.
    dev_mean, estimate, potential
        Its mean score on those rows, the score it would have on all dev rows, and the same were its
        label bias taken away; all are missing where it was not scored.
    interval
        Of the dev mean, once it saw all dev rows.
    offsets
        Its calibration; empty for none.
    stopped
        Why it did not see all dev rows.
    reasons
        How many of the rows could not be scored, by reason.
    number
        Its number in the Optuna study, once it is stored.
    """

    prompt: Prompt | None
    parents: tuple[int, ...] = ()
    mutators: tuple[str, ...] = ()
    error: str = ""
    rows: int = 0
    tokens: int = 0
    reply_tokens: float = 0.0
    dev_mean: float | None = None
    estimate: float | None = None
    potential: float | None = None
    interval: Interval | None = None
    offsets: tuple[float, ...] = ()
    stopped: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    number: int = -1

    @property
    def scored(self) -> bool:
        """Whether it raced."""
        return self.estimate is not None

    @property
    def cost(self) -> float:
        """The tokens that are read and written for an example, but for its inputs."""
        return self.tokens + self.reply_tokens

    @property
    def complete(self) -> bool:
        """Whether it was scored on all dev rows."""
        return self.scored and not self.stopped


@dataclass
class History:
    """The finished trials: the latest as they are, and the number of every scored prompt.

    ``made`` are each mutator's prompts, by its name.
    """

    latest: deque[Trial] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    numbers: dict[Prompt, int] = field(default_factory=dict)
    made: dict[str, list[Prompt]] = field(default_factory=dict)
    first: float | None = None
    best: float = 0.0

    def add(self, trial: Trial) -> None:
        """Take in the next trial."""
        self.latest.append(trial)
        if trial.prompt:
            for name in trial.mutators:
                self.made.setdefault(name, []).append(trial.prompt)
        if trial.prompt and trial.estimate is not None:
            self.numbers[trial.prompt] = trial.number
            self.first = trial.estimate if self.first is None else self.first
            self.best = max(self.best, trial.estimate)

    def parents(self, base: Prompt) -> tuple[int, ...]:
        """Return the number of the prompt that a candidate is made from, where it has one."""
        return (self.numbers[base],) if base in self.numbers else ()

    def read_by(self, names: Iterable[str]) -> set[Prompt]:
        """Return the prompts, without demonstrations, that these mutators have worked on."""
        return {zero_shot(prompt) for name in names for prompt in self.made.get(name, ())}

    def worth(self, trial: Trial) -> float:
        """Return a trial's gain as a part of the largest gain so far; nothing for a loss."""
        if trial.estimate is None or self.first is None or self.best <= self.first:
            return 0.0
        return max(0.0, (trial.estimate - self.first) / (self.best - self.first))


@dataclass
class Tried:
    """The prompts written down so far, and the alleles of their genes, numbered as they came.

    ``wasted`` counts how often each mutator was asked at a cost and brought nothing.
    """

    prompts: dict[Prompt, None] = field(default_factory=dict)
    alleles: dict[Gene, dict[Any, int]] = field(
        default_factory=lambda: {gene: {} for gene in GENES}
    )
    wasted: Counter[str] = field(default_factory=Counter)

    def add(self, prompt: Prompt) -> None:
        """Take in a prompt; a gene whose slots are full takes no more alleles."""
        self.prompts[prompt] = None
        for gene, alleles in self.alleles.items():
            if len(alleles) < SLOTS:
                alleles.setdefault(getattr(prompt, gene), len(alleles))

    def numbers(self, prompt: Prompt) -> dict[str, int] | None:
        """Return the prompt's allele number per gene; nothing if a gene had no slot left."""
        try:
            return {gene: alleles[getattr(prompt, gene)] for gene, alleles in self.alleles.items()}
        except KeyError:
            return None

    def prompt(self, numbers: Mapping[str, int]) -> Prompt:
        """Return the prompt made of those alleles."""
        return Prompt(
            **{gene: list(alleles)[numbers[gene]] for gene, alleles in self.alleles.items()}
        )


def proposed_to_json(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return candidates as plain values, to be written down before they are scored."""
    return [
        {
            "prompt": prompt_to_dict(trial.prompt) if trial.prompt else None,
            "parents": list(trial.parents),
            "mutators": list(trial.mutators),
            "error": trial.error,
            "rows": trial.rows,
        }
        for trial in trials
    ]


def proposed_from_json(values: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """Return the candidates that `proposed_to_json` described."""
    return [
        Trial(
            prompt_from_dict(value["prompt"]) if value["prompt"] else None,
            tuple(value["parents"]),
            tuple(value["mutators"]),
            value["error"],
            value["rows"],
        )
        for value in values
    ]


def told_to_json(trial: Trial) -> dict[str, Any]:
    """Return a finished candidate as plain values: of one that was not scored only why."""
    values: dict[str, Any] = {
        "prompt": prompt_to_dict(trial.prompt) if trial.prompt else None,
        "parents": list(trial.parents),
        "mutators": list(trial.mutators),
    }
    if not trial.scored:
        return values | {"error": trial.error}
    values |= {name: getattr(trial, name) for name in _MEASURED}
    values |= {"offsets": list(trial.offsets), "stopped": trial.stopped}
    values |= {"interval": trial.interval} if trial.interval else {}
    return values | ({"reasons": trial.reasons} if trial.reasons else {})


def told_from_json(values: Mapping[str, Any], number: int) -> Trial:
    """Return the candidate that `told_to_json` described, under its number in the study."""
    trial = Trial(
        prompt_from_dict(values["prompt"]) if values["prompt"] else None,
        tuple(values["parents"]),
        tuple(values["mutators"]),
        number=number,
    )
    if "error" in values:
        return replace(trial, error=values["error"])
    return replace(
        trial,
        **{name: values[name] for name in _MEASURED},
        interval=Interval(*values["interval"]) if "interval" in values else None,
        offsets=tuple(values["offsets"]),
        stopped=values["stopped"],
        reasons=values.get("reasons", {}),
    )
