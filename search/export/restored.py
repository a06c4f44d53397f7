"""A study's task and model, loaded again: what its prompts are scored with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..assembly import make_evaluator, make_judge
from ..data.load_task import load_task
from ..secrets import MASK
from ..storage.config import keep_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Answers, Backend, Task
    from ..evaluation.evaluator import Evaluator
    from ..storage.database import Store


def restored(
    load: Mapping[str, Any],
    *,
    backend: str | Backend,
    seed: int,
    answers: Answers | None,
    day: str | None,
    task: Task | None = None,
    store: Store | None = None,
) -> Evaluator:
    """Return what scores prompts as the search did.

    Parameters
    ----------
    load
        What loads task and model, with files where they are now.
    backend
        The backend's name, or one that is given.
    seed
        The search's seed, which decides the splits.
    answers
        How a label is had from the model; missing for free text.
    day
        The day that a chat template writes, where it writes one.
    task
        The task, where the search was given a `Task` rather than a name or files.
    store
        Where answers are kept.
    """
    task = replace(task or load_again(load, seed), answers=answers)
    options = load["backend_options"]
    name = backend if isinstance(backend, str) else ""
    judge = make_judge(task, load, name)
    evaluator = make_evaluator(
        task,
        model=load["model"],
        backend=backend,
        backend_options=options,
        judge=judge,
        store=store,
    )
    keep_day(day, evaluator.backend, judge)
    return evaluator


def secret_left_out(load: Mapping[str, Any]) -> str:
    """Return which option of a backend was stored without its secret; empty where none was."""
    options = load["backend_options"]
    return next((name for name, value in options.items() if MASK in str(value)), "")


def load_again(load: Mapping[str, Any], seed: int) -> Task:
    """Return the task that a study was started with, split the same way."""
    data = load["data"]
    listed = ("input_columns", "choices", "prompts", "keep")
    data = data | {key: tuple(data.get(key) or ()) for key in listed}
    return load_task(load["task"], **data, seed=seed)
