"""One ledger: who may ask for how many evaluations, who spends them, and what is left.

An *evaluation* is one prompt scored on one example. A batch of candidates asks for two kinds: those
of its mutators (an allowance) and those of its race (the race budget). Finalists ask for
confirmation rows at the end, which are kept for them from the start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .records.results import FINALISTS

if TYPE_CHECKING:
    from .contracts import Example
    from .options import Limits
    from .storage.study import Study

BATCH = 8
"""Candidates that are composed, scored and raced together."""
FIRST_BLOCK = 10
"""The dev examples that every candidate is scored on."""
_GROWTH = 1.5
"""A block ends with so many times the examples of the one before; set by hand."""
_FULL = 1.5
"""Full evaluations that a batch shares after its first block; set by hand."""
_ASKED = 15
"""Evaluations for each candidate of a batch that are left to its mutators at least."""
_CONFIRMED = FINALISTS + 1
"""Prompts that are scored on confirmation rows: the finalists, and the start beside them."""
_CONFIRMING = 7
"""One evaluation of this many is kept for all of these together; set by hand."""
_SIMPLIFYING = 8
"""One evaluation of this many is kept for making the best prompt simpler; set by hand."""
_SIMPLIFYING_FREELY = 2
"""The same where evaluations are not limited: as a part of those that race; set by hand."""
_LEAST_DEV = 30
"""How few dev rows a study may have."""
_FULL_EVALUATIONS = 10
"""How many prompts all evaluations of a study could score in full at least."""


def blocks(examples: int) -> list[int]:
    """Return the ends of a race's blocks: 10, 15, 22 … and all examples."""
    ends, end = list[int](), FIRST_BLOCK
    while end * _GROWTH <= examples:
        ends.append(end)
        end = int(end * _GROWTH)
    return [*ends, examples]


def end_of_block(start: int, examples: int) -> int:
    """Return the end of the block that begins after the first ``start`` examples."""
    return next(end for end in blocks(examples) if end > start)


def race_budget(candidates: int, examples: int) -> int:
    """Return the evaluations of one race: the first block of all, and then what they share."""
    first = blocks(examples)[0]
    return candidates * first + int(min(candidates, _FULL) * (examples - first))


def most_evaluations(candidates: int, examples: int, batch: int) -> int:
    """Return how many evaluations racing so many candidates, in batches, takes at most."""
    full, rest = divmod(max(candidates, 0), batch)
    last = race_budget(rest, examples) if rest else 0
    return full * race_budget(batch, examples) + last


def affordable_dev_rows(limits: Limits, rows: int) -> int:
    """Return how many dev rows a study has, so that few evaluations are still several full ones."""
    if limits.max_evaluations is None:
        return rows
    return min(rows, max(_LEAST_DEV, limits.max_evaluations // _FULL_EVALUATIONS))


def confirming_evaluations(limits: Limits, rows: int) -> int:
    """Return the evaluations kept for each that is confirmed: one per row, or its part."""
    if limits.max_evaluations is None:
        return rows
    return min(rows, limits.max_evaluations // (_CONFIRMING * _CONFIRMED))


def simplifying_evaluations(limits: Limits, rows: int) -> int:
    """Return the evaluations kept for making the best prompt simpler."""
    if limits.max_evaluations is None:
        return most_evaluations(limits.budget, rows, BATCH) // _SIMPLIFYING_FREELY
    return limits.max_evaluations // _SIMPLIFYING


def planned_evaluations(limits: Limits, done: int, rows: int, confirmation_rows: int) -> int:
    """Return the evaluations that are left to spend after so many candidates, at most."""
    racing = most_evaluations(limits.budget - done, rows, BATCH)
    planned = racing + _CONFIRMED * confirming_evaluations(limits, confirmation_rows)
    planned += simplifying_evaluations(limits, rows)
    return min(planned, limits.max_evaluations or planned)


@dataclass
class Allowance:
    """Evaluations that mutators may ask for: ``limit`` in all, any number where there is none."""

    spent: int = 0
    limit: int | None = None

    def grant(self, evaluations: int | None) -> None:
        """Let so many more be asked for from here on; without a number the limit stays."""
        if evaluations is not None:
            self.limit = self.spent + evaluations

    def take(self, evaluations: int) -> bool:
        """Count evaluations, unless there are not so many left."""
        if self.limit is not None and self.spent + evaluations > self.limit:
            return False
        self.spent += evaluations
        return True


class Spent(NamedTuple):
    """Evaluations and their tokens, counted as if nothing were shared."""

    evaluations: int
    tokens: int


class Grant(NamedTuple):
    """What the next batch gets: so many candidates, and evaluations for its mutators.

    ``for_mutators`` is missing where evaluations are not limited. After the ``last`` batch no
    candidates are left. Where new candidates would take more evaluations than there are, these are
    for a ``second_look`` at prompts that were stopped.
    """

    candidates: int
    for_mutators: int | None
    last: bool
    second_look: int = 0


class LimitReached(Exception):  # noqa: N818 (an ending, not an error)
    """A limit ends the search; what is in flight stays written down for the next run."""


class Ledger:
    """What a study has spent and may still spend; time runs from when it is made.

    Parameters
    ----------
    limits
        When to end.
    dev
        The examples of a race.
    confirmation_rows
        How many rows there are for the finalists.
    study
        Holds what all workers have spent.
    count_tokens
        Returns the tokens of each example.
    """

    def __init__(
        self,
        limits: Limits,
        dev: Sequence[Example],
        confirmation_rows: int,
        study: Study,
        count_tokens: Callable[[Sequence[Example]], list[int]],
    ) -> None:
        self._limits = limits
        self._dev = dev
        self._confirmation_rows = confirmation_rows
        self._study = study
        self._count_tokens = count_tokens
        self._started = time.monotonic()
        self._in_flight = Spent(0, 0)
        self._told = Spent(0, 0)
        self._told_trials = 0

    def grant(self, composed: Sequence[int], racing: Sequence[int]) -> Grant:
        """Return what the next batch can have so that its race ends within the limits.

        Parameters
        ----------
        composed
            The sizes of all batches so far.
        racing
            The sizes of those that are not done.
        """
        budget = self._limits.budget - sum(composed)
        size = min(BATCH, budget)
        if self._waited_enough():
            size = 0
        left = self._left(racing) if composed else None
        if left is None:
            return Grant(size, None, size == budget)
        wanted = size
        while size > 0 and self._race(size) + size * _ASKED > left:
            size -= 1
        again = left if wanted and not size else 0
        return Grant(size, left - self._race(size), size == budget, again)

    def spend(self, evaluations: int, tokens: int) -> None:
        """Count what is about to be evaluated.

        Raises
        ------
        LimitReached
            If it would pass a limit; then it is not counted.
        """
        limits, spent = self._limits, self.spent
        if limits.timeout is not None and time.monotonic() - self._started > limits.timeout:
            raise LimitReached
        most = limits.max_evaluations
        if most is not None and spent.evaluations + evaluations > most:
            raise LimitReached
        if limits.max_tokens is not None and spent.tokens + tokens > limits.max_tokens:
            raise LimitReached
        before = self._in_flight
        self._in_flight = Spent(before.evaluations + evaluations, before.tokens + tokens)

    def settle(self) -> None:
        """Forget what is in flight: the study is about to hold it."""
        self._in_flight = Spent(0, 0)

    @property
    def spent(self) -> Spent:
        """What the study has evaluated, this worker's batch in flight included."""
        told = self._told_by_study()
        others = self._study.mutator_evaluations() + self._study.ending_evaluations()
        return Spent(
            told.evaluations + others + self._in_flight.evaluations,
            told.tokens + self._in_flight.tokens,
        )

    def for_each_confirmed(self, prompts: int) -> int:
        """Return the confirmation rows of each of the prompts: all, or what is left for them."""
        most = self._limits.max_evaluations
        if most is None:
            return self._confirmation_rows
        left = max(0, most - self.spent.evaluations - self._for_simplifying)
        return min(self._confirmation_rows, left // prompts)

    def for_second_look(self, counted: int) -> int:
        """Return how many more confirmation rows two prompts may be scored on.

        Half of what is left goes to it, and the other half makes the best prompt simpler;
        ``counted`` evaluations are about to be told to the study.
        """
        most = self._limits.max_evaluations
        return 0 if most is None else max(0, most - self.spent.evaluations - counted) // 4

    def for_headroom(self) -> int:
        """Return the confirmation rows on which a leading candidate is compared with the start."""
        rows = confirming_evaluations(self._limits, self._confirmation_rows)
        if self._limits.max_evaluations is None:
            return rows
        return min(rows, max(0, self._limits.max_evaluations - self.spent.evaluations) // 2)

    def for_simplifying(self) -> int:
        """Return the evaluations that may make the best prompt simpler."""
        most = self._limits.max_evaluations
        return self._for_simplifying if most is None else max(0, most - self.spent.evaluations)

    @property
    def _for_simplifying(self) -> int:
        return simplifying_evaluations(self._limits, len(self._dev))

    def _waited_enough(self) -> bool:
        """Whether as many candidates as one is patient for brought nothing better."""
        patience = self._limits.patience
        return patience is not None and self._study.waited() >= patience

    def _told_by_study(self) -> Spent:
        evaluations, tokens = self._told
        scored = self._study.scored()
        for trial, seen in scored[self._told_trials :]:
            new = self._dev[seen : trial.rows]
            evaluations += len(new)
            tokens += len(new) * trial.tokens + sum(self._count_tokens(new))
        self._told, self._told_trials = Spent(evaluations, tokens), len(scored)
        return self._told

    def _left(self, racing: Sequence[int]) -> int | None:
        """Return the evaluations that the next batch can have; nothing where there is no limit."""
        if self._limits.max_evaluations is None:
            return None
        confirmed = min(_CONFIRMED, len(self._study.front()) + 2)
        kept = confirmed * confirming_evaluations(self._limits, self._confirmation_rows)
        kept += self._for_simplifying + sum(self._race(size) for size in racing)
        return self._limits.max_evaluations - self.spent.evaluations - kept

    def _race(self, candidates: int) -> int:
        return most_evaluations(candidates, len(self._dev), BATCH)
