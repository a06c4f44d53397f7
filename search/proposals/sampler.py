"""The Optuna sampler that recombines alleles, and the copy of the study that it works on."""

from __future__ import annotations

import operator
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, get_args

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import create_trial

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.samplers import BaseSampler

    from ..records.trials import History, Tried

Sampler = Literal["tpe", "nsga2", "gp", "random"]

_STARTUP_TRIALS = 16
"""Trials that TPE and GP draw at random: two batches; Optuna's default is ten."""
_POPULATION = 32
"""Prompts of an NSGA-II generation: four batches; Optuna's default is 50."""


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return Optuna's sampler of that name.

    Any whole number is a seed, of which it takes the last 32 bits.
    """
    try:
        seed = operator.index(seed) % 2**32
    except TypeError:
        raise InputError(f"`seed`: expected a whole number, found {seed!r}") from None
    match name:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
        case "gp":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # the user asked for it
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=_STARTUP_TRIALS)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
    raise InputError(f"`sampler`: expected one of {', '.join(get_args(Sampler))}, found {name!r}")


def distributions(tried: Tried) -> dict[str, BaseDistribution]:
    """Return the choices a sampler has: a gene's alleles so far."""
    return {
        gene: CategoricalDistribution(tuple(range(len(alleles))))
        for gene, alleles in tried.alleles.items()
    }


def rebuilt_study(sampler: BaseSampler, tried: Tried, history: History) -> optuna.Study:
    """Return a study in memory of the finished trials, for a sampler to learn from."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    choices = distributions(tried)
    for trial in history.latest:
        numbers = tried.numbers(trial.prompt) if trial.prompt else None
        if numbers is None or trial.estimate is None:
            continue
        values = [trial.estimate, trial.cost]
        study.add_trial(create_trial(values=values, params=numbers, distributions=choices))
    return study


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from logging what is only a step of ours."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
