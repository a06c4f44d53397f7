"""A prompt scored on all dev rows, as a trial."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InputError
from ..records.trials import Interval, Trial
from ..records.unscored import count, nothing_scored
from .statistics import mean_interval, scored

if TYPE_CHECKING:
    from ..contracts import Prompt
    from .evaluator import Evaluator


def score_in_full(evaluator: Evaluator, prompt: Prompt, who: str) -> Trial:
    """Return the trial of a prompt that was scored on all dev rows.

    Raises
    ------
    InputError
        If no row can be scored; ``who`` says of which prompt.
    """
    dev = evaluator.task.dev
    evaluation = evaluator.evaluate(prompt, dev)
    reasons = count(evaluation.reasons)
    if not scored(evaluation.values):
        raise InputError(nothing_scored(who, len(dev), "dev", reasons))
    mean = potential = evaluator.mean(evaluation.values, dev)
    if evaluator.log_odds.known(prompt):
        potential = evaluator.log_odds.estimates({prompt: len(dev)})[prompt].potential
    trial = Trial(
        prompt,
        rows=len(dev),
        tokens=evaluator.tokens.of_prompt(prompt),
        reply_tokens=evaluator.reply_tokens(prompt, dev),
        dev_mean=mean,
        estimate=mean,
        potential=potential,
        offsets=evaluation.offsets,
        reasons=reasons,
    )
    return with_interval(evaluator, trial)


def with_interval(evaluator: Evaluator, trial: Trial) -> Trial:
    """Return a candidate with the interval of its dev mean, if it saw all dev rows."""
    if trial.prompt is None or not trial.complete:
        return trial
    values = scored(evaluator.evaluate(trial.prompt, evaluator.task.dev).values)
    low, high = mean_interval(values, trial.dev_mean)
    return replace(trial, interval=Interval(low, high, len(values)))
