"""What the search needs of the finished trials in an Optuna study."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..contracts import GENES
from ..records.results import Entry
from ..records.trials import SLOTS, History, Trial, told_from_json, told_to_json
from ..records.unscored import too_many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Prompt

CANDIDATE = "candidate"
"""The attribute of an Optuna trial that holds the candidate."""
DERIVED = "simpler-"
"""What the batch of a prompt begins with that was derived from another after the search."""
_DISTRIBUTIONS: dict[str, BaseDistribution] = {
    gene: CategoricalDistribution(tuple(range(SLOTS))) for gene in GENES
}
"""Every gene's fixed number of slots: Optuna wants a parameter's choices to stay the same."""


def to_optuna(trial: Trial, batch: str, index: int, slots: Mapping[str, int] | None) -> FrozenTrial:
    """Return a finished candidate as one trial.

    Parameters
    ----------
    trial
        The candidate.
    batch, index
        Where it was written down.
    slots
        Its allele numbers; missing where a gene had no slot left.
    """
    state = TrialState.FAIL
    if trial.scored:
        state = TrialState.COMPLETE if trial.complete else TrialState.PRUNED
    return create_trial(
        state=state,
        values=[Entry(trial).quality, trial.cost] if trial.complete else None,
        params=dict(slots) if slots else None,
        distributions=_DISTRIBUTIONS if slots else None,
        # One attribute: storing each for itself takes several times as long.
        user_attrs={CANDIDATE: {"batch": batch, "index": index} | told_to_json(trial)},
    )


class ToldTrials:
    """The finished trials, each read once: a finished trial never changes.

    ``read`` counts all, ``candidates`` those that were composed. What was derived from one
    after the search is none of them: the search goes on without it. ``derived`` has it, by its
    batch. ``scored`` are the scored ones, each with the rows that an earlier race had shown it;
    ``full`` the fully evaluated ones, each with its batch; ``told`` the indices that are stored of
    each batch. ``waited`` counts the candidates since the last that was better than all before it.
    """

    def __init__(self) -> None:
        self.read = self.candidates = 0
        self.history = History()
        self.scored: list[tuple[Trial, int]] = []
        self.full: list[tuple[str, Entry]] = []
        self.told: dict[str, set[int]] = {}
        self.derived: dict[str, Entry] = {}
        self.waited = 0
        self._rows: dict[Prompt | None, int] = {}
        self._best = -math.inf

    def add(self, stored: FrozenTrial) -> None:
        """Take in the next trial."""
        self.read += 1
        if CANDIDATE not in stored.user_attrs:
            return
        attrs: dict[str, Any] = stored.user_attrs[CANDIDATE]
        trial = told_from_json(attrs, stored.number)
        if attrs["batch"].startswith(DERIVED):
            self.derived[attrs["batch"]] = Entry(trial)
            return
        self.candidates += 1
        self.history.add(trial)
        self.told.setdefault(attrs["batch"], set()).add(attrs["index"])
        if trial.scored:
            seen = self._rows.get(trial.prompt, 0)
            self.scored.append((trial, seen))
            self._rows[trial.prompt] = max(trial.rows, seen)
        self.waited += 1
        if trial.complete:
            self.full.append((attrs["batch"], Entry(trial)))
            self._count(Entry(trial))

    def _count(self, entry: Entry) -> None:
        """Begin to count anew where a prompt is better than all before it."""
        # A mean of the rows that were easy for a prompt is not compared with others.
        if entry.quality > self._best and not too_many(entry.trial.reasons, entry.trial.rows):
            self.waited, self._best = 0, entry.quality
