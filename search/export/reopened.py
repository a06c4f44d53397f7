"""A study's task and model, loaded again from the study itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import InputError
from ..plugins import available
from .places import Places
from .restored import restored, secret_left_out

if TYPE_CHECKING:
    from ..contracts import Answers, Backend, Task
    from ..evaluation.evaluator import Evaluator
    from ..storage.study import Study


def reopened(held: Study, task: Task | None = None, backend: Backend | None = None) -> Evaluator:
    """Return what scores prompts as the study's search did.

    Parameters
    ----------
    held
        The study.
    task, backend
        The task and the backend, where the search was given objects of one's own.

    Raises
    ------
    InputError
        If they cannot be loaded again, or the rows are others now.
    """
    config = held.config
    load = config.load
    if backend is None and (secret := secret_left_out(load)):
        raise InputError(
            f"study {held.name!r} does not store the secret in {secret}; "
            "set it in the environment, or pass a `backend` object in Python"
        )
    if backend is None and config.backend not in available("promptfront.backends"):
        raise InputError(
            f"study {held.name!r} ran with a backend object, {config.backend}; "
            "call this from Python and pass it as `backend`"
        )
    if task is None and not load["task"] and not any(load["data"].values()):
        raise InputError(
            f"study {held.name!r} ran with a Task object; "
            "call this from Python and pass it as `task`"
        )
    places = Places(Path(held.name), load.get("folder"), frozenset(load.get("local", ())))
    evaluator = restored(
        places.found(load),
        backend=backend or config.backend,
        seed=config.seed,
        answers=cast("Answers | None", config.answers),
        day=config.date,
        task=task,
        store=held.store,
    )
    if evaluator.task.data_hash != config.data_hash:
        raise InputError(
            f"study {held.name!r}: expected the rows that it was searched with, but "
            f"{evaluator.task.source} has others now; restore the data"
        )
    evaluator.limit_dev(config.sizes.dev)
    return evaluator
