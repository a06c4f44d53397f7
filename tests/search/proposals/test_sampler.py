"""Samplers by name, and their seeds."""

from __future__ import annotations

from typing import cast

import optuna
import pytest

from promptfront.search.errors import InputError
from promptfront.search.proposals.composer import Composer
from promptfront.search.proposals.sampler import make_sampler
from tests.search.proposals.made_up import (
    context,
)


def test_unknown_sampler_is_told() -> None:
    """The sentence lists the samplers."""
    with pytest.raises(InputError, match="expected one of tpe, nsga2, gp, random, found 'cma'"):
        Composer({}, "cma", 0, context)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp", "random"])
@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_any_whole_number_is_a_seed(name: str, seed: int) -> None:
    """What Optuna does not take is reduced.

    The same seed gives the same search, another one another.
    """

    def drawn(seed: int) -> list[float]:
        study = optuna.create_study(
            directions=["maximize", "minimize"], sampler=make_sampler(name, seed)
        )
        return [
            study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}).params["x"]
            for _ in range(3)
        ]

    assert drawn(seed) == drawn(seed) == drawn(seed % 2**32) != drawn(seed + 1)


def test_a_seed_is_a_whole_number() -> None:
    """Anything else is told."""
    with pytest.raises(InputError, match="`seed`: expected a whole number"):
        make_sampler("tpe", cast("int", 1.5))
