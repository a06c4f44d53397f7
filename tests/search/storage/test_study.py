"""The Optuna study: whose it is, and what it must hold to go on."""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest

from promptfront.search.errors import InputError
from promptfront.search.storage.database import Store
from promptfront.search.storage.opening import latest_study
from promptfront.search.storage.study import Study
from tests.records import config, identity


def test_another_programs_study_is_left_alone(url: str) -> None:
    """Of other directions, with trials or attributes.

    Refused in one sentence, and nothing is written into it.
    """
    store = Store(url)
    made = {
        "one": optuna.create_study(storage=store.optuna, study_name="one"),
        "other": optuna.create_study(
            storage=store.optuna, study_name="other", directions=["minimize", "minimize"]
        ),
        "named": optuna.create_study(
            storage=store.optuna, study_name="named", directions=["maximize", "minimize"]
        ),
    }
    made["named"].set_user_attr("owner", "me")
    for name, study in made.items():
        before = dict(study.user_attrs)
        with pytest.raises(InputError, match=f"study '{name}' was not started by promptfront"):
            Study(store, name, config())
        assert (before, study.metric_names) == (study.user_attrs, None)
    with pytest.raises(InputError, match="holds no study 'one', only none at all"):
        Study(store, "one")
    with pytest.raises(InputError, match="holds no promptfront study yet"):
        latest_study(store)


@pytest.mark.parametrize("settings", ["text", {}, {"identity": {}}, ["a"]])
def test_damaged_settings_are_told(url: str, settings: object) -> None:
    """Settings that lack something are one sentence, and are left as they are."""
    store = Store(url)
    study = optuna.create_study(
        storage=store.optuna, study_name="s", directions=["maximize", "minimize"]
    )
    study.set_user_attr("promptfront", settings)
    assert "s" == latest_study(store)
    uses: list[Callable[[], object]] = [
        lambda: Study(store, "s"),
        lambda: Study(store, "s", config()),
    ]
    for use in uses:
        with pytest.raises(InputError, match="study 's' is damaged or of another version"):
            use()
    assert settings == study.user_attrs["promptfront"]


@pytest.mark.parametrize("name", ["x" * 201, "two\nlines", " a", "half \ud83d", "nul\0"])
def test_a_name_that_no_database_holds_is_refused(url: str, name: str) -> None:
    """A study's name is one line of at most 200 characters."""
    with pytest.raises(InputError, match="`study`: expected a name of 1 to 200 characters"):
        Study(Store(url), name, config())


def test_a_study_is_continued_only_with_what_it_was_started_with(url: str) -> None:
    """What differs is named as a person reads it; the same settings give the same study back."""
    store, begun = Store(url), config()
    assert begun == Study(store, "s", begun).config == Study(store, "s").config
    changed = config(identity=identity(starting_prompt={"instruction": "Rate."}, seed=1))
    with pytest.raises(InputError, match="was started with another starting prompt, seed"):
        Study(store, "s", changed)
