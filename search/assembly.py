"""From options to what a search is made of: backends, scorer, evaluator and mutators."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .contexts import Contexts, Proposer
from .contracts import (
    Backend,
    LikelihoodScorer,
    Mutator,
    ReplyScorer,
    Task,
    Unscored,
    usage_of,
)
from .data.checks import check_task
from .data.lengths import field_limit, shorten_inputs
from .data.splits import by_turns
from .errors import BackendError, InputError, flaw
from .evaluation.cached_model import CachedModel
from .evaluation.evaluator import Evaluator
from .evaluation.replies import ReplyScores
from .plugins import closest, load
from .prompts.render import render
from .proposals.composer import Composer
from .proposals.inventory import load_mutators, suited, token_readers
from .scoring import load_scorer

if TYPE_CHECKING:
    from .contracts import LikelihoodRequest
    from .options import SearchOptions
    from .storage.database import Store
    from .storage.study import Study

PROPOSER_KEY = "PROPOSER_API_KEY"
"""The variable with the key of a proposer behind a server; without it, it has that of the rest."""
_PROPOSER_PATIENCE = 60.0
"""Seconds that a silent proposer is waited for: the search can go on without it."""


def make_evaluator(
    task: Task,
    *,
    model: str | None = None,
    backend: str | Backend = "hf",
    backend_options: dict[str, Any] | None = None,
    judge: Backend | None = None,
    store: Store | None = None,
    max_prompt_tokens: int | None = None,
) -> Evaluator:
    """Load the model and return what scores prompts on the task, whose long inputs are shortened.

    A scorer that asks a model asks ``judge``, by default the same one.
    """
    check_task(task)

    def ask(requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...] | Unscored]:
        return judge_model.likelihoods(requests)

    # What a task lacks for its scorer is told before a model, `judge_model` below, is loaded.
    scorer = load_scorer(task.scorer).prepare(task, ask)
    loaded = (
        make_backend(backend, model, backend_options or {}) if isinstance(backend, str) else backend
    )
    judge_model = CachedModel(judge or loaded, store)
    task = _legible(_with_answers(task, scorer, loaded), loaded)
    limit, why = field_limit(task, loaded.count_tokens, loaded.max_context, loaded.model)
    task = shorten_inputs(task, loaded.truncate, loaded.count_tokens, limit, why)
    task = replace(task, dev=by_turns(task.dev))
    evaluator = Evaluator(task, loaded, scorer, store, max_prompt_tokens)
    evaluator.check_answers(task.start)
    if why := flaw(lambda: evaluator.tokens.of_prompt(task.start)):
        raise InputError(f"the starting prompt cannot be used: {why}; shorten it")
    return evaluator


def _with_answers(task: Task, scorer: LikelihoodScorer | ReplyScorer, backend: Backend) -> Task:
    """Return the task with how its answers are had: written, unless scorer or model forbid it.

    Raises
    ------
    InputError
        If they forbid what was asked for.
    """
    if not task.labels or isinstance(scorer, ReplyScorer):
        if task.answers not in (None, "written"):
            raise InputError(
                f"`answers` {task.answers}: expected a scorer of labels, but {task.scorer!r} "
                "scores replies; leave `answers` out"
            )
        return replace(task, answers=None)
    why_not = ""
    if not scorer.is_accuracy:
        why_not = f"the scorer {task.scorer!r} needs log-likelihoods"
    elif not backend.writes:
        why_not = f"{backend.model} cannot generate text"
    if task.answers == "written" and why_not:
        raise InputError(f"`answers` written: {why_not}; use choice or likelihood")
    return replace(task, answers=task.answers or ("likelihood" if why_not else "written"))


def _legible(task: Task, backend: Backend) -> Task:
    """Return the task with a start that the model can be given.

    Where the model has no usable chat template, that is plain text.
    """
    if task.start.structure.layout != "chat":
        return task
    try:
        backend.count_tokens([render(task.start, task.dev[0].inputs)])
    except BackendError as error:
        structure = replace(task.start.structure, layout="plain")
        notes = task.notes
        if backend.writes:  # a masked model is never given turns
            notes = (*notes, f"{error}, so the starting prompt is plain text")
        starts = tuple(replace(prompt, structure=structure) for prompt in task.starts)
        start = replace(task.start, structure=structure)
        return replace(task, start=start, starts=starts, notes=notes)
    return task


def make_backend(name: str, model: str | None, options: dict[str, Any]) -> Backend:
    """Return a backend by name.

    Raises
    ------
    InputError
        If there is no such backend or it does not take one of the options.
    BackendError
        If the model cannot be loaded or reached.
    """
    make = cast("Callable[..., Backend]", load("promptfront.backends", name))
    taken = inspect.signature(make).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        for option in (option for option in options if option not in taken):
            raise InputError(
                f"`{option}`: the backend {name!r} has no such option{closest(option, taken)}"
            )
    return make(model, **options)


def make_proposer(
    proposer: str | Backend | None,
    backend: str | Backend,
    backend_options: dict[str, Any],
    *,
    own_backend: str | None = None,
    own_options: dict[str, Any] | None = None,
    scorer: str = "",
) -> Backend | None:
    """Return the backend that writes proposals, or nothing where it is the one that scores.

    Parameters
    ----------
    proposer
        Its model, or a backend that is given.
    backend, backend_options
        The one that scores, and what it was made with.
    own_backend, own_options
        The proposer's own, where it is of another kind or has options of its own.
    scorer
        The scorer whose judge it is, where that asks a model: no search can do without its judge.
    """
    if not isinstance(proposer, str | None):
        if own_backend or own_options:
            raise InputError(
                "`proposer_backend` and `proposer_options`: expected neither, because `proposer` "
                "is a backend object; leave them out"
            )
        return proposer
    if not (proposer or own_backend or own_options):
        return None
    name = own_backend or backend
    if not isinstance(name, str):
        raise InputError(
            "`proposer`: expected a backend object, because `backend` is one, found a model's "
            "name; name its backend with `proposer_backend`"
        )
    options = {**(own_options or {})} if own_backend else {**backend_options, **(own_options or {})}
    if os.environ.get(PROPOSER_KEY) and _takes(name, "key_variable"):
        options.setdefault("key_variable", PROPOSER_KEY)
    if _takes(name, "retry_timeout") and not (scorer and load_scorer(scorer).asks_model):
        options.setdefault("retry_timeout", _PROPOSER_PATIENCE)
    return make_backend(name, proposer, options)


def make_judge(task: Task, load: Mapping[str, Any], backend: str) -> Backend | None:
    """Return the model that judges replies to a task, where it is not the one that writes them.

    Parameters
    ----------
    task
        The task.
    load
        What loads the models of a study again.
    backend
        The name of the backend that scores.
    """
    if not load_scorer(task.scorer).asks_model:
        return None
    own = {"own_backend": load.get("proposer_backend"), "own_options": load.get("proposer_options")}
    proposer, options = load.get("proposer"), load["backend_options"]
    return make_proposer(proposer, backend, options, **own, scorer=task.scorer)


def _takes(backend: str, option: str) -> bool:
    make = cast("Callable[..., Backend]", load("promptfront.backends", backend))
    return option in inspect.signature(make).parameters


def backend_name(backend: str | Backend) -> str:
    """Return what a backend is called: its own name, or that of the class of one that was given."""
    return backend if isinstance(backend, str) else type(backend).__qualname__


def make_composer(
    task: Task, evaluator: Evaluator, study: Study, options: SearchOptions, proposer: Backend
) -> Composer:
    """Return what composes candidates.

    Parameters
    ----------
    task
        The task as it was loaded.
    evaluator
        Scores prompts on it, and answers mutators.
    study
        What was found so far.
    options
        Which mutators and sampler are wanted.
    proposer
        The model that writes proposals.
    """
    most = _most_shown(task, options.max_demonstrations)
    mutators = load_mutators(options.mutators, options.without, most)
    by_reply = isinstance(evaluator.scoring, ReplyScores)
    mutators = suited(mutators, evaluator.task, by_reply=by_reply)
    mutators = _able(mutators, proposer, evaluator)
    writer = Proposer(proposer, own=proposer is not evaluator.backend)
    contexts = Contexts(
        evaluator, writer, study, token_readers(mutators), options.max_instruction_tokens
    )
    return Composer(
        mutators,
        options.sampler,
        options.seed,
        contexts.make,
        favoured=set(options.mutators) & set(mutators),
        first=task.instructions,
        starts=evaluator.task.starts,
        spent=contexts.spent,
        proposer_calls=writer.calls_in_a_batch,
    )


def _most_shown(task: Task, most: int | None) -> int | None:
    """Return how many demonstrations a prompt may show at most.

    Where rows are few a prompt is scored on those that it does not show, so half of them are left.
    """
    if not task.shared:
        return most
    half = len(task.train) // 2
    return half if most is None else min(most, half)


def _able(
    mutators: dict[str, Mutator], proposer: Backend, evaluator: Evaluator
) -> dict[str, Mutator]:
    """Return the mutators less those that ask a model which cannot write.

    A note in the task names them.
    """
    if proposer.writes:
        return mutators
    left_out = [name for name, mutator in mutators.items() if usage_of(mutator).asks_model]
    if left_out:
        off = ", ".join(left_out)
        note = f"{proposer.model} cannot generate text, so these mutators are off: {off}"
        evaluator.task = replace(evaluator.task, notes=(*evaluator.task.notes, note))
    return {name: mutator for name, mutator in mutators.items() if name not in left_out}
