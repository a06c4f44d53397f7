"""`explain`: what each part of a prompt is worth, measured by leaving it out.

Results are stored: the same question again needs no model.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .errors import InputError
from .evaluation.effects import Effects
from .evaluation.full import score_in_full
from .evaluation.holdout import confirmation_rows
from .evaluation.word_effects import word_effects
from .export.reopened import reopened
from .options import DEFAULT_STORAGE
from .prompts.parts import PromptParts
from .proposals.importance import importances
from .records.explanation import Effect, Explanation, PartEffect, Shorter
from .storage.database import Store
from .storage.opening import latest_study
from .storage.study import Study
from .storage.trials import DERIVED

if TYPE_CHECKING:
    from .contracts import Backend, Example, Task
    from .evaluation.evaluator import Evaluator
    from .prompts.parts import Part
    from .records.explanation import RowExplanation
    from .records.results import Entry
    from .records.trials import Trial

_WEAKEST = 3
"""Parts that the shorter prompt does without."""
_EXPLAINED = "explain"
"""What is said to have made the shorter prompt, as mutators are named."""

Split = Literal["dev", "test"]


class ExplainPlan(NamedTuple):
    """What is about to be scored: the number of prompts, and of rows for each."""

    trial: int
    parts: int
    prompts: int
    rows: int


class _Wanted(NamedTuple):
    """What is asked for; equal questions have equal answers."""

    split: Split
    rows: int | None
    shapley: int
    row: int | None

    def name(self, entry: Entry) -> str:
        text = json.dumps([entry.number, *self])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def explain(
    storage: str = DEFAULT_STORAGE,
    study: str | None = None,
    *,
    pick: str = "best",
    split: Split = "dev",
    rows: int | None = None,
    shapley: int = 0,
    row: int | None = None,
    task: Task | None = None,
    backend: Backend | None = None,
    on_plan: Callable[[ExplainPlan], None] = lambda _: None,
) -> Explanation:
    """Return what each part of a prompt is worth.

    It leaves out one sentence, constraint, demonstration or setting at a time and scores the same
    rows again. The result is stored and reused.

    Parameters
    ----------
    storage, study
        The database URL and the study's name; by default the latest study.
    pick
        Which prompt: ``"best"``, ``"knee"``, ``"shortest"`` or a trial number.
    split
        Which rows to score: ``"dev"`` (dev and confirmation rows together) or ``"test"``. Do not
        change a prompt because of effects on test rows: they would no longer be unseen.
    rows
        Maximum number of rows; by default all.
    shapley
        Number of subsets of the parts to score for Shapley values; 0 for none.
    row
        Number of one of these rows, from 1, whose input words are examined too.
    task, backend
        The task and the backend, if the search was given objects.
    on_plan
        Called with the plan before anything is scored.

    Raises
    ------
    InputError
        If the study, prompt or row does not exist, or task or model cannot be loaded again.
    BackendError
        If the model cannot be loaded or does not answer.

    References
    ----------
    Leaving out one part (Covert, Lundberg & Lee 2021, "Explaining by removing", arXiv 2011.14878);
    Shapley values as `evaluation.effects` has them.
    """
    wanted = _Wanted(split, rows, shapley, row)
    _check(wanted)
    store = Store(storage, create=False)
    held = Study(store, study or latest_study(store))
    entry = held.frontier().pick(pick)
    name = wanted.name(entry)

    def work() -> dict[str, Any]:
        evaluator = reopened(held, task, backend)
        try:
            return _Explainer(held, evaluator, entry, wanted, on_plan).explanation().to_dict()
        finally:
            if evaluator.backend is not backend:
                evaluator.backend.close()

    with held.batches.heartbeat():
        held.batches.once("explain", name, work)
    done = next(one for one in held.batches.of("explain") if one.name == name)
    return Explanation.from_dict(done.payload)


def _check(wanted: _Wanted) -> None:
    if wanted.split not in ("dev", "test"):
        raise InputError(f"`split`: expected dev or test, found {wanted.split!r}")
    for option, least in (("rows", 1), ("shapley", 0), ("row", 1)):
        value = getattr(wanted, option)
        if value is not None and value < least:
            raise InputError(f"`{option}`: expected a number of at least {least}, found {value}")


class _Explainer:
    """Explains one prompt of a study.

    Parameters
    ----------
    held, entry
        The study and the prompt.
    evaluator
        Scores it.
    wanted
        What is asked for.
    on_plan
        Called before anything is scored.
    """

    def __init__(
        self,
        held: Study,
        evaluator: Evaluator,
        entry: Entry,
        wanted: _Wanted,
        on_plan: Callable[[ExplainPlan], None],
    ) -> None:
        self._held = held
        self._evaluator = evaluator
        self._entry = entry
        self._wanted = wanted
        task = evaluator.task
        self._parts = PromptParts(entry.prompt, task.start.structure, task.input_fields)
        self._all = self._parts.all()
        self._rows = self._explained()
        if wanted.shapley and self._all[1:] and not self._parts.may_go(self._all):
            raise InputError(
                "`shapley`: expected a prompt whose parts can all be left out, but a turn would "
                "then be empty; leave `shapley` out"
            )
        prompts = 1 + len(self._all) + wanted.shapley
        on_plan(ExplainPlan(entry.number, len(self._all), prompts, len(self._rows)))

    def explanation(self) -> Explanation:
        """Return what the parts are worth."""
        effects = Effects(self._evaluator, self._parts, self._rows)
        tokens = self._evaluator.tokens.of_prompt
        cost = tokens(self._entry.prompt)
        each = effects.of_each(self._all)
        parts = [
            PartEffect(
                part.gene,
                part.text,
                part.place,
                0 if effect is None else cost - tokens(self._parts.without([part])),
                effect,
            )
            for part, effect in zip(self._all, each, strict=True)
        ]
        bare: float | None = None
        if self._wanted.shapley and parts[1:]:
            rng = random.Random(self._held.config.seed)  # noqa: S311 (not cryptography)
            values, bare = effects.shapley(self._all, self._wanted.shapley, rng)
            both = zip(parts, values, strict=True)
            parts = [replace(part, shapley=value) for part, value in both]
        return Explanation(
            study=self._held.name,
            trial=self._entry.number,
            split=self._wanted.split,
            rows=len(self._rows),
            score=effects.score,
            tokens=cost,
            parts=tuple(parts),
            bare=bare,
            shorter=self._shorter(effects, each),
            row=self._words(),
            importance=importances(
                [trial for trial, _ in self._held.scored()], self._evaluator.task.start
            ),
        )

    def _explained(self) -> list[Example]:
        """Return the rows that are scored: those that the prompt does not show."""
        task, split = self._evaluator.task, self._wanted.split
        known = task.test if split == "test" else (*task.dev, *confirmation_rows(task))
        shown = {example.inputs for example in self._entry.prompt.demonstrations}
        rows = [row for row in known if row.inputs not in shown][: self._wanted.rows]
        if not rows:
            raise InputError(
                f"`split`: study {self._held.name!r} has no {split} rows to score; choose another"
            )
        if self._wanted.row is not None and self._wanted.row > len(rows):
            raise InputError(
                f"`row`: expected a number from 1 to {len(rows)}, found {self._wanted.row}"
            )
        return rows

    def _words(self) -> RowExplanation | None:
        number, offsets = self._wanted.row, self._entry.trial.offsets
        if number is None:
            return None
        row = self._rows[number - 1]
        return word_effects(self._evaluator, self._entry.prompt, row, number, offsets)

    def _shorter(self, effects: Effects, each: Sequence[Effect | None]) -> Shorter | None:
        """Return the prompt without the parts that rows do not show to be of use.

        Test rows choose nothing.
        """
        known = [(one.mean, i) for i, one in enumerate(each) if one and one.low <= 0]
        weakest = sorted(i for _, i in sorted(known)[:_WEAKEST])
        if not weakest or len(weakest) == len(self._all) or self._wanted.split == "test":
            return None
        gone = [self._all[i] for i in weakest]
        loss, prompt = effects.of([gone])[0], self._parts.without(gone)
        if loss is None:
            return None
        fewer = self._evaluator.tokens.of_prompt(self._entry.prompt)
        fewer -= self._evaluator.tokens.of_prompt(prompt)
        gain = Effect(-loss.mean, -loss.high, -loss.low)
        return Shorter(tuple(part.text for part in gone), gain, fewer, self._offer(gone))

    def _offer(self, gone: Sequence[Part]) -> int:
        """Store the shorter prompt as a trial that can be exported; return its number."""
        prompt, frontier = self._parts.without(gone), self._held.frontier()
        known = (frontier.start, frontier.best, *frontier.front, *frontier.offered)
        if found := next((one for one in known if one.prompt == prompt), None):
            return found.number

        def made() -> Trial:
            trial = score_in_full(self._evaluator, prompt, "the shorter prompt")
            return replace(trial, parents=(self._entry.number,), mutators=(_EXPLAINED,))

        batch = f"{DERIVED}{_EXPLAINED}-{self._wanted.name(self._entry)}"
        return self._held.derived(batch, made).number
