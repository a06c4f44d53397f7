"""The end of a search: fresh rows decide between the finalists, and held-out rows, scored once, say what that is worth.

Where rows are too few for any to be held out, the choice of the best prompt is cross-fitted instead.

The best of many dev scores is partly luck. So the finalists are scored on more rows, which neither a race nor a mutator
has seen: the last of the pool, kept back for this. What dev and fresh rows together rank first is the best prompt.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .results import FreshScore, HeldOutScore
from .statistics import label_scores, mean_interval, paired, paired_p_value, scored, scored_mean

if TYPE_CHECKING:
    from .contracts import Example, Prompt, Task
    from .evaluate import Evaluator
    from .options import Limits
    from .results import Entry, Frontier

FINALISTS = 3
TEST_ROWS, REPLY_TEST_ROWS = 250, 60
"""Test rows for the members of the front between the best prompt and the starting prompt, which get all of them; fewer where
each row is a reply to be written."""
_CHUNK = 250
_FOLDS, _DIVISIONS = 5, 20


def finalists(frontier: Frontier) -> list[Entry]:
    """Return the members of the front with the best dev scores."""
    return sorted(frontier.front, key=lambda entry: (-entry.quality, entry.tokens))[:FINALISTS]


def fresh_rows(task: Task) -> tuple[Example, ...]:
    """Return the pool rows that mutators are not shown: as many as dev has, a third of the pool at most; none where rows are shared."""
    if task.shared:
        return ()
    return task.pool[len(task.pool) - min(len(task.dev), len(task.pool) // 3) :]


def shown_rows(task: Task) -> tuple[Example, ...]:
    """Return the other pool rows."""
    return task.pool[: len(task.pool) - len(fresh_rows(task))]


def confirming_pairs(task: Task, limits: Limits) -> int:
    """Return how many pairs are kept for each finalist: one per fresh row, a seventh of all pairs for the three at most."""
    rows = len(fresh_rows(task))
    return rows if limits.max_pairs is None else min(rows, limits.max_pairs // (7 * FINALISTS))


def confirm(evaluator: Evaluator, entries: Sequence[Entry], most: int) -> dict[str, Any]:
    """Return each finalist's score on up to ``most`` fresh rows, by trial; nothing where the pool has none to spare."""
    shown = {example.inputs for entry in entries for example in entry.prompt.demonstrations}
    rows = [example for example in fresh_rows(evaluator.task) if example.inputs not in shown][:most]
    found = {}
    for entry in entries if rows else ():
        values = held_out_values(evaluator, entry.prompt, entry.offsets, rows)
        if scored(values):
            found[str(entry.trial)] = asdict(FreshScore(evaluator.mean(values, rows), len(scored(values))))
    return found


def judge(evaluator: Evaluator, frontier: Frontier, on_step: Callable[[], None]) -> dict[str, Any]:
    """Return the held-out scores of start, best and front, by trial, with the paired gain over the start."""
    test = evaluator.task.test
    start = held_out_values(evaluator, frontier.start.prompt, frontier.start.offsets, test)
    results: dict[str, Any] = {}
    for entry in {e.trial: e for e in (frontier.start, frontier.best, *frontier.front)}.values():
        full = entry.trial in (frontier.start.trial, frontier.best.trial)
        rows = test if full else test[: TEST_ROWS if evaluator.task.labels else REPLY_TEST_ROWS]
        values = held_out_values(evaluator, entry.prompt, entry.offsets, rows)
        pairs = paired(values, start[: len(rows)])
        on_step()
        if pairs:
            results[str(entry.trial)] = {
                "test": asdict(_held_out_score(evaluator, entry, rows, values)),
                "gain": fmean(a - b for a, b in pairs),
                "p_value": paired_p_value(pairs),
            }
    return results


def cross_fit(evaluator: Evaluator, frontier: Frontier, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what choosing the best prompt by these rows is worth, measured on the same rows, by trial.

    The rows are divided into folds at random, many times. The rows outside a fold choose among all fully evaluated prompts,
    and the choice is scored on the fold: each row is judged by prompts that it had no part in choosing (cross-validation
    of the choice; Stone 1974, Varma & Simon 2006), averaged over the divisions. That mutators saw all rows is not undone:
    a little optimism is left.

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
    values = [evaluator.evaluate(entry.prompt, rows).values for entry in entries]
    chosen = [_choices(evaluator, entries, values, fold) for fold in _folds(len(rows))]
    ours = [scored_mean([choice[i] for choice in chosen if i in choice]) for i in range(len(rows))]
    theirs = evaluator.evaluate(frontier.start.prompt, rows).values
    pairs = paired(ours, theirs)
    results: dict[str, Any] = {}
    for entry, found in ((frontier.best, ours), (frontier.start, theirs)):
        if pairs:
            gains = pairs if entry is frontier.best else [(value, value) for _, value in pairs]
            results[str(entry.trial)] = {
                "test": asdict(_held_out_score(evaluator, entry, rows, found)),
                "gain": fmean(a - b for a, b in gains),
                "p_value": paired_p_value(gains),
            }
    return results


def _folds(rows: int) -> list[list[int]]:
    rng, folds = random.Random(0), list[list[int]]()  # noqa: S311 (not cryptography)
    for _ in range(_DIVISIONS):
        order = rng.sample(range(rows), rows)
        folds += [order[i::_FOLDS] for i in range(_FOLDS)]
    return folds


def _choices(
    evaluator: Evaluator, entries: Sequence[Entry], values: Sequence[Sequence[float]], fold: Sequence[int]
) -> dict[int, float]:
    """Return, for each row of a fold, the score of the prompt that the other rows rank first of those that do not show it."""
    others = [i for i in range(len(values[0])) if i not in fold]
    rows = [evaluator.task.dev[i] for i in others]
    means = [evaluator.mean([found[i] for i in others], rows) for found in values]
    order = sorted(range(len(entries)), key=lambda c: (math.isnan(means[c]), -means[c], entries[c].tokens))
    found = {i: next((values[c][i] for c in order if not math.isnan(values[c][i])), math.nan) for i in fold}
    return {i: value for i, value in found.items() if not math.isnan(value)}


def _held_out_score(
    evaluator: Evaluator, entry: Entry, rows: Sequence[Example], values: Sequence[float]
) -> HeldOutScore:
    known = scored(values)
    uncalibrated = evaluator.evaluate(entry.prompt, rows, offsets=()).quality if evaluator.task.test else None
    unscored, kept = len(values) - len(known), evaluator.compliance(entry.prompt, rows)
    parts = evaluator.parts(entry.prompt, rows) if evaluator.task.test else {}
    chosen = evaluator.chosen(entry.prompt, rows, entry.offsets) if rows == evaluator.task.test else None
    others = {} if chosen is None else label_scores([row.target for row in rows], chosen, evaluator.task.labels)
    return HeldOutScore(fmean(known), *mean_interval(known), len(known), uncalibrated, unscored, kept, parts, **others)


def held_out_values(
    evaluator: Evaluator, prompt: Prompt, offsets: tuple[float, ...], rows: Sequence[Example]
) -> list[float]:
    """Score a prompt on rows in calls of a fixed size, so that a later process repeats the same calls."""
    values: list[float] = []
    for start in range(0, len(rows), _CHUNK):
        values += evaluator.evaluate(prompt, rows[start : start + _CHUNK], offsets).values
    return values
