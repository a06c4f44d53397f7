"""What a search has found: the front with its evidence, read from the database."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from ..errors import InputError
from ..prompts.render import prompt_to_dict
from .notebook import data_frame, frontier_rows, html_table
from .pareto import front_indices, knee
from .unscored import too_many
from .verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Prompt
    from .config import StudyConfig
    from .efforts import Worth
    from .explanation import Explanation
    from .trials import Trial

FINALISTS = 3
"""Members of the front that confirmation rows decide between."""


@dataclass(frozen=True, slots=True)
class HeldOutScore:
    """A score on the held-out test split with its 95 % interval.

    ``n`` rows were scored and ``unscored`` could not be, counted by ``reasons``. ``uncalibrated``
    is the score of the same prompt read without calibration (not where the score is cross-fitted),
    ``constraints_met`` the share of its constraints that replies meet before they are cut to their
    limits, where these can be measured, ``parts`` the mean of each scorer of several with weights
    (on held-out rows). Of labels there are also the mean of their F1 scores and Matthews'
    correlation coefficient (over all labels; Gorodkin 2004), and what the prompt scores on the
    first ``written_n`` rows when its reply is really written and the label read off it, whatever
    ``score`` rests on, which on these rows is ``written_gap`` higher. ``unread`` replies say no
    label, or several, and are wrong.
    """

    score: float
    low: float
    high: float
    n: int
    uncalibrated: float | None
    unscored: int = 0
    constraints_met: float | None = None
    parts: dict[str, float] = field(default_factory=dict)
    macro_f1: float | None = None
    matthews: float | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    written: float | None = None
    written_n: int = 0
    written_gap: float | None = None
    unread: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmationScore:
    """A finalist's mean score on ``n`` rows that no race has seen.

    ``unscored`` more could not be scored, counted by ``reasons``. ``gain`` is its mean gain over
    the starting prompt on the rows that are scored for both.
    """

    score: float
    n: int
    unscored: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class Headroom:
    """What there is to gain over the starting prompt, as the first candidates show it.

    Of ``prompts``, the start among them, the one that leads was compared with the start on ``rows``
    rows: ``gain`` is its mean gain, give or take a standard error of ``noise``. ``spread`` is the
    standard deviation of prompts' true mean scores. Something to gain was ``seen``, or it was not.
    """

    prompts: int
    rows: int
    gain: float
    noise: float
    spread: float
    seen: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What choosing by few rows is worth over the starting prompt: cross-fitted on ``n`` rows."""

    gain: float
    p_value: float
    n: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A fully evaluated prompt and the evidence for it.

    Parameters
    ----------
    trial
        The prompt, where it comes from, and its dev score.
    confirmation
        Its score on rows that no race has seen, for a finalist.
    test
        Its held-out score, once the search has ended.
    gain, p_value
        Held-out gain over the starting prompt on the same rows, and the two-sided exact paired
        p-value.
    """

    trial: Trial
    confirmation: ConfirmationScore | None = None
    test: HeldOutScore | None = None
    gain: float | None = None
    p_value: float | None = None

    @property
    def number(self) -> int:
        """Its number in the Optuna study."""
        return self.trial.number

    @property
    def prompt(self) -> Prompt:
        """The prompt, which every trial has that was scored."""
        return cast("Prompt", self.trial.prompt)

    @property
    def tokens(self) -> int:
        """What the prompt adds to an input."""
        return self.trial.tokens

    @property
    def cost(self) -> float:
        """The tokens that are read and written for an example, but for its inputs."""
        return self.trial.cost

    @property
    def quality(self) -> float:
        """The mean score on the dev rows."""
        return cast("float", self.trial.dev_mean)

    @property
    def unscored(self) -> int:
        """How many dev rows could not be scored."""
        return sum(self.trial.reasons.values())

    @property
    def refuted(self) -> bool:
        """Whether it did worse than the starting prompt on rows that no race has seen."""
        gain = self.confirmation.gain if self.confirmation else None
        return gain is not None and gain < 0

    def confirmed(self, dev_rows: int) -> float:
        """Return the mean score over dev and confirmation rows."""
        if self.confirmation is None:
            return self.quality
        scored = dev_rows - self.unscored
        return (self.quality * scored + self.confirmation.score * self.confirmation.n) / (
            scored + self.confirmation.n
        )

    def to_dict(self, *, with_gain: bool = False) -> dict[str, Any]:
        """Return the entry as plain values for JSON."""
        values = {
            "trial": self.number,
            "quality": self.quality,
            "tokens": self.tokens,
            "reply_tokens": self.trial.reply_tokens,
            "unscored": self.unscored,
            "reasons": self.trial.reasons,
            "prompt": prompt_to_dict(self.prompt),
            "confirmation": asdict(self.confirmation) if self.confirmation else None,
            "test": asdict(self.test) if self.test else None,
        }
        return values | {"gain": self.gain, "p_value": self.p_value} if with_gain else values


@dataclass(frozen=True, slots=True)
class Frontier:
    """The result of a search.

    Parameters
    ----------
    study, task, model, backend, seed
        What was searched.
    trials, evaluations
        Candidates tried, and prompt x example evaluations evaluated for them.
    start
        The starting prompt.
    best
        The prompt of the front that dev and confirmation rows together rank first; of equals the
        cheapest. One that did worse than the start on confirmation rows is passed over, and where
        all did, it is the start.
    front
        The Pareto front in order of the tokens that are read and written.
    config
        Everything the study was started with.
    choice
        What choosing the best prompt is worth, where no rows were held out.
    headroom
        What the first candidates showed that there is to gain, once they were tried.
    mutators
        What each mutator cost and brought, that with the largest gain first.
    offered
        Prompts that were derived from others after the search, and can be picked.
    explanation
        What each part of the best prompt is worth, once that was asked for.
    """

    study: str
    task: str
    model: str
    backend: str
    seed: int
    trials: int
    evaluations: int
    start: Entry
    best: Entry
    front: tuple[Entry, ...]
    config: StudyConfig
    choice: Choice | None = None
    headroom: Headroom | None = None
    mutators: tuple[Worth, ...] = ()
    offered: tuple[Entry, ...] = ()
    explanation: Explanation | None = None

    @property
    def held_out(self) -> bool:
        """Whether rows were held out; if not, `Entry.test` and its gain are cross-fitted."""
        return bool(self.config.sizes.test)

    @classmethod
    def of(
        cls,
        config: StudyConfig,
        entries: list[Entry],
        *,
        study: str,
        trials: int,
        evaluations: int,
    ) -> Frontier:
        """Build the front of ``entries``; the first is the starting prompt.

        Raises
        ------
        InputError
            If nothing has been fully evaluated yet.
        """
        if not entries:
            raise InputError(
                f"study {study!r} holds no fully evaluated prompt yet: "
                "run `optimize` again to continue it"
            )
        rows = config.sizes.dev
        front = tuple(front_of(entries, rows))
        confirmed = [entry for entry in front if entry.confirmation] or front
        held_up = [entry for entry in confirmed if not entry.refuted] or entries[:1]
        best = max(held_up, key=lambda entry: (entry.confirmed(rows), -entry.cost))
        return cls(
            study=study,
            task=config.task,
            model=config.model,
            backend=config.backend,
            seed=config.seed,
            trials=trials,
            evaluations=evaluations,
            start=entries[0],
            best=best,
            front=front,
            config=config,
        )

    def simplified(self, simpler: Entry) -> Frontier:
        """Return the same with the best prompt as it was made simpler; the front keeps the rest."""
        known = [entry for entry in self.front if entry.number != simpler.number]
        front = front_of([*known, simpler], self.config.sizes.dev)
        return replace(self, best=simpler, front=tuple(front))

    def pick(self, which: str) -> Entry:
        """Return one prompt of the front: ``best``, ``knee``, ``shortest`` or a trial number.

        Raises
        ------
        InputError
            If ``which`` names none of the front or the starting prompt.
        """
        if which == "best":
            return self.best
        if which == "shortest":
            return self.front[0]
        if which == "knee":
            return self.front[knee([(e.quality, e.cost) for e in self.front])]
        entries = {str(entry.number): entry for entry in (self.start, self.best, *self.front)}
        entries = {str(entry.number): entry for entry in self.offered} | entries
        if which not in entries:
            raise InputError(
                f"`pick`: expected best, knee, shortest or one of the trials {', '.join(entries)}, "
                f"found {which!r}"
            )
        return entries[which]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values for JSON: equal fronts print the same bytes."""
        return {
            "study": self.study,
            "task": self.task,
            "model": self.model,
            "backend": self.backend,
            "seed": self.seed,
            "trials": self.trials,
            "evaluations": self.evaluations,
            "start": self.start.to_dict(),
            "best": self.best.to_dict(with_gain=True),
            "front": [entry.to_dict() for entry in self.front],
            "choice": asdict(self.choice) if self.choice else None,
            "headroom": asdict(self.headroom) if self.headroom else None,
            "mutators": [worth.to_dict() for worth in self.mutators],
        }

    def to_pandas(self) -> Any:  # noqa: ANN401 (pandas is optional)
        """Return the start and the front as a pandas DataFrame, a row each.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return data_frame(frontier_rows(self))

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return html_table(verdict(self), frontier_rows(self))


def front_of(entries: Sequence[Entry], rows: int) -> list[Entry]:
    """Return the Pareto front in order of the tokens that are read and written.

    The mean of a prompt that leaves many of its ``rows`` without a score is of those that were easy
    for it: where other prompts do not, it is not compared with them.
    """
    sound = [entry for entry in entries if not too_many(entry.trial.reasons, rows)] or entries
    return [sound[i] for i in front_indices([(entry.quality, entry.cost) for entry in sound])]


def finalists(frontier: Frontier) -> list[Entry]:
    """Return the members of the front with the best dev scores."""
    return sorted(frontier.front, key=lambda entry: (-entry.quality, entry.cost))[:FINALISTS]


def with_start(frontier: Frontier, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries and, first, the starting prompt that they are compared with."""
    start = frontier.start
    return [start, *(entry for entry in entries if entry.number != start.number)]
