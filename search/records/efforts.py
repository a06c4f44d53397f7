"""What mutators were asked for, what that took, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .trials import Trial


@dataclass
class Effort:
    """What asking a mutator for changes took.

    Parameters
    ----------
    asked
        How often it was asked.
    brought
        How often it changed the prompt.
    wasted
        How often it brought nothing though it called the proposer or spent evaluations.
    calls, tokens
        Requests to the proposer, and the tokens that it read and wrote for them.
    evaluations
        Evaluations it spent.
    seconds
        Time it took, in seconds.
    """

    asked: int = 0
    brought: int = 0
    wasted: int = 0
    calls: int = 0
    tokens: int = 0
    evaluations: int = 0
    seconds: float = 0.0

    def __add__(self, other: Effort) -> Effort:
        """Return both together."""
        return Effort(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def __sub__(self, other: Effort) -> Effort:
        """Return what this is more than the other."""
        return Effort(*(getattr(self, name) - getattr(other, name) for name in _NAMES))


_NAMES = tuple(one.name for one in fields(Effort))


@dataclass(frozen=True, slots=True)
class Worth:
    """What a mutator cost and brought.

    Parameters
    ----------
    mutator
        Its name.
    effort
        What asking it took.
    candidates
        Candidates that it changed and that raced.
    accepted
        Those with a better estimated score than the prompt they were made from.
    gain
        The largest difference to that prompt, in [-1, 1]; missing where none raced.
    """

    mutator: str
    effort: Effort
    candidates: int
    accepted: int
    gain: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON, but for the time, which no two runs share."""
        values = {"mutator": self.mutator, **asdict(self.effort)}
        del values["seconds"]
        came = {"candidates": self.candidates, "accepted": self.accepted, "gain": self.gain}
        return values | came


def summed(efforts: Iterable[Mapping[str, Effort]]) -> dict[str, Effort]:
    """Return the efforts of several batches together, by mutator."""
    total: dict[str, Effort] = defaultdict(Effort)
    for batch in efforts:
        for name, effort in batch.items():
            total[name] += effort
    return dict(total)


def efforts_to_json(efforts: Mapping[str, Effort]) -> dict[str, dict[str, Any]]:
    """Return efforts as plain values."""
    return {name: asdict(effort) for name, effort in efforts.items()}


def efforts_from_json(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Effort]:
    """Return the efforts that `efforts_to_json` described."""
    return {name: Effort(**effort) for name, effort in values.items()}


def worths(efforts: Mapping[str, Effort], trials: Iterable[Trial]) -> tuple[Worth, ...]:
    """Return what each mutator cost and brought, that with the largest gain first."""
    scored = {trial.number: trial for trial in trials}
    gains: dict[str, list[float]] = {name: [] for name in efforts}
    for trial in scored.values():
        parent = scored.get(trial.parents[0]) if trial.parents else None
        if parent is None or trial.estimate is None or parent.estimate is None:
            continue
        for name in trial.mutators:
            gains.setdefault(name, []).append(trial.estimate - parent.estimate)
    found = [
        Worth(
            name,
            efforts.get(name, Effort()),
            len(changes),
            sum(change > 0 for change in changes),
            max(changes, default=None),
        )
        for name, changes in gains.items()
    ]
    return tuple(sorted(found, key=lambda one: (-(one.gain or 0.0), one.mutator)))
