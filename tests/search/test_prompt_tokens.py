"""`max_prompt_tokens` bounds every candidate, and the search goes on below it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search import Limits, optimize
from promptfront.search.errors import InputError
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.storage.config import study_name
from tests.records import config, identity

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Task


def test_a_search_stays_within_the_bound(backend: HFBackend, reviews: Task, tmp_path: Path) -> None:
    """No candidate is longer, none fails for its length, and demonstrations are still shown."""
    free = Evaluator(reviews, backend, LabelScorer())
    most = free.tokens.of_prompt(replace(reviews.start, demonstrations=reviews.train[:2])) + 40
    front = optimize(
        reviews, budget=16, limits=Limits(max_prompt_tokens=most), backend=backend,
        storage=f"sqlite:///{tmp_path}/a.db",
    )  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        values = connection.execute("SELECT value_json FROM trial_user_attributes").fetchall()
    trials = [json.loads(value) for (value,) in values]
    assert 16 == front.trials == len(trials)
    assert not [trial["error"] for trial in trials if "max_prompt_tokens" in trial.get("error", "")]
    raced = [trial for trial in trials if "tokens" in trial]
    assert max(trial["tokens"] for trial in raced) <= most
    assert any(trial["prompt"]["demonstrations"] for trial in raced)


def test_a_start_over_the_bound_is_one_sentence(
    backend: HFBackend, reviews: Task, tmp_path: Path
) -> None:
    """It is refused before anything is spent on it."""
    says = r"starting prompt .* has \d+ tokens, but `max_prompt_tokens` allows 9; shorten it"
    with pytest.raises(InputError, match=says):
        optimize(
            reviews, budget=2, limits=Limits(max_prompt_tokens=9), backend=backend,
            storage=f"sqlite:///{tmp_path}/a.db",
        )  # fmt: skip


def test_a_prompt_is_fitted_by_leaving_demonstrations_out(
    backend: HFBackend, reviews: Task
) -> None:
    """The first ones stay, as many as there is room for; without any bound all do."""
    shown = replace(reviews.start, demonstrations=reviews.train[:6])
    two = replace(shown, demonstrations=reviews.train[:2])
    free = Evaluator(reviews, backend, LabelScorer())
    assert shown == free.tokens.fit(shown)
    most = free.tokens.of_prompt(two)
    tokens = Evaluator(reviews, backend, LabelScorer(), max_prompt_tokens=most).tokens
    assert two == tokens.fit(shown) == tokens.fit(two)
    assert tokens.fit(replace(shown, instruction="word " * most)) is None


def test_the_bound_is_part_of_a_study_and_its_absence_changes_no_name() -> None:
    """Studies that were named before there was a bound keep their names."""
    bounded = config(identity=identity(max_prompt_tokens=80))
    assert study_name(config()) != study_name(bounded)
    assert ["max prompt tokens"] == config().identity.differs(bounded.identity)
