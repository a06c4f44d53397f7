"""Which of a search's choices its scores went with: about the search, not about causes.

fANOVA (Hutter et al. 2014, "An efficient approach for assessing hyperparameter importance") fits
trees to the candidates' scores and says how much of their variance each choice explains by itself:
whether a gene is another than the start's, and whether a mutator was applied. Candidates are no
random sample: a mutator that was given the best parents looks good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial

from ..contracts import GENES
from ..records.explanation import Importance
from .sampler import quiet_optuna

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Prompt
    from ..records.trials import Trial

_LEAST = 8
"""Scored candidates below which nothing is said; set by hand."""
_CHOICE: BaseDistribution = CategoricalDistribution((False, True))


def importances(trials: Sequence[Trial], start: Prompt) -> Importance | None:
    """Return how much of the variance of scores each gene and each mutator explains.

    Parameters
    ----------
    trials
        The scored candidates.
    start
        The starting prompt.
    """
    scored = [trial for trial in trials if trial.prompt and trial.estimate is not None]
    if len(scored) < _LEAST or len({trial.estimate for trial in scored}) == 1:
        return None
    names = sorted({name for trial in scored for name in trial.mutators})
    genes: list[dict[str, bool]] = [
        {gene: getattr(trial.prompt, gene) != getattr(start, gene) for gene in GENES}
        for trial in scored
    ]
    mutators = [{name: name in trial.mutators for name in names} for trial in scored]
    scores = [trial.estimate or 0.0 for trial in scored]
    return Importance(len(scored), _explained(genes, scores), _explained(mutators, scores))


def _explained(choices: Sequence[Mapping[str, bool]], scores: Sequence[float]) -> dict[str, float]:
    """Return the share of the scores' variance that each choice explains, the largest first."""
    varied = [name for name in choices[0] if len({one[name] for one in choices}) > 1]
    if not varied:
        return {}
    with quiet_optuna():
        study = optuna.create_study(direction="maximize")
        for one, score in zip(choices, scores, strict=True):
            values = {name: one[name] for name in varied}
            kinds = dict.fromkeys(varied, _CHOICE)
            study.add_trial(create_trial(value=score, params=values, distributions=kinds))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        try:
            return evaluator.evaluate(study)
        except RuntimeError:  # no tree splits: none of them explains anything
            return {}
