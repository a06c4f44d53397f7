"""The rules benchmarks/racing.py replays: each looks at a matrix of scores as it is uncovered, and returns one row.

A rule gets 0/1 scores and dense scores, both ``(candidates, examples)``, the examples in a random order, and returns
the index of the candidate it would choose and the number of cells it looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, ttest_rel

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


def posterior(delta: float) -> Rule:
    """Drop who is ahead of the leader over all examples with a probability below ``delta``; look after every sixth.

    The mean lead over the examples not seen yet is taken as normal around that over those seen, whose variance is
    pulled a little towards a prior one.
    """

    def rule(value: Matrix, _: Matrix) -> tuple[int, int]:
        alive, cells, seen, total = np.arange(len(value)), 0, 0, value.shape[1]
        while seen < total and len(alive) > 1:
            end = min(seen + 6, total)
            cells += len(alive) * (end - seen)
            seen = end
            scores = value[alive, :seen]
            leads = scores - scores[scores.mean(axis=1).argmax()]
            variance = (leads.var(axis=1) * seen + 3 * 0.35**2) / (seen + 3)
            error = np.sqrt(variance / seen * (1 - seen / total)) + 1e-12
            alive = alive[norm.cdf(leads.mean(axis=1) / error) >= min(delta, 0.5)]
        return int(alive[value[alive, :seen].mean(axis=1).argmax()]), cells

    return rule


RULES: dict[str, tuple[Callable[[float], Rule], tuple[float, ...]]] = {
    "full evaluation": (lambda _: full(), (0,)),
    "successive halving": (halving, (8, 12, 16, 20, 24, 28, 32, 40)),
    "CAPO": (capo, (0.2, 0.05, 0.02, 0.01, 0.005, 0.003, 0.001)),
    "posterior elimination": (posterior, (0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005)),
    "Optuna's Wilcoxon": (wilcoxon, (0.2, 0.1, 0.05, 0.02, 0.01)),
}
"""Each rule with the settings that are swept: first block, significance level, or probability."""
COSTLY = {"Optuna's Wilcoxon": 20, "CAPO": 4}
"""Rules that replay slowly get this many times fewer replays."""


def replay(name: str, setting: float, matrices: Sequence[tuple[Matrix, Matrix]], replays: int) -> tuple[float, float]:
    """Return how often the best candidate is lost and the part of the cells looked at, over replays in random orders."""
    rule, rng = RULES[name][0](setting), np.random.default_rng(0)
    lost, cells, replays = 0, 0.0, max(1, replays // COSTLY.get(name, 1))
    for value, dense in matrices:
        best = value.mean(axis=1).max()
        for _ in range(replays):
            order = rng.permutation(value.shape[1])
            chosen, looked = rule(value[:, order], dense[:, order])
            lost += value[chosen].mean() < best
            cells += looked / value.size
    return lost / replays / len(matrices), cells / replays / len(matrices)
