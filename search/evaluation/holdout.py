"""The end of a search: confirmation rows choose the best prompt, held-out rows say its worth.

Where rows are too few for any to be held out, the choice of the best prompt is cross-fitted
instead.

The best of many dev scores is partly luck. So the finalists are scored on more rows, which neither
a race nor a mutator has seen: the last of train, kept back for this. What dev and confirmation rows
together rank first is the best prompt.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..records.results import ConfirmationScore, HeldOutScore
from ..records.unscored import count, nothing_scored
from .evaluator import Evaluation
from .pasted import Pasted, pasted
from .statistics import label_scores, mean_interval, paired, paired_p_value, scored, scored_mean

if TYPE_CHECKING:
    from ..contracts import Example, Prompt, Reason, Task
    from ..records.results import Entry, Frontier
    from .evaluator import Evaluator

TEST_ROWS = 250
"""Test rows of a front member that is neither the best nor the starting prompt, which get all."""
REPLY_TEST_ROWS = 60
"""The same where each row is a reply to be written."""
_CHUNK = 250
"""Rows in one call."""
_FOLDS = 5
"""Parts that cross-fitting divides the rows into: the usual number (Hastie et al. 2009, 7.10)."""
_DIVISIONS = 20
"""How often it divides them anew, so that one division's luck averages out."""
_CONFIRMING = 3
"""One in so many training rows is kept for confirmation at most."""


def confirmation_rows(task: Task) -> tuple[Example, ...]:
    """Return the training rows that mutators are not shown.

    They are as many as dev has, a third of train at most; none where rows are shared.
    """
    if task.shared:
        return ()
    return task.train[len(task.train) - min(len(task.dev), len(task.train) // _CONFIRMING) :]


def train_rows(task: Task) -> tuple[Example, ...]:
    """Return the other training rows."""
    return task.train[: len(task.train) - len(confirmation_rows(task))]


def unshown(task: Task, entries: Sequence[Entry]) -> list[Example]:
    """Return the confirmation rows that none of the prompts shows."""
    shown = {example.inputs for entry in entries for example in entry.prompt.demonstrations}
    return [row for row in confirmation_rows(task) if row.inputs not in shown]


def confirm(
    evaluator: Evaluator, entries: Sequence[Entry], rows: Sequence[Example]
) -> dict[str, Any]:
    """Return each prompt's score on confirmation rows, by trial.

    The first of ``entries`` is the starting prompt, which the others are compared with. There is
    nothing where there are no rows.
    """
    results = dict[str, Any]()
    start: tuple[float, ...] = ()
    for entry in entries if rows else ():
        evaluation = held_out(evaluator, entry.prompt, entry.trial.offsets, rows)
        start = start or evaluation.values
        known, reasons = len(scored(evaluation.values)), count(evaluation.reasons)
        if known:
            mean = evaluator.mean(evaluation.values, rows)
            gain = _worth(paired(evaluation.values, start))["gain"]
            score = ConfirmationScore(mean, known, sum(reasons.values()), reasons, gain)
            results[str(entry.number)] = asdict(score)
    return results


def held_out_scores(
    evaluator: Evaluator, frontier: Frontier, on_step: Callable[[], None]
) -> dict[str, Any]:
    """Return the held-out scores of start, best and front, by trial, with the paired gains.

    Raises
    ------
    InputError
        If no row of the start, or none of the best prompt, could be scored.
    """
    test = evaluator.task.test
    start = held_out(evaluator, frontier.start.prompt, frontier.start.trial.offsets, test).values
    entries = {entry.number: entry for entry in (frontier.start, frontier.best, *frontier.front)}
    whole = {frontier.best.number: "the best prompt", frontier.start.number: "the starting prompt"}
    results = dict[str, Any]()
    for number, entry in entries.items():
        rows = tested_rows(evaluator, frontier, entry)
        evaluation = held_out(evaluator, entry.prompt, entry.trial.offsets, rows)
        on_step()
        if scored(evaluation.values):
            score = asdict(_held_out_score(evaluator, entry, rows, evaluation))
            worth = _worth(paired(evaluation.values, start[: len(rows)]))
            results[str(number)] = {"test": score} | worth
        elif number in whole:
            counts = count(evaluation.reasons)
            raise InputError(nothing_scored(whole[number], len(rows), "test", counts))
    return results


def tested_rows(evaluator: Evaluator, frontier: Frontier, entry: Entry) -> Sequence[Example]:
    """Return the rows that a prompt is tested on; dev rows where none are held out."""
    task = evaluator.task
    if not task.test:
        return task.dev
    if entry.number in (frontier.start.number, frontier.best.number):
        return task.test
    return task.test[: TEST_ROWS if task.labels else REPLY_TEST_ROWS]


def _worth(pairs: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    """Return the gain that pairs of values show, and its p-value; None of no pairs."""
    if not pairs:
        return {"gain": None, "p_value": None}
    return {"gain": fmean(a - b for a, b in pairs), "p_value": paired_p_value(pairs)}


def cross_fit(evaluator: Evaluator, frontier: Frontier, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what choosing by these rows is worth, on the same rows, by trial and as a ``choice``.

    The rows are divided into folds at random, many times. The rows outside a fold choose among all
    fully evaluated prompts, and the choice is scored on the fold: each row is scored by prompts
    that it had no part in choosing (cross-validation of the choice; Stone 1974, Varma & Simon
    2006), averaged over the divisions. That mutators saw all rows is not undone: a little optimism
    is left. The best prompt, where it is another than the start, has the score and gain of the
    choice.

    Parameters
    ----------
    evaluator
        Has the prompts' scores.
    frontier
        Has the starting and the best prompt.
    entries
        The fully evaluated prompts.
    """
    rows = evaluator.task.dev
    evaluations = [evaluator.evaluate(entry.prompt, rows) for entry in entries]
    chosen = [_choices(evaluator, entries, evaluations, fold) for fold in _folds(len(rows))]
    ours: list[float] = []
    for i in range(len(rows)):
        ours.append(scored_mean([choice[i] for choice in chosen if i in choice]))
    start = evaluator.evaluate(frontier.start.prompt, rows)
    best = evaluator.evaluate(frontier.best.prompt, rows)
    pairs = paired(ours, start.values)
    if not pairs:
        return {}
    worth = _worth(pairs)
    known = zip(ours, best.reasons, strict=True)
    reasons = tuple(why if math.isnan(value) else None for value, why in known)
    crossed = replace(best, values=tuple(ours), reasons=reasons)
    choice = _held_out_score(evaluator, frontier.best, rows, crossed)
    own = _held_out_score(evaluator, frontier.start, rows, start)
    return {
        str(frontier.best.number): {"test": asdict(choice)} | worth,
        # Over itself no prompt gains anything, whichever prompts the rows would choose.
        str(frontier.start.number): {"test": asdict(own), "gain": 0.0, "p_value": 1.0},
        "choice": worth | {"n": len(pairs)},
    }


def _folds(rows: int) -> list[list[int]]:
    rng, folds = random.Random(0), list[list[int]]()  # noqa: S311 (not cryptography)
    for _ in range(_DIVISIONS):
        order = rng.sample(range(rows), rows)
        folds += [order[i::_FOLDS] for i in range(_FOLDS)]
    return folds


def _choices(
    evaluator: Evaluator,
    entries: Sequence[Entry],
    evaluations: Sequence[Evaluation],
    fold: Sequence[int],
) -> dict[int, float]:
    """Return the score on each row of a fold of the prompt that the other rows rank first.

    Prompts that show the row are passed over, and a row that the chosen prompt leaves without a
    score is left out.
    """
    others = [i for i in range(len(evaluations[0].values)) if i not in fold]
    rows = [evaluator.task.dev[i] for i in others]
    means = [evaluator.mean([one.values[i] for i in others], rows) for one in evaluations]

    def rank(c: int) -> tuple[bool, float, float]:
        return math.isnan(means[c]), -means[c], entries[c].cost

    ranked = [evaluations[c] for c in sorted(range(len(entries)), key=rank)]
    choices: dict[int, float] = {}
    for row in fold:
        chosen = next((one for one in ranked if not _shows(one, row)), None)
        if chosen and not math.isnan(chosen.values[row]):
            choices[row] = chosen.values[row]
    return choices


def _shows(evaluation: Evaluation, row: int) -> bool:
    return math.isnan(evaluation.values[row]) and evaluation.reasons[row] is None


def _held_out_score(
    evaluator: Evaluator, entry: Entry, rows: Sequence[Example], evaluation: Evaluation
) -> HeldOutScore:
    known, reasons = scored(evaluation.values), count(evaluation.reasons)
    plain: list[float] = []
    parts: dict[str, float] = {}
    written: Pasted | None = None
    if evaluator.task.test:
        plain = scored(evaluator.evaluate(entry.prompt, rows, offsets=()).values)
        parts = evaluator.parts(entry.prompt, rows)
        written = pasted(evaluator, entry.prompt, rows)
    low, high = mean_interval(known)
    return HeldOutScore(
        score=fmean(known),
        low=low,
        high=high,
        n=len(known),
        uncalibrated=fmean(plain) if plain else None,
        unscored=sum(reasons.values()),
        constraints_met=evaluator.constraints_met(entry.prompt, rows),
        parts=parts,
        reasons=reasons,
        written=written.score if written else None,
        written_n=written.n if written else 0,
        unread=len(evaluator.unread(entry.prompt, rows)),
        written_gap=_gap(written, evaluation.values),
        **_label_scores(evaluator, entry, rows, evaluation),
    )


def _gap(written: Pasted | None, values: Sequence[float]) -> float | None:
    """Return how much higher the score of the rows is to which replies were written."""
    known = scored(values[: written.n]) if written else []
    return fmean(known) - written.score if written and known else None


def _label_scores(
    evaluator: Evaluator, entry: Entry, rows: Sequence[Example], evaluation: Evaluation
) -> dict[str, float]:
    """Return what only the choice of labels on the whole test split has."""
    if rows != evaluator.task.test:
        return {}
    values = zip(rows, evaluation.values, strict=True)
    known = [row for row, value in values if not math.isnan(value)]
    chosen = evaluator.chosen(entry.prompt, known, entry.trial.offsets)
    golds = [row.target for row in known]
    return label_scores(golds, chosen, evaluator.task.labels) if chosen else {}


def held_out(
    evaluator: Evaluator, prompt: Prompt, offsets: tuple[float, ...], rows: Sequence[Example]
) -> Evaluation:
    """Score a prompt in calls of a fixed size, so that a later process repeats the same calls."""
    values: list[float] = []
    reasons: list[Reason | None] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = evaluator.evaluate(prompt, rows[start : start + _CHUNK], offsets)
        values += chunk.values
        reasons += chunk.reasons
    return Evaluation(tuple(values), offsets, tuple(reasons))
