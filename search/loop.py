"""The loop: ask for candidates, race them, tell the study, stop; then confirm and test."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .budget import Grant, Ledger, LimitReached
from .errors import InputError, InterruptedCallError, PromptfrontError, StorageError
from .evaluation.holdout import confirm, confirmation_rows, cross_fit, held_out_scores
from .evaluation.racing import race
from .evaluation.statistics import mean_interval, scored
from .records.results import finalists, with_start
from .records.trials import Interval, Trial, Tried, proposed_from_json, proposed_to_json
from .records.unscored import count, nothing_scored
from .storage.study import FIRST, batch_name, entries_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contracts import Example, Prompt
    from .evaluation.evaluator import Evaluator
    from .options import Limits
    from .proposals.composer import Composer
    from .records.results import Entry, Frontier
    from .storage.batches import Batch, Kind
    from .storage.study import Study

_log = logging.getLogger(__name__)
_SHOWN = 80
"""Characters of a reply in a message."""
_WAIT_SECONDS = 1.0
"""How often a worker looks whether another has finished."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands."""

    stage: str
    trials: int
    evaluations: int
    best: float | None
    front: int


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

    def run(self) -> Frontier:
        """Search until the budget or a limit is reached, test the front, and return it."""
        with self._batches.heartbeat():
            with suppress(LimitReached):
                while not self._should_stop() and self._step():
                    pass
            if not self._should_stop():
                Ending(self._evaluator, self._study, self._ledger, self._report).run()
        return self._study.frontier()

    def _step(self) -> bool:
        """Work on one batch, or wait for another worker's; false when nothing is left to do."""
        batches = self._batches.of("search")
        batch = self._batches.claim_abandoned("search") or self._ask(batches)
        if batch:
            self._tell(batch, self._race(batch))
        elif all(batch.done for batch in batches):
            return self._grant(batches).candidates > 0
        else:
            time.sleep(_WAIT_SECONDS)
        return True

    def _ask(self, batches: Sequence[Batch]) -> Batch | None:
        """Write down the next batch; nothing if the budget is used or another worker was faster."""
        grant = self._grant(batches)
        # Everything is compared with the starting prompt, so that comes first.
        if grant.candidates <= 0 or (batches and not batches[0].done):
            return None
        allowance = self._evaluator.probes.allowance
        allowance.grant(grant.for_mutators)
        before = allowance.spent
        if batches:
            tried, history = self._tried_in(batches), self._study.history()
            proposed = self._composer.compose(len(batches), grant.candidates, tried, history)
        else:
            proposed = [Trial(self._evaluator.task.start)]
        evaluations = allowance.spent - before
        payload = {"candidates": proposed_to_json(proposed), "evaluations": evaluations}
        return self._batches.add("search", batch_name(len(batches)), payload)

    def _race(self, batch: Batch) -> list[Trial]:
        """Return how far each candidate of a batch came."""
        proposed = [self._checked(t) for t in proposed_from_json(batch.payload["candidates"])]
        rows = {trial.prompt: trial.rows for trial in proposed if trial.prompt and not trial.error}
        if batch.name == FIRST:
            if error := proposed[0].error:  # of the user's own prompt: told, not recorded
                raise InputError(f"the starting prompt cannot be scored: {error}")
            raced = {prompt: _score_start(self._evaluator, prompt) for prompt in rows}
        else:
            front = self._study.front(without=batch.name)
            references = self._study.complete(without=batch.name)
            raced = race(self._evaluator, rows, front, references, self._before_block)
        return [self._with_interval(_raced(trial, raced)) for trial in proposed]

    def _with_interval(self, trial: Trial) -> Trial:
        """Return a candidate with the interval of its dev mean, if it saw all dev rows."""
        if trial.prompt is None or not trial.complete:
            return trial
        values = scored(self._evaluator.evaluate(trial.prompt, self._evaluator.task.dev).values)
        low, high = mean_interval(values, trial.dev_mean)
        return replace(trial, interval=Interval(low, high, len(values)))

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
            self._evaluator.tokens.of_prompt(trial.prompt)
            self._evaluator.check_answers(trial.prompt)
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
        self._on_progress(Progress(stage, len(study.trials()), evaluations, best, len(front)))


class Ending:
    """What follows a search: finalists are confirmed, and the front is tested once."""

    def __init__(
        self, evaluator: Evaluator, study: Study, ledger: Ledger, report: Callable[[str], None]
    ) -> None:
        self._evaluator = evaluator
        self._study = study
        self._batches = study.batches
        self._ledger = ledger
        self._report = report

    def run(self) -> None:
        """Confirm and test what was found."""
        try:
            self._confirm()
            self._test()
        except (InterruptedCallError, StorageError):
            raise
        except PromptfrontError as error:
            kept = "what was found is kept, and `optimize frontier` shows it"
            raise type(error)(f"{error}; {kept}") from error

    def _confirm(self) -> None:
        """Score the start and the finalists on confirmation rows."""
        frontier = self._study.frontier()
        entries = with_start(frontier, finalists(frontier))

        def work() -> dict[str, Any]:
            most = self._ledger.for_each_confirmed(len(entries))
            results = confirm(self._evaluator, entries, most)
            evaluations = sum(score["n"] + score["unscored"] for score in results.values())
            return {"results": results, "evaluations": evaluations}

        self._once("confirm", entries, work)
        self._report("confirm")

    def _test(self) -> None:
        """Score start, best and front on the held-out rows."""
        frontier = self._study.frontier()

        def work() -> dict[str, Any]:
            if not self._evaluator.task.test:
                return {"results": cross_fit(self._evaluator, frontier, self._study.full())}
            return {"results": held_out_scores(self._evaluator, frontier, self._tested)}

        self._once("test", (frontier.start, frontier.best, *frontier.front), work)

    def _tested(self) -> None:
        self._report("test")

    def _once(
        self, kind: Kind, entries: Sequence[Entry], work: Callable[[], dict[str, Any]]
    ) -> None:
        """Do the work for these entries once; another worker's result is waited for."""
        name, batches = entries_name(entries), self._batches
        while not any(batch.name == name and batch.done for batch in batches.of(kind)):
            batch = batches.claim_abandoned(kind, name) or batches.add(kind, name, {})
            if batch:
                batches.finish(batch, work())
            else:
                time.sleep(_WAIT_SECONDS)


def _raced(proposed: Trial, raced: Mapping[Prompt, Trial]) -> Trial:
    """Return a candidate with how far its prompt came."""
    if proposed.prompt is None or proposed.error:
        return proposed
    trial = raced[proposed.prompt]
    return replace(trial, parents=proposed.parents, mutators=proposed.mutators)


def _score_start(evaluator: Evaluator, start: Prompt) -> Trial:
    """Score the starting prompt on all dev rows."""
    dev = evaluator.task.dev
    evaluation = evaluator.evaluate(start, dev)
    reasons = count(evaluation.reasons)
    if unread := evaluator.unread(start, dev):
        _log.info(
            "%d of %d replies to the starting prompt say no label, or several, and are wrong: %r",
            *(len(unread), len(dev), unread[0][:_SHOWN]),
        )
    if not scored(evaluation.values):
        raise InputError(nothing_scored("the starting prompt", len(dev), "dev", reasons))
    mean = potential = evaluator.mean(evaluation.values, dev)
    if evaluator.knows_log_odds:
        potential = evaluator.estimates({start: len(dev)})[start].potential
    return Trial(
        start,
        rows=len(dev),
        tokens=evaluator.tokens.of_prompt(start),
        dev_mean=mean,
        estimate=mean,
        potential=potential,
        offsets=evaluation.offsets,
        reasons=reasons,
    )
