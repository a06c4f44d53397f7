"""The Optuna study: trials in, trials out. What a candidate's trial holds is defined here."""

from __future__ import annotations

import hashlib
import json
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..contracts import Candidate, Prompt
from ..errors import InputError
from ..evaluation.holdout import finalists
from ..evaluation.racing import Finish
from ..prompts.render import prompt_from_dict, prompt_to_dict
from ..proposals.sampler import quiet_optuna
from ..records.results import Choice, ConfirmationScore, Entry, Frontier, HeldOutScore, front_of
from ..records.trials import History, Outcome, Proposal, stored_distributions
from .database import clear_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .database import Store

CONFIG, CANDIDATE = "promptfront", "candidate"
REFERENCES = 16
"""Fully evaluated prompts that the estimates of a race rest on."""
SEARCH, CONFIRM, TEST = "search-", "confirm-", "test-"
_DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
_NEEDED = (
    *(
        "task",
        "model",
        "backend",
        "seed",
        "source",
        "revision",
        "fingerprint",
        "scoring",
        "input_fields",
    ),
    *("target_field", "labels", "scorer", "sizes", "data_hash", "load", "versions", "identity"),
)
"""What a study's configuration holds at least."""
_LONGEST_NAME = 200


class Study:
    """A study in a store, under its name.

    Parameters
    ----------
    store
        The database.
    name
        The study's name.
    config
        What it is started with; given, the study is created if it is new and must agree with it if it is not.

    Raises
    ------
    InputError
        If there is no such study, or it was started with other settings.
    """

    def __init__(self, store: Store, name: str, config: dict[str, Any] | None = None) -> None:
        self.store = store
        self.name = name
        with quiet_optuna():
            if config is None:
                self._study = _load(store, name)
            else:
                self._study = _create(store, name)
                self._agree(config)
            with clear_errors(store.url):
                found = self._study.user_attrs
        self.config: dict[str, Any] = _whole(found, f"study {name!r}")
        self._read = _Read()

    def _agree(self, config: dict[str, Any]) -> None:
        with clear_errors(self.store.url):
            attrs = self._study.user_attrs
        if not attrs:
            self._begin(config)
            return
        found = _whole(attrs, f"study {self.name!r}")
        now, then = config["identity"], found["identity"]
        differing = [key for key in now | then if now.get(key) != then.get(key)]
        if differing:
            raise InputError(
                f"study {self.name!r} was started with another {', '.join(differing)}: "
                "choose another `study` name, or leave `study` out to have one chosen"
            )

    def _begin(self, config: dict[str, Any]) -> None:
        """Write the configuration into a study that holds nothing; another program's is left as it is."""
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
            self._study.set_user_attr(CONFIG, config)

    def trials(self) -> list[FrozenTrial]:
        """Return the finished trials in order of number."""
        with clear_errors(self.store.url):
            return self._study.get_trials(deepcopy=False)

    def add(
        self,
        batch: str,
        index: int,
        proposal: Proposal,
        slots: Mapping[str, int] | None,
        end: Finish | str,
    ) -> None:
        """Store a finished candidate as one trial, in one transaction.

        Parameters
        ----------
        batch, index
            Where the candidate was written down.
        proposal
            The candidate.
        slots
            Its allele numbers; missing where a gene had no slot left.
        end
            How its race ended, or why it failed.
        """
        attrs: dict[str, Any] = {
            "batch": batch,
            "index": index,
            "prompt": prompt_to_dict(proposal.prompt) if proposal.prompt else None,
            "parents": list(proposal.parents),
            "mutators": list(proposal.mutators),
        }
        state, values = TrialState.FAIL, None
        if isinstance(end, str):
            attrs["error"] = end
        else:
            attrs |= {"rows": end.rows, "quality": end.quality, "tokens": end.tokens}
            attrs |= {"estimate": end.estimate, "potential": end.potential}
            attrs |= {"offsets": list(end.offsets), "stopped": end.stopped}
            attrs |= {"reasons": end.reasons} if end.reasons else {}
            state = TrialState.PRUNED if end.stopped else TrialState.COMPLETE
            values = None if end.stopped else [end.quality, float(end.tokens)]
        distributions = stored_distributions() if slots else None
        trial = create_trial(
            state=state,
            values=values,
            params=dict(slots) if slots else None,
            distributions=distributions,
            user_attrs={
                CANDIDATE: attrs
            },  # one attribute: storing each for itself takes several times as long
        )
        with self.store.writing():
            self._study.add_trial(trial)

    def told(self, batch: str) -> set[int]:
        """Return the indices of the batch's candidates that are stored already."""
        return self._latest().told.get(batch, set())

    def history(self) -> History:
        """Return the finished trials as the search sees them."""
        return self._latest().history

    def front(self, *, without: str = "") -> list[Candidate]:
        """Return the Pareto front in order of tokens, leaving out the trials of one batch."""
        full = [entry for batch, entry in self._latest().full if batch != without]
        return [
            Candidate(e.prompt, e.quality, e.tokens)
            for e in front_of(full, self.config["sizes"]["dev"])
        ]

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
        trials = [t for t in self.trials() if CANDIDATE in t.user_attrs]
        evaluations = sum(max(0, finish.rows - before) for finish, before in self.finishes())
        evaluations += self.mutator_evaluations() + self.confirmed_evaluations()
        # Numbers are given in order of completion; with two workers the starting prompt's may not be the first.
        full = sorted(
            (t for t in trials if _is_full(t)),
            key=lambda t: (t.user_attrs[CANDIDATE]["batch"] != f"{SEARCH}000000", t.number),
        )
        entries = [_entry(t) for t in full]
        found = Frontier.of(
            self.config, entries, study=self.name, trials=len(trials), evaluations=evaluations
        )
        fresh = self._judged(CONFIRM, finalists(found))
        entries = [
            replace(e, confirmation=ConfirmationScore(**fresh[str(e.trial)]))
            if str(e.trial) in fresh
            else e
            for e in entries
        ]
        found = Frontier.of(
            self.config, entries, study=self.name, trials=len(trials), evaluations=evaluations
        )
        tests = self._judged(TEST, (found.start, found.best, *found.front))
        return replace(
            found,
            choice=Choice(**tests["choice"]) if "choice" in tests else None,
            start=_tested(found.start, tests),
            best=_tested(found.best, tests),
            front=tuple(_tested(entry, tests) for entry in found.front),
        )

    def finishes(self) -> list[tuple[Finish, int]]:
        """Return how far each scored candidate came, and how far it had come before, where it raced twice."""
        return self._latest().finishes

    def mutator_evaluations(self) -> int:
        """Return the evaluations that mutators asked for (to find hard examples)."""
        return self._pairs(SEARCH)

    def confirmed_evaluations(self) -> int:
        """Return the evaluations of finalists on confirmation rows."""
        return self._pairs(CONFIRM)

    def lineage(self, entry: Entry) -> list[dict[str, Any]]:
        """Return the trials an entry descends from, nearest first."""
        trials = {t.number: t.user_attrs.get(CANDIDATE, {}) for t in self.trials()}
        found: list[dict[str, Any]] = []
        parents = list(entry.parents)
        while parents:
            number = parents[0]
            attrs = trials[number]
            found.append(
                {
                    "trial": number,
                    "mutators": attrs["mutators"],
                    "quality": attrs["estimate"],
                    "rows": attrs["rows"],
                }
            )
            parents = attrs["parents"]
        return found

    def _latest(self) -> _Read:
        for trial in self.trials()[self._read.trials :]:
            with _readable(f"trial {trial.number} of study {self.name!r}"):
                self._read.add(trial)
        return self._read

    def _pairs(self, kind: str) -> int:
        batches = (batch for batch in self.store.batches(self.name) if batch.name.startswith(kind))
        return sum(batch.payload.get("evaluations", 0) for batch in batches)

    def _judged(self, kind: str, entries: Sequence[Entry]) -> dict[str, Any]:
        name = judged_name(kind, entries)
        done = [b.payload for b in self.store.batches(self.name) if b.name == name and b.done]
        return done[0]["results"] if done else {}


class _Read:
    """What the search needs of the finished trials; each is read once, for a finished trial never changes."""

    def __init__(self) -> None:
        self.trials = 0
        self.history = History()
        self.finishes: list[tuple[Finish, int]] = []
        self._rows: dict[str, int] = {}
        self.full: list[tuple[str, Entry]] = []
        self.told: dict[str, set[int]] = {}

    def add(self, trial: FrozenTrial) -> None:
        self.trials += 1
        if CANDIDATE not in trial.user_attrs:
            return
        attrs = trial.user_attrs[CANDIDATE]
        self.history.add(_outcome(trial))
        self.told.setdefault(attrs["batch"], set()).add(attrs["index"])
        if "rows" in attrs:
            key = json.dumps(attrs["prompt"])
            self.finishes.append((_finish(attrs), self._rows.get(key, 0)))
            self._rows[key] = max(attrs["rows"], self._rows.get(key, 0))
        if _is_full(trial):
            self.full.append((attrs["batch"], _entry(trial)))


def judged_name(kind: str, entries: Sequence[Entry]) -> str:
    """Return the name under which the scores of these entries at the end of the search are written down."""
    numbers = [entry.trial for entry in entries]
    return kind + hashlib.sha256(json.dumps(numbers).encode()).hexdigest()[:12]


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
        found = optuna.get_all_study_summaries(store.optuna)
    ours = {s.study_name: s.user_attrs[CONFIG] for s in found if CONFIG in s.user_attrs}
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


def _whole(attrs: Mapping[str, Any], study: str) -> dict[str, Any]:
    """Return the configuration in a study's attributes, if it is one that this version can go on with."""
    config = attrs.get(CONFIG)
    if config is None:
        raise InputError(f"{study} was not started by promptfront: choose another `study` name")
    missing = (
        [key for key in _NEEDED if key not in config] if isinstance(config, dict) else list(_NEEDED)
    )
    if (
        missing
        or not isinstance(config["identity"], dict)
        or not {"dev", "test"} <= set(config["sizes"])
    ):
        raise InputError(
            f"{study} has settings that are damaged or of another version (no {', '.join(missing[:3]) or 'sizes'}): "
            "it is left as it is; choose another `study` name"
        )
    return dict(config)


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


def _is_full(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and CANDIDATE in trial.user_attrs


def _outcome(trial: FrozenTrial) -> Outcome:
    attrs = trial.user_attrs[CANDIDATE]
    prompt: Prompt | None = prompt_from_dict(attrs["prompt"]) if attrs["prompt"] else None
    return Outcome(
        trial.number,
        prompt,
        tuple(attrs["mutators"]),
        attrs.get("estimate"),
        attrs.get("tokens"),
        complete=_is_full(trial),
        potential=attrs.get("potential"),
        rows=attrs.get("rows", 0),
    )


def _finish(attrs: Mapping[str, Any]) -> Finish:
    names = "tokens", "rows", "quality", "estimate", "potential"
    return Finish(
        **{name: attrs[name] for name in names},
        offsets=tuple(attrs["offsets"]),
        stopped=attrs["stopped"],
        reasons=attrs.get("reasons", {}),
    )


def _entry(trial: FrozenTrial) -> Entry:
    attrs = trial.user_attrs[CANDIDATE]
    return Entry(
        trial=trial.number,
        prompt=prompt_from_dict(attrs["prompt"]),
        quality=attrs["quality"],
        tokens=attrs["tokens"],
        offsets=tuple(attrs["offsets"]),
        parents=tuple(attrs["parents"]),
        mutators=tuple(attrs["mutators"]),
        reasons=attrs.get("reasons", {}),
    )


def _tested(entry: Entry, tests: dict[str, Any]) -> Entry:
    found = tests.get(str(entry.trial))
    if found is None:
        return entry
    return replace(
        entry, test=HeldOutScore(**found["test"]), gain=found["gain"], p_value=found["p_value"]
    )
