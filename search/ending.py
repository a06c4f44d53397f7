"""What follows a search: finalists are confirmed, the best is made simpler, the front is tested."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from .errors import InterruptedCallError, PromptfrontError, StorageError, flaw
from .evaluation.answered import answered_rows
from .evaluation.full import score_in_full
from .evaluation.headroom import headroom
from .evaluation.holdout import confirm, confirmation_rows, cross_fit, held_out_scores, unshown
from .evaluation.simplify import simplify
from .prompts.own import keeps_form
from .records.results import finalists, with_start
from .storage.study import entries_name
from .storage.trials import DERIVED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .budget import Ledger
    from .contracts import Prompt
    from .evaluation.evaluator import Evaluator
    from .records.results import Entry
    from .records.trials import Trial
    from .storage.study import Study

_SIMPLIFY = "simplify"
"""What is said to have made the simpler prompt, as mutators are named."""


class Ending:
    """The work that is done once, each piece by the worker that comes to it first.

    Parameters
    ----------
    evaluator
        Scores prompts on the task.
    study
        What was found, and where results are stored.
    ledger
        How many evaluations are left.
    report
        Called with the stage after each step.
    """

    def __init__(
        self, evaluator: Evaluator, study: Study, ledger: Ledger, report: Callable[[str], None]
    ) -> None:
        self._evaluator = evaluator
        self._study = study
        self._ledger = ledger
        self._report = report

    def look_ahead(self) -> None:
        """Find out what the candidates so far show that there is to gain."""
        self._study.batches.once("headroom", "headroom", self._headroom)
        self._report("headroom")

    def run(self) -> None:
        """Confirm what was found, make it simpler, and test it."""
        try:
            self._confirm()
            self._simplify()
            self._test()
        except (InterruptedCallError, StorageError):
            raise
        except PromptfrontError as error:
            kept = "the results so far are saved, and `optimize frontier` shows them"
            raise type(error)(f"{error}; {kept}") from error

    def _headroom(self) -> dict[str, Any]:
        seen = {trial.prompt: trial.rows for trial, _ in self._study.scored() if trial.prompt}
        seen.pop(self._evaluator.task.start, None)
        rows = confirmation_rows(self._evaluator.task)[: self._ledger.for_headroom()]
        found = headroom(self._evaluator, seen, rows)
        if found is None:
            return {"results": {}}
        leader = self._study.history().numbers[found.leader]
        scored = {"evaluations": 2 * len(rows), "leader": leader, "rows": len(rows)}
        return {"results": asdict(found.headroom)} | scored

    def _confirm(self) -> None:
        """Score the start and the finalists on confirmation rows.

        Where all do worse than the start, the first of them is given as many more as are left.
        """
        frontier = self._study.found()
        entries = with_start(frontier, finalists(frontier))

        def work() -> dict[str, Any]:
            most = self._ledger.for_each_confirmed(len(entries))
            rows = unshown(self._evaluator.task, entries)
            few = rows[:most]
            known = self._study.seen_ahead()
            new = sum(max(0, len(few) - known.get(entry.number, 0)) for entry in entries)
            results = confirm(self._evaluator, entries, few)
            # On few rows a single one can refute the best: what would be left looks at more.
            more = rows[len(few) :][: self._ledger.for_second_look(new)]
            if more and _all_refuted(results, entries):
                pair = entries[:2]
                results |= confirm(self._evaluator, pair, [*few, *more])
                new += len(pair) * len(more)
            return {"results": results, "evaluations": new}

        self._study.batches.once("confirm", entries_name(entries), work)
        self._report("confirm")

    def _simplify(self) -> None:
        """Make the best prompt simpler; the start is as the user wants it."""
        frontier = self._study.found()
        best, start = frontier.best, frontier.start
        if best.number == start.number:
            return
        entries = with_start(frontier, finalists(frontier))
        scored = best.confirmation
        rows = unshown(self._evaluator.task, entries)[: scored.n + scored.unscored if scored else 0]

        def allowed(prompt: Prompt) -> bool:
            task = self._evaluator.task
            keeps = keeps_form(best.prompt, prompt, task.input_fields, task.keep)
            return keeps and not flaw(lambda: self._evaluator.check(prompt))

        def work() -> dict[str, Any]:
            most = self._ledger.for_simplifying()
            found = simplify(self._evaluator, best.prompt, rows, most, allowed)
            entry = self._known(found.prompt) or self._add(name, found.prompt, best)
            confirmed = confirm(self._evaluator, [start, entry], rows).get(str(entry.number))
            results = {"trial": entry.number, "confirmation": confirmed}
            return {"results": results, "evaluations": found.evaluations}

        name = entries_name((start, best))
        self._study.batches.once("simplify", name, work)
        self._report("simplify")

    def _known(self, prompt: Prompt) -> Entry | None:
        return next((entry for entry in self._study.full() if entry.prompt == prompt), None)

    def _add(self, name: str, prompt: Prompt, best: Entry) -> Entry:
        """Store a simpler prompt as a trial of its own."""

        def made() -> Trial:
            trial = score_in_full(self._evaluator, prompt, "the best prompt")
            return replace(trial, parents=(best.number,), mutators=(_SIMPLIFY,))

        return self._study.derived(DERIVED + name, made)

    def _test(self) -> None:
        """Score start, best and front on the held-out rows."""
        frontier = self._study.frontier()

        def work() -> dict[str, Any]:
            if not self._evaluator.task.test:
                return {"results": cross_fit(self._evaluator, frontier, self._study.full())}
            tested = held_out_scores(self._evaluator, frontier, lambda: self._report("test"))
            return {"results": tested}

        def look() -> dict[str, Any]:
            return answered_rows(self._evaluator, frontier).to_dict()

        name = entries_name((frontier.start, frontier.best, *frontier.front))
        self._study.batches.once("test", name, work)
        self._study.batches.once("answered", name, look)


def _all_refuted(results: Mapping[str, Any], entries: Sequence[Entry]) -> bool:
    """Whether no finalist is left that did as well as the start, the first of the entries."""
    gains = [results.get(str(entry.number), {}).get("gain") for entry in entries[1:]]
    return bool(gains) and all(gain is not None and gain < 0 for gain in gains)
