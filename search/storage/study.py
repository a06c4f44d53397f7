"""The Optuna study: trials in, trials out. What a candidate's trial holds is defined here."""

from __future__ import annotations

import hashlib
import json
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..contracts import GENES, Candidate, Prompt
from ..errors import InputError
from ..proposals.sampler import quiet_optuna
from ..records.config import StudyConfig
from ..records.results import (
    Choice,
    ConfirmationScore,
    Entry,
    Frontier,
    HeldOutScore,
    finalists,
    front_of,
)
from ..records.trials import SLOTS, History, Trial, told_from_json, told_to_json
from .batches import Batches
from .errors import clear_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .batches import Kind
    from .database import Store

CONFIG, CANDIDATE = "promptfront", "candidate"
REFERENCES = 16
"""Fully evaluated prompts that the estimates of a race rest on."""
FIRST = "000000"
"""The batch of the starting prompt."""
_DISTRIBUTIONS: dict[str, BaseDistribution] = {
    gene: CategoricalDistribution(tuple(range(SLOTS))) for gene in GENES
}
"""Every gene's fixed number of slots: Optuna wants a parameter's choices to stay the same."""
_DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
_LONGEST_NAME = 200


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
        What it is started with; given, the study is created if it is new and must agree with it if
        it is not.

    Raises
    ------
    InputError
        If there is no such study, or it was started with other settings.
    """

    def __init__(self, store: Store, name: str, config: StudyConfig | None = None) -> None:
        self.store = store
        self.name = name
        self.batches = Batches(store, name)
        with quiet_optuna():
            if config is None:
                self._study = _load(store, name)
            else:
                self._study = _create(store, name)
                self._agree(config)
            with clear_errors(store.url):
                attrs = self._study.user_attrs
        self.config = _whole(attrs, f"study {name!r}")
        self._read = _Read()

    def _agree(self, config: StudyConfig) -> None:
        with clear_errors(self.store.url):
            attrs = self._study.user_attrs
        if not attrs:
            self._begin(config)
            return
        stored = _whole(attrs, f"study {self.name!r}")
        differing = config.identity.differs(stored.identity)
        if differing:
            raise InputError(
                f"study {self.name!r} was started with another {', '.join(differing)}: "
                "choose another `study` name, or leave `study` out to have one chosen"
            )

    def _begin(self, config: StudyConfig) -> None:
        """Write the configuration into a study that holds nothing.

        Another program's is left as it is.
        """
        with clear_errors(self.store.url):
            directions, trials = (
                tuple(self._study.directions),
                self._study.get_trials(deepcopy=False),
            )
        if directions != _DIRECTIONS or trials:
            raise InputError(
                f"study {self.name!r} was not started by promptfront: choose another `study` name"
            )
        with self.store.writing(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ExperimentalWarning
            )  # a name for the dashboard's axes, no more
            self._study.set_metric_names(["quality", "prompt tokens"])
            self._study.set_user_attr(CONFIG, config.to_dict())

    def trials(self) -> list[FrozenTrial]:
        """Return the finished trials in order of number."""
        with clear_errors(self.store.url):
            return self._study.get_trials(deepcopy=False)

    def add(self, batch: str, index: int, trial: Trial, slots: Mapping[str, int] | None) -> None:
        """Store a finished candidate as one trial, in one transaction.

        Parameters
        ----------
        batch, index
            Where the candidate was written down.
        trial
            The candidate.
        slots
            Its allele numbers; missing where a gene had no slot left.
        """
        state = TrialState.FAIL
        if trial.scored:
            state = TrialState.COMPLETE if trial.complete else TrialState.PRUNED
        stored = create_trial(
            state=state,
            values=[Entry(trial).quality, float(trial.tokens)] if trial.complete else None,
            params=dict(slots) if slots else None,
            distributions=_DISTRIBUTIONS if slots else None,
            # One attribute: storing each for itself takes several times as long.
            user_attrs={CANDIDATE: {"batch": batch, "index": index} | told_to_json(trial)},
        )
        with self.store.writing():
            self._study.add_trial(stored)

    def told(self, batch: str) -> set[int]:
        """Return the indices of the batch's candidates that are stored already."""
        return self._latest().told.get(batch, set())

    def history(self) -> History:
        """Return the finished trials as the search sees them."""
        return self._latest().history

    def front(self, *, without: str = "") -> list[Candidate]:
        """Return the Pareto front in order of tokens, leaving out the trials of one batch."""
        full = [entry for batch, entry in self._latest().full if batch != without]
        front = front_of(full, self.config.sizes.dev)
        return [Candidate(entry.prompt, entry.quality, entry.tokens) for entry in front]

    def complete(self, *, without: str) -> list[Prompt]:
        """Return the latest fully evaluated prompts, leaving out the trials of one batch."""
        return [entry.prompt for batch, entry in self._latest().full if batch != without][
            -REFERENCES:
        ]

    def full(self) -> list[Entry]:
        """Return all fully evaluated prompts."""
        return [entry for _, entry in self._latest().full]

    def frontier(self) -> Frontier:
        """Return the front with the held-out scores, where the search has ended."""
        with _readable(f"study {self.name!r}"):
            return self._frontier()

    def _frontier(self) -> Frontier:
        read = self._latest()
        evaluations = sum(max(0, trial.rows - seen) for trial, seen in read.scored)
        evaluations += self.mutator_evaluations() + self.confirmed_evaluations()
        # Numbers are given in order of completion; with two workers the starting prompt's may not be the first.
        full = sorted(read.full, key=lambda one: (one[0] != FIRST, one[1].number))
        entries = [entry for _, entry in full]
        frontier = Frontier.of(
            self.config, entries, study=self.name, trials=read.candidates, evaluations=evaluations
        )
        confirmed = self.results("confirm", finalists(frontier))
        entries = [
            replace(e, confirmation=ConfirmationScore(**confirmed[str(e.number)]))
            if str(e.number) in confirmed
            else e
            for e in entries
        ]
        frontier = Frontier.of(
            self.config, entries, study=self.name, trials=read.candidates, evaluations=evaluations
        )
        tests = self.results("test", (frontier.start, frontier.best, *frontier.front))
        return replace(
            frontier,
            choice=Choice(**tests["choice"]) if "choice" in tests else None,
            start=_tested(frontier.start, tests),
            best=_tested(frontier.best, tests),
            front=tuple(_tested(entry, tests) for entry in frontier.front),
        )

    def scored(self) -> list[tuple[Trial, int]]:
        """Return each scored candidate, and how many rows an earlier race had shown it."""
        return self._latest().scored

    def mutator_evaluations(self) -> int:
        """Return the evaluations that mutators asked for (to find hard examples)."""
        return self._evaluations("search")

    def confirmed_evaluations(self) -> int:
        """Return the evaluations of finalists on confirmation rows."""
        return self._evaluations("confirm")

    def lineage(self, entry: Entry) -> list[dict[str, Any]]:
        """Return the trials an entry descends from, nearest first."""
        trials = {t.number: t.user_attrs.get(CANDIDATE, {}) for t in self.trials()}
        ancestors: list[dict[str, Any]] = []
        parents = list(entry.trial.parents)
        while parents:
            number = parents[0]
            attrs = trials[number]
            ancestors.append(
                {
                    "trial": number,
                    "mutators": attrs["mutators"],
                    "quality": attrs["estimate"],
                    "rows": attrs["rows"],
                }
            )
            parents = attrs["parents"]
        return ancestors

    def _latest(self) -> _Read:
        for trial in self.trials()[self._read.trials :]:
            with _readable(f"trial {trial.number} of study {self.name!r}"):
                self._read.add(trial)
        return self._read

    def results(self, kind: Kind, entries: Sequence[Entry]) -> dict[str, Any]:
        """Return what came of confirming or testing these entries, by trial.

        Nothing before it is done.
        """
        name = entries_name(entries)
        for batch in self.batches.of(kind):
            if batch.name == name and batch.done:
                results: dict[str, Any] = batch.payload["results"]
                return results
        return {}

    def _evaluations(self, kind: Kind) -> int:
        batches = self.batches.of(kind)
        return sum(batch.payload.get("evaluations", 0) for batch in batches)


class _Read:
    """What the search needs of the finished trials.

    Each is read once, for a finished trial never changes.
    """

    def __init__(self) -> None:
        self.trials = self.candidates = 0
        self.history = History()
        self.scored: list[tuple[Trial, int]] = []
        self._rows: dict[Prompt | None, int] = {}
        self.full: list[tuple[str, Entry]] = []
        self.told: dict[str, set[int]] = {}

    def add(self, stored: FrozenTrial) -> None:
        self.trials += 1
        if CANDIDATE not in stored.user_attrs:
            return
        self.candidates += 1
        attrs = stored.user_attrs[CANDIDATE]
        trial = told_from_json(attrs, stored.number)
        self.history.add(trial)
        self.told.setdefault(attrs["batch"], set()).add(attrs["index"])
        if trial.scored:
            seen = self._rows.get(trial.prompt, 0)
            self.scored.append((trial, seen))
            self._rows[trial.prompt] = max(trial.rows, seen)
        if trial.complete:
            self.full.append((attrs["batch"], Entry(trial)))


def latest_study(store: Store) -> str:
    """Return the name of the study that was started last.

    Raises
    ------
    InputError
        If the database holds none.
    """
    studies = _studies(store)
    if not studies:
        raise InputError(
            f"{store.url} holds no promptfront study yet: run `optimize --task sentiment` first, or name another `storage`"
        )
    return max(studies, key=lambda name: studies[name])


def _studies(store: Store) -> dict[str, float]:
    """Return the names of promptfront's studies, and when each was started."""
    with clear_errors(store.url):
        summaries = optuna.get_all_study_summaries(store.optuna)
    ours = {s.study_name: s.user_attrs[CONFIG] for s in summaries if CONFIG in s.user_attrs}
    return {
        name: config.get("started", 0.0) if isinstance(config, dict) else 0.0
        for name, config in ours.items()
    }


def _load(store: Store, name: str) -> optuna.Study:
    names = _studies(store)
    if name not in names:
        raise InputError(
            f"`study`: {store.url} holds no study {name!r}, only {', '.join(names) or 'none at all'}"
        )
    with clear_errors(store.url):
        return optuna.load_study(study_name=name, storage=store.optuna)


def _create(store: Store, name: str) -> optuna.Study:
    """Return the study of that name, a new one if there is none."""
    # Names stand in a table of every kind of database, and in lines on a screen.
    if (
        not 0 < len(name) <= _LONGEST_NAME
        or not name.replace(" ", "").isprintable()
        or name != name.strip()
    ):
        raise InputError(
            f"`study`: expected a name of 1 to {_LONGEST_NAME} characters in one line, found {name[:60]!r}"
        )
    with store.writing():
        return optuna.create_study(
            storage=store.optuna, study_name=name, load_if_exists=True, directions=_DIRECTIONS
        )


def _whole(attrs: Mapping[str, Any], study: str) -> StudyConfig:
    """Return the configuration in a study's attributes."""
    if CONFIG not in attrs:
        raise InputError(f"{study} was not started by promptfront: choose another `study` name")
    with _readable(study):
        return StudyConfig.from_dict(attrs[CONFIG])


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn what is missing in a damaged record into one sentence."""
    try:
        yield
    except InputError:  # already one sentence
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{what} is damaged or of another version ({type(error).__name__}: {error}): "
            "it is left as it is; choose another `study` name"
        ) from error


def _tested(entry: Entry, tests: dict[str, Any]) -> Entry:
    test = tests.get(str(entry.number))
    if test is None:
        return entry
    return replace(
        entry, test=HeldOutScore(**test["test"]), gain=test["gain"], p_value=test["p_value"]
    )
