"""The rules benchmarks/racing.py replays: each uncovers a matrix of scores and returns one row.

A rule gets the matrix with its examples in a random order, and returns the index of the candidate
it would choose and the number of evaluations it spent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_rel

from promptfront.search.contracts import Candidate, Prompt, Structure
from promptfront.search.evaluation.estimates import Estimate, estimate
from promptfront.search.evaluation.evaluator import Evaluation, Evaluator
from promptfront.search.evaluation.racing import race
from promptfront.search.proposals.given import second_looks
from promptfront.search.records.trials import History, Trial
from promptfront.search.storage.study import REFERENCES


class Matrix(NamedTuple):
    """Log-likelihoods ``(candidates, examples, labels)`` and the number of each right label."""

    outputs: NDArray[np.float64]
    gold: NDArray[np.int64]

    @property
    def value(self) -> NDArray[np.float64]:
        """Whether each candidate is right on each example, 0 or 1: ``(candidates, examples)``."""
        right: NDArray[np.float64] = (self.outputs.argmax(axis=2) == self.gold).astype(np.float64)
        return right

    def shuffled(self, order: NDArray[np.int64]) -> Matrix:
        """Return the matrix with its examples in another order."""
        return Matrix(self.outputs[:, order], self.gold[order])


Rule = Callable[[Matrix], tuple[int, int]]


def full() -> Rule:
    """Look at everything."""
    return lambda matrix: (int(matrix.value.mean(axis=1).argmax()), matrix.value.size)


def halving(first: float) -> Rule:
    """Successive halving (Jamieson & Talwalkar 2016).

    After ``first`` examples, and each doubling, the better half goes on.
    """

    def rule(matrix: Matrix) -> tuple[int, int]:
        value = matrix.value
        alive, evaluations, seen, end = np.arange(len(value)), 0, 0, int(first)
        while True:
            end = min(end, value.shape[1])
            evaluations += len(alive) * (end - seen)
            order = np.argsort(-value[alive, :end].mean(axis=1), kind="stable")
            if end == value.shape[1] or len(alive) == 1:
                return int(alive[order[0]]), evaluations
            alive, seen, end = alive[order[: (len(alive) + 1) // 2]], end, 2 * end

    return rule


def capo(alpha: float) -> Rule:
    """CAPO's race (arXiv 2504.16005): blocks of 30 until one survives.

    Who is beaten in a paired t-test at ``alpha`` is dropped.
    """

    def rule(matrix: Matrix) -> tuple[int, int]:
        value = matrix.value
        alive, evaluations, seen = np.arange(len(value)), 0, 0
        while seen < value.shape[1] and len(alive) > 1:
            end = min(seen + 30, value.shape[1])
            evaluations += len(alive) * (end - seen)
            seen = end
            scores = value[alive, :seen]
            means = scores.mean(axis=1)
            beaten = [
                any(
                    means[j] > means[i]
                    and ttest_rel(scores[j], scores[i], alternative="greater").pvalue < alpha
                    for j in np.argsort(-means)[:3]
                )
                for i in range(len(alive))
            ]
            alive = alive[~np.array(beaten)]
        return int(alive[value[alive, :seen].mean(axis=1).argmax()]), evaluations

    return rule


def wilcoxon(p_threshold: float) -> Rule:
    """Optuna's WilcoxonPruner, one candidate after the other, asked after every tenth example."""
    import optuna

    def rule(matrix: Matrix) -> tuple[int, int]:
        value = matrix.value
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=p_threshold)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        evaluations = 0
        for row in value:
            trial, pruned = study.ask(), False
            for step, score in enumerate(row):
                trial.report(float(score), step)
                evaluations += 1
                if step % 10 == 9 and trial.should_prune():
                    pruned = True
                    break
            if pruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, float(row.mean()))
        return study.best_trial.number, evaluations

    return rule


def contenders(width: float) -> Rule:
    """Score the leader and those that may still pass it on more examples, a few at a time.

    After LUCB (Kalyanakrishnan et al. 2012). Who may is told by promptfront's estimates, from
    log-odds on few examples and other prompts' scores on the rest, give or take ``width`` standard
    errors of half a point. All see 6 examples, the first candidate all; then the leader and its
    three nearest challengers see 5 more, until nobody's upper bound is above the leader's lower
    one.
    """

    def rule(matrix: Matrix) -> tuple[int, int]:
        value, gold = matrix.value, matrix.gold.tolist()
        seen, total = np.full(len(value), 6), value.shape[1]
        seen[0] = total
        while True:
            outputs = zip(matrix.outputs, seen, strict=True)
            estimates = estimate([row[:n].tolist() for row, n in outputs], gold)
            quality = np.where(seen == total, value.mean(axis=1), [e.quality for e in estimates])
            doubt = width / 2 * np.sqrt((1 - seen / total) / seen)
            leader = int(np.lexsort((seen, quality))[-1])
            upper = quality + doubt
            upper[leader] = np.inf
            contending = np.flatnonzero(upper > quality[leader] - doubt[leader])
            waiting = contending[seen[contending] < total]
            if len(contending) == 1 or not len(waiting):
                return leader, int(seen.sum())
            few = waiting[np.argsort(-upper[waiting])][:4]
            seen[few] = np.minimum(seen[few] + 5, total)

    return rule


class _Replayed:
    """What promptfront's race asks of an evaluator, from a matrix: an instruction is its row."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        self.task = SimpleNamespace(dev=range(len(matrix.gold)), labels=("known",))

    def prompt_tokens(self, _: Prompt) -> int:
        return 1

    def measure(self, prompts: Sequence[Prompt], examples: Sequence[int]) -> None:
        pass

    def evaluate(self, prompt: Prompt, examples: Sequence[int]) -> Evaluation:
        return Evaluation(
            tuple(self._matrix.value[int(prompt.instruction), : len(examples)].tolist()), ()
        )

    def mean(self, values: Sequence[float], _: Sequence[int]) -> float:
        return float(np.mean(values))

    def estimates(self, seen: Mapping[Prompt, int]) -> dict[Prompt, Estimate]:
        outputs = [
            self._matrix.outputs[int(prompt.instruction), :rows].tolist()
            for prompt, rows in seen.items()
        ]
        return dict(zip(seen, estimate(outputs, self._matrix.gold.tolist()), strict=True))


def promptfront(batch: float) -> Rule:
    """Race as promptfront does, in batches against the best so far.

    Candidates that were stopped for want of budget but look best race again.
    """

    def rule(matrix: Matrix) -> tuple[int, int]:
        evaluator = cast("Evaluator", _Replayed(matrix))
        waiting = [Prompt(str(row), Structure(("",), "")) for row in range(len(matrix.outputs))]
        start, examples = waiting.pop(0), len(matrix.gold)
        best, evaluations = Candidate(start, float(matrix.value[0].mean()), 1), examples
        complete, history = [start], History()
        history.add(Trial(start, rows=examples, tokens=1, estimate=best.quality))
        before = 0
        while waiting or (evaluations > before and second_looks(history)):
            before = evaluations
            again = {p.prompt: p.rows for p in second_looks(history) if p.prompt}
            size = int(batch) - len(again)
            raced, waiting = again | dict.fromkeys(waiting[:size], 0), waiting[size:]
            for prompt, end in race(
                evaluator, raced, [best], complete[-REFERENCES:], lambda *_: None
            ).items():
                evaluations += end.rows - raced[prompt]
                history.add(end)
                if end.complete:
                    complete.append(prompt)
                    best = max(best, Candidate(prompt, end.dev_mean or 0.0, 1), key=_quality)
        return int(best.prompt.instruction), evaluations

    return rule


def _quality(candidate: Candidate) -> float:
    return candidate.quality


RULES: dict[str, tuple[Callable[[float], Rule], tuple[float, ...]]] = {
    "full evaluation": (lambda _: full(), (0,)),
    "successive halving": (halving, (8, 12, 14, 16, 18, 20, 24, 28, 32, 40)),
    "CAPO": (capo, (0.2, 0.05, 0.02, 0.01, 0.005)),
    "promptfront": (promptfront, (8, 16, 32)),
    "contenders": (contenders, (0.6, 0.8, 1.0)),
    "Optuna's Wilcoxon": (wilcoxon, (0.2, 0.1, 0.05, 0.02, 0.01)),
}
"""Each rule with its settings: first block, significance level, candidates of a batch, or width."""
COSTLY = {"Optuna's Wilcoxon": 20, "CAPO": 4, "contenders": 4, "promptfront": 4}
"""Rules that replay slowly get this many times fewer replays."""


def replay(
    name: str, setting: float, matrices: Sequence[Matrix], replays: int
) -> tuple[float, float]:
    """Return how often the best candidate is lost and the share of evaluations spent."""
    rule, rng = RULES[name][0](setting), np.random.default_rng(0)
    lost, evaluations, replays = 0, 0.0, max(1, replays // COSTLY.get(name, 1))
    for matrix in matrices:
        means = matrix.value.mean(axis=1)
        for _ in range(replays):
            chosen, looked = rule(matrix.shuffled(rng.permutation(len(matrix.gold))))
            lost += means[chosen] < means.max()
            evaluations += looked / matrix.value.size
    return lost / replays / len(matrices), evaluations / replays / len(matrices)
