"""The rules benchmarks/racing.py replays: each looks at a matrix of scores as it is uncovered, and returns one row.

A rule gets 0/1 scores and dense scores, both ``(candidates, examples)``, the examples in a random order, and returns
the index of the candidate it would choose and the number of cells it looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_rel

Matrix = NDArray[np.float64]
Rule = Callable[[Matrix, Matrix], tuple[int, int]]


def full() -> Rule:
    """Look at everything."""
    return lambda value, _: (int(value.mean(axis=1).argmax()), value.size)


def halving(first: float) -> Rule:
    """Successive halving (Jamieson & Talwalkar 2016): after ``first`` examples, and each doubling, the better half goes on."""

    def rule(value: Matrix, _: Matrix) -> tuple[int, int]:
        alive, cells, seen, end = np.arange(len(value)), 0, 0, int(first)
        while True:
            end = min(end, value.shape[1])
            cells += len(alive) * (end - seen)
            order = np.argsort(-value[alive, :end].mean(axis=1), kind="stable")
            if end == value.shape[1] or len(alive) == 1:
                return int(alive[order[0]]), cells
            alive, seen, end = alive[order[: (len(alive) + 1) // 2]], end, 2 * end

    return rule


def capo(alpha: float) -> Rule:
    """CAPO's race (arXiv 2504.16005): blocks of 30; who is beaten in a paired t-test at ``alpha`` leaves; one survives."""

    def rule(value: Matrix, _: Matrix) -> tuple[int, int]:
        alive, cells, seen = np.arange(len(value)), 0, 0
        while seen < value.shape[1] and len(alive) > 1:
            end = min(seen + 30, value.shape[1])
            cells += len(alive) * (end - seen)
            seen = end
            scores = value[alive, :seen]
            means = scores.mean(axis=1)
            beaten = [
                any(
                    means[j] > means[i] and ttest_rel(scores[j], scores[i], alternative="greater").pvalue < alpha
                    for j in np.argsort(-means)[:3]
                )
                for i in range(len(alive))
            ]
            alive = alive[~np.array(beaten)]
        return int(alive[value[alive, :seen].mean(axis=1).argmax()]), cells

    return rule


def wilcoxon(p_threshold: float) -> Rule:
    """Optuna's WilcoxonPruner, one candidate after the other, asked after every tenth example."""
    import optuna

    def rule(value: Matrix, _: Matrix) -> tuple[int, int]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=p_threshold)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        cells = 0
        for row in value:
            trial, pruned = study.ask(), False
            for step, score in enumerate(row):
                trial.report(float(score), step)
                cells += 1
                if step % 10 == 9 and trial.should_prune():
                    pruned = True
                    break
            if pruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, float(row.mean()))
        return study.best_trial.number, cells

    return rule
