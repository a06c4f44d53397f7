"""The loop: ask for candidates, race them, tell the study, stop; then comes the ending."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .budget import Grant, Ledger, LimitReached
from .ending import Ending
from .errors import InputError, PromptfrontError
from .evaluation.full import score_in_full, with_interval
from .evaluation.holdout import confirmation_rows
from .evaluation.racing import race
from .proposals.given import second_looks
from .records.efforts import efforts_from_json, efforts_to_json
from .records.trials import Trial, Tried, proposed_from_json, proposed_to_json
from .storage.batches import WAIT_SECONDS
from .storage.study import FIRST, batch_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contracts import Example, Prompt
    from .evaluation.evaluator import Evaluator
    from .options import Limits
    from .proposals.composer import Composer
    from .records.results import Frontier, Headroom
    from .storage.batches import Batch
    from .storage.study import Study

_log = logging.getLogger(__name__)
_SHOWN = 80
"""Characters of a reply in a message."""
_EARLY = 20
"""Candidates after which a search says what there is to gain."""
_FEW = 5
"""Candidates after which one that has ended says so; set by hand."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands; ``headroom`` is there once the first candidates were tried."""

    stage: str
    trials: int
    evaluations: int
    best: float | None
    front: int
    headroom: Headroom | None = None


class Search:
    """One worker on one study.

    Parameters
    ----------
    evaluator
        Scores prompts on the task.
    composer
        Composes candidates.
    study
        Where they are stored.
    limits
        When to end.
    on_progress
        Called after each step.
    should_stop
        Asked before each batch; true ends the search without the final test.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        composer: Composer,
        study: Study,
        limits: Limits,
        on_progress: Callable[[Progress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        task = evaluator.task
        rows = len(confirmation_rows(task))
        self._evaluator = evaluator
        self._composer = composer
        self._study = study
        self._batches = study.batches
        self._ledger = Ledger(limits, task.dev, rows, study, evaluator.tokens.of_examples)
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._tried, self._tried_batches = Tried(), 0
        self._ending = Ending(evaluator, study, self._ledger, self._report)

    def run(self) -> Frontier:
        """Search until the budget or a limit is reached, test the front, and return it."""
        with self._batches.heartbeat():
            with suppress(LimitReached):
                while not self._should_stop() and self._step():
                    pass
            if not self._should_stop():
                self._look_ahead(_FEW)
                self._ending.run()
        return self._study.frontier()

    def _look_ahead(self, candidates: int) -> None:
        """Once so many candidates were tried, say what there is to gain."""
        if self._study.tried() >= candidates:
            self._ending.look_ahead()

    def _step(self) -> bool:
        """Work on one batch, or wait for another worker's; false when nothing is left to do."""
        self._look_ahead(_EARLY)
        batches = self._batches.of("search")
        batch = self._batches.claim_abandoned("search") or self._ask(batches)
        if batch:
            self._tell(batch, self._race(batch))
        elif all(batch.done for batch in batches):
            grant = self._grant(batches)
            return grant.candidates > 0 or bool(self._second_looks(batches, grant))
        else:
            time.sleep(WAIT_SECONDS)
        return True

    def _ask(self, batches: Sequence[Batch]) -> Batch | None:
        """Write down the next batch; nothing if the budget is used or another worker was faster."""
        grant = self._grant(batches)
        looks = self._second_looks(batches, grant)
        # Everything is compared with the starting prompt, so that comes first.
        if (grant.candidates <= 0 and not looks) or (batches and not batches[0].done):
            return None
        allowance = self._evaluator.probes.allowance
        allowance.grant(grant.for_mutators)
        before = allowance.spent
        if looks:
            proposed = looks
        elif batches:
            tried, history = self._tried_in(batches), self._study.history()
            proposed = self._composer.compose(
                len(batches), grant.candidates, tried, history, last=grant.last
            )
        else:
            proposed = [Trial(self._evaluator.task.start)]
        payload = {
            "candidates": proposed_to_json(proposed),
            "evaluations": allowance.spent - before,
            "efforts": efforts_to_json(self._composer.efforts),
        }
        return self._batches.add("search", batch_name(len(batches)), payload)

    def _second_looks(self, batches: Sequence[Batch], grant: Grant) -> list[Trial]:
        """Return prompts that were stopped, where evaluations are left that no new one can use.

        Such a batch is the last.
        """
        if grant.second_look <= 0 or not batches[-1].done:
            return []
        if all(trial.rows for trial in proposed_from_json(batches[-1].payload["candidates"])):
            return []
        rows, left, looks = len(self._evaluator.task.dev), grant.second_look, list[Trial]()
        for trial in second_looks(self._study.history()):
            if rows - trial.rows <= left:
                looks, left = [*looks, trial], left - (rows - trial.rows)
        return looks

    def _race(self, batch: Batch) -> list[Trial]:
        """Return how far each candidate of a batch came."""
        proposed = [self._checked(t) for t in proposed_from_json(batch.payload["candidates"])]
        rows = {trial.prompt: trial.rows for trial in proposed if trial.prompt and not trial.error}
        if batch.name == FIRST:
            if error := proposed[0].error:  # of the user's own prompt: told, not recorded
                raise InputError(f"the starting prompt cannot be scored: {error}")
            self._tell_replies()
            raced = {p: score_in_full(self._evaluator, p, "the starting prompt") for p in rows}
        else:
            front = self._study.front(without=batch.name)
            references = self._study.complete(without=batch.name)
            raced = race(self._evaluator, rows, front, references, self._before_block)
        return [with_interval(self._evaluator, _raced(trial, raced)) for trial in proposed]

    def _tell_replies(self) -> None:
        """Log what the starting prompt's replies say instead of labels, and whether they end."""
        task = self._evaluator.task
        if cut := self._evaluator.cut_off(task.start, task.dev):
            _log.info(
                "%d of %d replies to the starting prompt reach the limit of %d tokens and may be "
                "cut off; ask for shorter replies, or raise max_tokens in a task file",
                *(cut, len(task.dev), task.max_tokens),
            )
        if unread := self._evaluator.unread(task.start, task.dev):
            _log.info(
                "%d of %d replies to the starting prompt name no label or several, and count as "
                "wrong, such as %r",
                *(len(unread), len(task.dev), unread[0][:_SHOWN]),
            )

    def _tell(self, batch: Batch, trials: Sequence[Trial]) -> None:
        """Store a batch's trials; those that a killed worker stored already stay as they are."""
        if not self._batches.owns(batch):
            return
        self._ledger.settle()
        written = self._batches.of("search")
        tried = self._tried_in([other for other in written if other.name <= batch.name])
        told = self._study.told(batch.name)
        for index, trial in enumerate(trials):
            if index not in told:
                slots = tried.numbers(trial.prompt) if trial.prompt else None
                self._study.add(batch.name, index, trial, slots)
        self._batches.finish(batch)
        self._report("search")

    def _grant(self, batches: Sequence[Batch]) -> Grant:
        composed = [len(batch.payload["candidates"]) for batch in batches]
        racing = [len(batch.payload["candidates"]) for batch in batches if not batch.done]
        return self._ledger.grant(composed, racing)

    def _checked(self, trial: Trial) -> Trial:
        """Return a candidate with the reason why it cannot be scored, if it cannot."""
        if trial.prompt is None:
            return trial
        try:
            self._evaluator.check(trial.prompt)
        except PromptfrontError as error:
            return replace(trial, error=str(error))
        return trial

    def _tried_in(self, batches: Sequence[Batch]) -> Tried:
        """Return what was written down in the first batches, each of which is read once."""
        if len(batches) < self._tried_batches:
            self._tried, self._tried_batches = Tried(), 0
        for batch in batches[self._tried_batches :]:
            for trial in proposed_from_json(batch.payload["candidates"]):
                if trial.prompt:
                    self._tried.add(trial.prompt)
            for name, effort in efforts_from_json(batch.payload.get("efforts", {})).items():
                self._tried.wasted[name] += effort.wasted
        self._tried_batches = len(batches)
        return self._tried

    def _before_block(self, prompts: Sequence[Prompt], rows: Sequence[Example]) -> None:
        """Count a block against the limits; end the search if it would pass one."""
        tokens = sum(self._evaluator.tokens.logical(prompt, rows) for prompt in prompts)
        self._ledger.spend(len(prompts) * len(rows), tokens)
        self._report("search")

    def _report(self, stage: str) -> None:
        study, front = self._study, self._study.front()
        best = max((candidate.quality for candidate in front), default=None)
        evaluations = self._ledger.spent.evaluations
        headroom = study.headroom()
        self._on_progress(Progress(stage, study.tried(), evaluations, best, len(front), headroom))


def _raced(proposed: Trial, raced: Mapping[Prompt, Trial]) -> Trial:
    """Return a candidate with how far its prompt came."""
    if proposed.prompt is None or proposed.error:
        return proposed
    trial = raced[proposed.prompt]
    return replace(trial, parents=proposed.parents, mutators=proposed.mutators)
