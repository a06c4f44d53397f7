"""The loop: write candidates down, race them, tell the study, and at the end confirm and test the front once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import InputError, InterruptedCallError, PromptfrontError, StorageError
from .evaluation.holdout import (
    FINALISTS,
    confirm,
    confirmation_rows,
    confirming_evaluations,
    cross_fit,
    finalists,
    judge,
)
from .evaluation.racing import Finish, most_evaluations, race
from .evaluation.statistics import scored
from .records.trials import Proposal, Tried, proposals_from_json, proposals_to_json
from .records.unscored import count, nothing_scored
from .storage.study import CONFIRM, SEARCH, TEST, judged_name

if TYPE_CHECKING:
    from .contracts import Example, Prompt
    from .evaluation.evaluator import Evaluator
    from .options import Limits
    from .proposals.composer import Space
    from .records.results import Entry, Frontier
    from .storage.database import Batch
    from .storage.study import Study

BATCH = 8
"""Candidates that are composed, scored and raced together."""
ASKED = 15
"""Pairs for each candidate of a batch that are left to its mutators at least."""
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands."""

    stage: str
    trials: int
    evaluations: int
    best: float | None
    front: int


class Spent(NamedTuple):
    """Prompt x example evaluations and their tokens, counted as if nothing were shared."""

    evaluations: int
    tokens: int


class _LimitReached(Exception):  # noqa: N818 (an ending, not an error)
    """A limit ends the search; what is in flight stays written down for the next run."""


class Search:
    """One worker on one study.

    Parameters
    ----------
    evaluator
        Scores prompts on the task.
    space
        Composes candidates.
    study
        Where they are stored.
    limits
        When to end.
    on_progress
        Called after each step.
    should_stop
        Asked before each batch; true ends the search after the batch in flight, without the final test.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        space: Space,
        study: Study,
        limits: Limits,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._evaluator = evaluator
        self._space = space
        self._study = study
        self._store = study.store
        self._limits = limits
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._started = time.monotonic()
        self._in_flight = Spent(0, 0)
        self._told, self._told_trials = Spent(0, 0), 0
        self._tried, self._tried_batches = Tried(), 0

    def run(self) -> Frontier:
        """Search until the budget or a limit is reached, test the front, and return it."""
        with self._store.heartbeat(self._study.name):
            try:
                while not self._should_stop() and self._step():
                    pass
            except _LimitReached:
                pass
            if not self._should_stop():
                self._end()
        return self._study.frontier()

    def _step(self) -> bool:
        """Work on one batch, or wait for one that another worker has; false when there is nothing left to do."""
        batches = [b for b in self._store.batches(self._study.name) if b.name.startswith(SEARCH)]
        batch = self._store.claim_abandoned(self._study.name, SEARCH) or self._compose(batches)
        if batch is None:
            if all(b.done for b in batches):
                return self._room(batches) > 0
            time.sleep(_WAIT_SECONDS)
            return True
        self._work(batch)
        return True

    def _compose(self, batches: Sequence[Batch]) -> Batch | None:
        """Write down the next batch of candidates; nothing if the budget is used or another worker was faster."""
        size = self._room(batches)
        if size <= 0 or (
            batches and not batches[0].done
        ):  # everything is compared with the starting prompt
            return None
        left = self._left(batches)
        if left is not None:
            spare = left - most_evaluations(size, len(self._evaluator.task.dev), BATCH)
            self._evaluator.probes.allowance.limit = self._evaluator.probes.allowance.spent + spare
        if not batches:
            proposals, evaluations = [Proposal(self._evaluator.task.start)], 0
        else:
            before = self._evaluator.probes.allowance.spent
            proposals = self._space.compose(
                len(batches), size, self._tried_in(batches), self._study.history()
            )
            evaluations = self._evaluator.probes.allowance.spent - before
        payload = {"candidates": proposals_to_json(proposals), "evaluations": evaluations}
        return self._store.add_batch(self._study.name, f"{SEARCH}{len(batches):06d}", payload)

    def _room(self, batches: Sequence[Batch]) -> int:
        """Return how many candidates the next batch can have so that its race ends within the limits."""
        sizes = [len(batch.payload["candidates"]) for batch in batches]
        size, left = min(BATCH, self._limits.budget - sum(sizes)), self._left(batches)
        rows = len(self._evaluator.task.dev)
        while (
            left is not None
            and size > 0
            and most_evaluations(size, rows, BATCH) + size * ASKED > left
        ):
            size -= 1
        return size

    def _left(self, batches: Sequence[Batch]) -> int | None:
        """Return the evaluations that the next batch can have, mutators and race; nothing where they are not limited."""
        if self._limits.max_evaluations is None or not batches:
            return None
        rows = len(self._evaluator.task.dev)
        racing = sum(
            most_evaluations(len(b.payload["candidates"]), rows, BATCH)
            for b in batches
            if not b.done
        )
        confirmed = min(FINALISTS, len(self._study.front()) + 1)
        kept = racing + confirmed * confirming_evaluations(self._evaluator.task, self._limits)
        return self._limits.max_evaluations - self._spent().evaluations - kept

    def _work(self, batch: Batch) -> None:
        """Race a batch and store its trials; those that a killed worker stored already are left as they are."""
        proposals = proposals_from_json(batch.payload["candidates"])
        errors = {i: self._flaw(proposal) for i, proposal in enumerate(proposals)}
        valid = {p.prompt: p.rows for i, p in enumerate(proposals) if p.prompt and not errors[i]}
        if batch.name == f"{SEARCH}000000":
            if errors[0]:  # the user's own prompt: what is wrong with it is told, not recorded
                raise InputError(f"the starting prompt cannot be scored: {errors[0]}")
            finishes = {prompt: self._measure_start(prompt) for prompt in valid}
        else:
            front, references = (
                self._study.front(without=batch.name),
                self._study.complete(without=batch.name),
            )
            finishes = race(self._evaluator, valid, front, references, self._before_block)
        errors |= {
            i: finishes[p.prompt].error for i, p in enumerate(proposals) if p.prompt in finishes
        }
        if not self._store.owns(self._study.name, batch.name):
            return
        self._in_flight = Spent(0, 0)
        written = self._store.batches(self._study.name)
        tried = self._tried_in(
            [b for b in written if b.name.startswith(SEARCH) and b.name <= batch.name]
        )
        told = self._study.told(batch.name)
        for i, proposal in enumerate(proposals):
            if i not in told:
                end = errors[i] or finishes[proposal.prompt]  # type: ignore[index]
                numbers = tried.numbers(proposal.prompt) if proposal.prompt else None
                self._study.add(batch.name, i, proposal, numbers, end)
        self._store.finish_batch(self._study.name, batch.name)
        self._report("search")

    def _measure_start(self, start: Prompt) -> Finish:
        dev = self._evaluator.task.dev
        found = self._evaluator.evaluate(start, dev)
        counts = count(found.reasons)
        if not scored(found.values):
            raise InputError(nothing_scored("the starting prompt", len(dev), "dev", counts))
        estimate = (
            self._evaluator.estimates({start: len(dev)})[start]
            if self._evaluator.task.labels
            else None
        )
        quality = self._evaluator.mean(found.values, dev)
        potential = estimate.potential if estimate else quality
        tokens = self._evaluator.tokens.of_prompt(start)
        return Finish(tokens, len(dev), quality, quality, potential, found.offsets, reasons=counts)

    def _flaw(self, proposal: Proposal) -> str:
        """Return why a candidate cannot be scored; empty if it can."""
        if proposal.prompt is None:
            return proposal.error
        try:
            self._evaluator.tokens.of_prompt(proposal.prompt)
            self._evaluator.check_answers(proposal.prompt)
        except PromptfrontError as error:
            return str(error)
        return ""

    def _tried_in(self, batches: Sequence[Batch]) -> Tried:
        """Return what was written down in the first batches of the study; what was read before is not read again."""
        if len(batches) < self._tried_batches:
            self._tried, self._tried_batches = Tried(), 0
        for batch in batches[self._tried_batches :]:
            for proposal in proposals_from_json(batch.payload["candidates"]):
                if proposal.prompt:
                    self._tried.add(proposal.prompt)
        self._tried_batches = len(batches)
        return self._tried

    def _before_block(self, prompts: Sequence[Prompt], rows: Sequence[Example]) -> None:
        """Count a block against the limits; end the search if it would pass one."""
        evaluations, tokens = (
            len(prompts) * len(rows),
            sum(self._evaluator.tokens.logical(prompt, rows) for prompt in prompts),
        )
        limits, spent = self._limits, self._spent()
        if limits.timeout is not None and time.monotonic() - self._started > limits.timeout:
            raise _LimitReached
        if (
            limits.max_evaluations is not None
            and spent.evaluations + evaluations > limits.max_evaluations
        ):
            raise _LimitReached
        if limits.max_tokens is not None and spent.tokens + tokens > limits.max_tokens:
            raise _LimitReached
        self._in_flight = Spent(
            self._in_flight.evaluations + evaluations, self._in_flight.tokens + tokens
        )
        self._report("search")

    def _spent(self) -> Spent:
        """Return what the study has evaluated, this worker's batch in flight included."""
        evaluations, tokens = self._told
        finishes = self._study.finishes()
        for finish, before in finishes[self._told_trials :]:
            new = self._evaluator.task.dev[before : finish.rows]
            evaluations += len(new)
            tokens += len(new) * finish.tokens + sum(self._evaluator.tokens.of_examples(new))
        self._told, self._told_trials = Spent(evaluations, tokens), len(finishes)
        evaluations += (
            self._study.mutator_evaluations()
            + self._study.confirmed_evaluations()
            + self._in_flight.evaluations
        )
        return Spent(evaluations, tokens + self._in_flight.tokens)

    def _end(self) -> None:
        """Confirm and test what was found."""
        try:
            self._confirm()
            self._test()
        except (InterruptedCallError, StorageError):
            raise
        except PromptfrontError as error:
            raise type(error)(
                f"{error}; what was found is kept, and `optimize frontier` shows it"
            ) from error

    def _confirm(self) -> None:
        """Score the finalists on confirmation rows."""
        entries = finalists(self._study.frontier())

        def work() -> dict[str, Any]:
            results = confirm(self._evaluator, entries, self._confirming(len(entries)))
            return {
                "results": results,
                "evaluations": sum(score["n"] + score["unscored"] for score in results.values()),
            }

        self._once(CONFIRM, entries, work)
        self._report("confirm")

    def _confirming(self, count: int) -> int:
        """Return how many confirmation rows each of so many finalists is scored on: all, or what the search left evaluations for."""
        rows, most = len(confirmation_rows(self._evaluator.task)), self._limits.max_evaluations
        return (
            rows if most is None else min(rows, max(0, most - self._spent().evaluations) // count)
        )

    def _test(self) -> None:
        """Score start, best and front on the held-out rows."""
        frontier = self._study.frontier()

        def work() -> dict[str, Any]:
            if not self._evaluator.task.test:
                return {"results": cross_fit(self._evaluator, frontier, self._study.full())}
            return {"results": judge(self._evaluator, frontier, lambda: self._report("test"))}

        self._once(TEST, (frontier.start, frontier.best, *frontier.front), work)

    def _once(
        self, kind: str, entries: Sequence[Entry], work: Callable[[], dict[str, Any]]
    ) -> None:
        """Do the work for these entries, unless it is done; another worker's result is waited for."""
        name = judged_name(kind, entries)
        while not any(b.name == name and b.done for b in self._store.batches(self._study.name)):
            batch = self._store.claim_abandoned(self._study.name, name) or self._store.add_batch(
                self._study.name, name, {}
            )
            if batch is None:
                time.sleep(_WAIT_SECONDS)
                continue
            self._store.finish_batch(self._study.name, name, work())

    def _report(self, stage: str) -> None:
        front = self._study.front()
        best = max((candidate.quality for candidate in front), default=None)
        self._on_progress(
            Progress(stage, len(self._study.trials()), self._spent().evaluations, best, len(front))
        )
