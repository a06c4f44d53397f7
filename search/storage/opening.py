"""Opening an Optuna study: a new one, one that goes on, or one that is only read."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection

from ..errors import InputError
from ..proposals.sampler import quiet_optuna
from ..records.config import StudyConfig
from .errors import clear_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .database import Store

CONFIG = "promptfront"
"""The attribute of an Optuna study that holds its configuration."""
_DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
_LONGEST_NAME = 200
"""The length of the column that holds it."""


def open_study(
    store: Store, name: str, config: StudyConfig | None
) -> tuple[optuna.Study, StudyConfig]:
    """Return a study and its configuration; see `Study`."""
    with quiet_optuna():
        study = _load(store, name) if config is None else _create(store, name)
        if config:
            _begin_or_agree(store, study, config)
        return study, _configuration(_attributes(store, study), name)


def _attributes(store: Store, study: optuna.Study) -> dict[str, Any]:
    with clear_errors(store.url):
        return study.user_attrs


def _begin_or_agree(store: Store, study: optuna.Study, config: StudyConfig) -> None:
    """Start a study that holds nothing, or check that one goes on as it was started."""
    name, attributes = study.study_name, _attributes(store, study)
    if not attributes:
        _begin(store, study, config)
        return
    differing = config.identity.differs(_configuration(attributes, name).identity)
    if differing:
        raise InputError(
            f"study {name!r} was started with another {', '.join(differing)}: "
            "choose another `study` name, or leave `study` out for a new study"
        )


def _begin(store: Store, study: optuna.Study, config: StudyConfig) -> None:
    """Write the configuration into an empty study; another program's is left as it is."""
    with clear_errors(store.url):
        directions, trials = tuple(study.directions), study.get_trials(deepcopy=False)
    if directions != _DIRECTIONS or trials:
        raise _foreign(study.study_name)
    with store.writing(), warnings.catch_warnings():
        # Names for the axes of optuna-dashboard, no more.
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(["quality", "tokens"])
        study.set_user_attr(CONFIG, config.to_dict())


def _foreign(name: str) -> InputError:
    return InputError(f"study {name!r} was not started by promptfront: choose another `study` name")


def _configuration(attributes: Mapping[str, Any], name: str) -> StudyConfig:
    """Return the configuration in a study's attributes."""
    if CONFIG not in attributes:
        raise _foreign(name)
    with readable(f"study {name!r}"):
        return StudyConfig.from_dict(attributes[CONFIG])


def latest_study(store: Store) -> str:
    """Return the name of the study that was started last.

    Raises
    ------
    InputError
        If the database holds none.
    """
    studies = _studies(store)
    if not studies:
        raise InputError(
            f"{store.url} holds no promptfront study yet: "
            "run `optimize --task sentiment` first, or name another `storage`"
        )
    return max(studies, key=lambda name: studies[name])


def _studies(store: Store) -> dict[str, float]:
    """Return the names of promptfront's studies, and when each was started."""
    with clear_errors(store.url):
        # Not the summaries, for which Optuna reads and copies all trials of all studies.
        studies = store.optuna.get_all_studies()
    started: dict[str, float] = {}
    for study in studies:
        config = study.user_attrs.get(CONFIG)
        if config is not None:
            known = isinstance(config, dict)
            started[study.study_name] = config.get("started", 0.0) if known else 0.0
    return started


def _load(store: Store, name: str) -> optuna.Study:
    names = _studies(store)
    if name not in names:
        raise InputError(
            f"`study`: {store.url} holds no study {name!r}, "
            f"only {', '.join(names) or 'none at all'}"
        )
    with clear_errors(store.url):
        return optuna.load_study(study_name=name, storage=store.optuna)


def _create(store: Store, name: str) -> optuna.Study:
    """Return the study of that name, a new one if there is none."""
    # Names stand in a table of every kind of database, and in lines on a screen.
    if (
        not 0 < len(name) <= _LONGEST_NAME
        or not name.replace(" ", "").isprintable()
        or name != name.strip()
    ):
        raise InputError(
            f"`study`: expected a name of 1 to {_LONGEST_NAME} characters in one line, "
            f"found {name[:60]!r}"
        )
    with store.writing():
        return optuna.create_study(
            storage=store.optuna, study_name=name, load_if_exists=True, directions=_DIRECTIONS
        )


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what is missing in a damaged record into one sentence."""
    try:
        yield
    except InputError:  # already one sentence
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{what} is damaged or of another version ({type(error).__name__}: {error}) "
            "and is left unchanged; choose another `study` name"
        ) from error
