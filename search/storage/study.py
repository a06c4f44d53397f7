"""A study: trials and results in, history, front and frontier out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..contracts import Candidate
from ..errors import StorageError
from ..records.answered import AnsweredRows
from ..records.efforts import efforts_from_json, summed, worths
from ..records.explanation import Explanation
from ..records.results import (
    Choice,
    ConfirmationScore,
    Entry,
    Frontier,
    Headroom,
    HeldOutScore,
    finalists,
    front_of,
    with_start,
)
from .batches import Batches
from .errors import clear_errors
from .opening import open_study, readable
from .trials import CANDIDATE, ToldTrials, to_optuna

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from optuna.trial import FrozenTrial

    from ..contracts import Prompt
    from ..records.config import StudyConfig
    from ..records.efforts import Worth
    from ..records.trials import History, Trial
    from .batches import Kind
    from .database import Store

REFERENCES = 16
"""Fully evaluated prompts that the estimates of a race rest on."""
FIRST = "000000"
"""The batch of the starting prompt."""


def batch_name(number: int) -> str:
    """Return the name of a study's batch of candidates of that number."""
    return f"{number:06d}"


def entries_name(entries: Sequence[Entry]) -> str:
    """Return the name of the batch in which these entries are confirmed or tested."""
    numbers = [entry.number for entry in entries]
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:12]


class Study:
    """A study in a store, under its name.

    Parameters
    ----------
    store
        The database.
    name
        The study's name.
    config
        What it is started with; given, the study is created if it is new and must agree with it
        if it is not.

    Raises
    ------
    InputError
        If there is no such study, or it was started with other settings.
    """

    def __init__(self, store: Store, name: str, config: StudyConfig | None = None) -> None:
        self.store = store
        self.name = name
        self.batches = Batches(store, name)
        self._study, self.config = open_study(store, name, config)
        self._told = ToldTrials()

    def trials(self) -> list[FrozenTrial]:
        """Return the finished trials in order of number."""
        with clear_errors(self.store.url):
            return self._study.get_trials(deepcopy=False)

    def add(self, batch: str, index: int, trial: Trial, slots: Mapping[str, int] | None) -> None:
        """Store a finished candidate as one trial, in one transaction; see `to_optuna`."""
        stored = to_optuna(trial, batch, index, slots)
        with self.store.writing():
            self._study.add_trial(stored)

    def told(self, batch: str) -> set[int]:
        """Return the indices of the batch's candidates that are stored already."""
        return self._latest().told.get(batch, set())

    def history(self) -> History:
        """Return the finished trials as the search sees them."""
        return self._latest().history

    def front(self, *, without: str = "") -> list[Candidate]:
        """Return the Pareto front, the cheapest first, leaving out the trials of one batch."""
        full = [entry for batch, entry in self._latest().full if batch != without]
        front = front_of(full, self.config.sizes.dev)
        return [Candidate(entry.prompt, entry.quality, entry.tokens) for entry in front]

    def complete(self, *, without: str) -> list[Prompt]:
        """Return the latest fully evaluated prompts, leaving out the trials of one batch."""
        full = [entry.prompt for batch, entry in self._latest().full if batch != without]
        return full[-REFERENCES:]

    def evaluated(self) -> list[Candidate]:
        """Return the latest fully evaluated prompts with their scores."""
        latest = [entry for _, entry in self._latest().full[-REFERENCES:]]
        return [Candidate(entry.prompt, entry.quality, entry.tokens) for entry in latest]

    def full(self) -> list[Entry]:
        """Return all fully evaluated prompts."""
        return [entry for _, entry in self._latest().full]

    def frontier(self) -> Frontier:
        """Return the front with the held-out scores, where the search has ended."""
        with readable(f"study {self.name!r}"):
            return self._frontier()

    def found(self) -> Frontier:
        """Return the front as the search left it, with confirmation scores once there are any."""
        told = self._latest()
        # Trials are numbered as they end; with two workers the starting prompt's may not be first.
        full = sorted(told.full, key=lambda one: (one[0] != FIRST, one[1].number))
        entries = [entry for _, entry in full]
        evaluations = sum(max(0, trial.rows - seen) for trial, seen in told.scored)
        evaluations += self.mutator_evaluations() + self.ending_evaluations()
        counts = {"trials": told.candidates, "evaluations": evaluations}
        frontier = Frontier.of(self.config, entries, study=self.name, **counts)
        confirmed = self.results("confirm", with_start(frontier, finalists(frontier)))
        entries = [_confirmed(entry, confirmed) for entry in entries]
        return Frontier.of(self.config, entries, study=self.name, **counts)

    def worths(self) -> tuple[Worth, ...]:
        """Return what each mutator cost and brought."""
        payloads = [batch.payload for batch in self.batches.of("search")]
        efforts = summed(efforts_from_json(payload.get("efforts", {})) for payload in payloads)
        return worths(efforts, (trial for trial, _ in self.scored()))

    def _frontier(self) -> Frontier:
        frontier = self._simplified(self.found())
        tests = self.results("test", (frontier.start, frontier.best, *frontier.front))
        return replace(
            frontier,
            choice=Choice(**tests["choice"]) if "choice" in tests else None,
            headroom=self.headroom(),
            mutators=self.worths(),
            start=_tested(frontier.start, tests),
            best=_tested(frontier.best, tests),
            front=tuple(_tested(entry, tests) for entry in frontier.front),
            offered=tuple(self._latest().derived.values()),
            explanation=self.explanation(frontier.best.number),
        )

    def _simplified(self, frontier: Frontier) -> Frontier:
        """Return the front with the best prompt as it was made simpler, once it was."""
        results = self.results("simplify", (frontier.start, frontier.best))
        if not results:
            return frontier
        entries = [*frontier.front, *self.full(), *self._latest().derived.values()]
        entry = next(one for one in entries if one.number == results["trial"])
        if score := results["confirmation"]:
            entry = replace(entry, confirmation=ConfirmationScore(**score))
        return frontier.simplified(entry)

    def derived(self, batch: str, make: Callable[[], Trial]) -> Entry:
        """Return the prompt that was derived from another after the search, in that batch.

        It is made and stored as a trial of its own, unless a killed worker has done so.
        """
        if batch not in self._latest().derived:
            self.add(batch, 0, make(), None)
        entry = self._latest().derived.get(batch)
        if entry is None:
            raise StorageError(
                f"study {self.name!r}: expected the trial that was just stored, found none"
            )
        return entry

    def headroom(self) -> Headroom | None:
        """Return what the first candidates showed that there is to gain, once they were tried."""
        results = self._ahead().get("results")
        return Headroom(**results) if results else None

    def seen_ahead(self) -> dict[int, int]:
        """Return the trials that this was found out from, and their confirmation rows."""
        ahead = self._ahead()
        starts = [entry.number for batch, entry in self._latest().full if batch == FIRST]
        return dict.fromkeys([*starts, ahead["leader"]], ahead["rows"]) if ahead else {}

    def _ahead(self) -> dict[str, Any]:
        done = [batch.payload for batch in self.batches.of("headroom") if batch.done]
        return done[0] if done and done[0]["results"] else {}

    def tried(self) -> int:
        """Return how many candidates were told."""
        return self._latest().candidates

    def scored(self) -> list[tuple[Trial, int]]:
        """Return each scored candidate, and how many rows an earlier race had shown it."""
        return self._latest().scored

    def waited(self) -> int:
        """Return how many candidates were told since the last that was better than all before."""
        return self._latest().waited

    def mutator_evaluations(self) -> int:
        """Return the evaluations that mutators asked for (to find hard examples)."""
        return self._evaluations("search")

    def ending_evaluations(self) -> int:
        """Return the evaluations on confirmation rows, and those that made the best simpler."""
        kinds: tuple[Kind, ...] = ("headroom", "confirm", "simplify")
        return sum(self._evaluations(kind) for kind in kinds)

    def answered(self, frontier: Frontier) -> AnsweredRows | None:
        """Return what the start, the best prompt and the front answered, once they were tested."""
        name = entries_name((frontier.start, frontier.best, *frontier.front))
        done = [one for one in self.batches.of("answered") if one.name == name and one.done]
        return AnsweredRows.from_dict(done[0].payload) if done else None

    def explanation(self, trial: int) -> Explanation | None:
        """Return what was explained of a trial: what rests on most rows, and of that most of it."""
        done = [batch.payload for batch in self.batches.of("explain") if batch.done]
        known = [one for one in map(Explanation.from_dict, done) if one.trial == trial]
        told = [(one.rows, one.bare is not None, one.row is not None) for one in known]
        return known[told.index(max(told))] if known else None

    def lineage(self, entry: Entry) -> list[dict[str, Any]]:
        """Return the trials an entry descends from, nearest first."""
        trials = {trial.number: trial.user_attrs.get(CANDIDATE, {}) for trial in self.trials()}
        ancestors: list[dict[str, Any]] = []
        parents = list(entry.trial.parents)
        while parents:
            number = parents[0]
            attrs = trials[number]
            told = {"quality": attrs["estimate"], "rows": attrs["rows"]}
            ancestors.append({"trial": number, "mutators": attrs["mutators"]} | told)
            parents = attrs["parents"]
        return ancestors

    def _latest(self) -> ToldTrials:
        for trial in self.trials()[self._told.read :]:
            with readable(f"trial {trial.number} of study {self.name!r}"):
                self._told.add(trial)
        return self._told

    def results(self, kind: Kind, entries: Sequence[Entry]) -> dict[str, Any]:
        """Return what came of confirming or testing these entries, by trial; nothing before."""
        name = entries_name(entries)
        for batch in self.batches.of(kind):
            if batch.name == name and batch.done:
                results: dict[str, Any] = batch.payload["results"]
                return results
        return {}

    def _evaluations(self, kind: Kind) -> int:
        batches = self.batches.of(kind)
        return sum(batch.payload.get("evaluations", 0) for batch in batches)


def _confirmed(entry: Entry, results: Mapping[str, Any]) -> Entry:
    """Return an entry with its score on confirmation rows, if it has one."""
    score = results.get(str(entry.number))
    return entry if score is None else replace(entry, confirmation=ConfirmationScore(**score))


def _tested(entry: Entry, results: Mapping[str, Any]) -> Entry:
    """Return an entry with its held-out score, if it has one."""
    result = results.get(str(entry.number))
    if result is None:
        return entry
    gain, p_value = result["gain"], result["p_value"]
    return replace(entry, test=HeldOutScore(**result["test"]), gain=gain, p_value=p_value)
