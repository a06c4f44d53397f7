"""The public functions: `optimize` runs a search, `load_frontier` reads its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .assembly import backend_name, make_composer, make_evaluator, make_proposer
from .budget import affordable_dev_rows
from .contracts import INSTRUCTION_TOKENS, Answers, Backend, Task
from .data.load_task import load_task
from .data.own_prompts import read_prompts, with_kept, with_prompts
from .errors import InputError, StorageError
from .export.document import export
from .export.places import local_files
from .loop import Progress, Search
from .options import DEFAULT_STORAGE, DataOptions, Limits, SearchOptions
from .plan import Plan, make_plan
from .proposals.inventory import load_mutators, reasoning_mutators
from .proposals.sampler import make_sampler
from .secrets import without_secrets
from .storage.config import keep_day, study_config, study_name
from .storage.database import Store
from .storage.opening import latest_study
from .storage.study import Study

if TYPE_CHECKING:
    from .records.answered import AnsweredRows
    from .records.results import Entry, Frontier


def optimize(
    task: str | Task | None = "sentiment",
    *,
    budget: int = 200,
    seed: int = 0,
    model: str | None = None,
    proposer: str | Backend | None = None,
    proposer_backend: str | None = None,
    proposer_options: dict[str, Any] | None = None,
    backend: str | Backend = "hf",
    backend_options: dict[str, Any] | None = None,
    sampler: str = "tpe",
    mutators: Sequence[str] = (),
    without: Sequence[str] = (),
    max_demonstrations: int | None = None,
    max_instruction_tokens: int = INSTRUCTION_TOKENS,
    reasoning: bool | None = None,
    answers: Answers | None = None,
    data: DataOptions | None = None,
    prompt: str | Path | Sequence[str | Path] = (),
    keep: Sequence[str] = (),
    limits: Limits | None = None,
    storage: str = DEFAULT_STORAGE,
    study: str | None = None,
    on_plan: Callable[[Plan], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Frontier:
    """Search for better and shorter prompts; the same call again continues the search.

    Parameters
    ----------
    task
        Name of a built-in or installed task, a task file (YAML), a `Task`, or None if ``data``
        alone defines the task.
    budget
        Number of candidate prompts to try, including the starting prompt.
    seed
        Random seed of the splits and the search. The same seed on the same backend gives the same
        run.
    model
        A Hugging Face id or folder; by default a small instruct model, which is downloaded once.
    proposer
        The model that writes new instructions, and that judges replies if the scorer asks a model:
        the name of a model for the same backend, or a backend object, which is not closed. By
        default the model whose prompt is optimized.
    proposer_backend, proposer_options
        Name and constructor arguments of the proposer's backend, if it is another one. The key of
        a proposer behind a server is read from PROPOSER_API_KEY, if that is set.
    backend, backend_options
        Name and constructor arguments of the backend, such as ``max_batch_tokens``; or a backend
        object, which is not closed.
    sampler
        ``"tpe"``, ``"nsga2"``, ``"gp"`` or ``"random"``.
    mutators
        Your own mutators, each as ``path/to/file.py:Name``.
    without
        Names of installed mutators to leave out. Without ``"calibration"``, for example, labels are
        chosen by their plain likelihoods.
    max_demonstrations
        Maximum number of demonstrations in a prompt; 0 searches instruction, constraints and
        structure alone.
    max_instruction_tokens
        Maximum tokens of an instruction that the search writes; ``limits`` bounds whole prompts.
    reasoning
        Whether prompts may ask the model to reason before it answers. The default is only for free
        text, because labels seldom gain enough to pay for it (Sprague et al. 2024,
        arXiv 2409.12183).
    answers
        When a label counts as correct. ``"written"`` (the default where scorer and model allow it):
        the model's reply names it. ``"choice"``: it is the most likely label. ``"likelihood"``: it
        is the most likely label after calibration, and words that the prompt does not name may
        stand for labels.
    data
        Your own data, instruction and labels.
    prompt
        One or several files with your own prompts. The search starts from the first and tries the
        others first. Placeholders are ``{field}`` or ``{{ field }}``.
    keep
        Parts of the starting prompt that every candidate keeps unchanged.
    limits
        Further limits; the argument ``budget`` replaces its ``budget``.
    storage, study
        The database URL and the study's name, which is derived from the other arguments by default.
    on_plan
        Called with the plan before any evaluation.
    on_progress
        Called after each step.
    should_stop
        Asked after each batch whether to end the search.

    Returns
    -------
    frontier
        The Pareto front, the starting prompt and the best prompt, with their held-out scores.

    Raises
    ------
    InputError
        If an option, a file, a plugin or the data cannot be used.
    BackendError
        If the model cannot be loaded or returns unusable numbers.

    Examples
    --------
    >>> from promptfront import optimize
    >>> front = optimize(task="sentiment", budget=200, seed=0)  # doctest: +SKIP
    """
    limits, data = replace(limits or Limits(), budget=budget), data or DataOptions()
    prompts = tuple(map(str, (prompt,) if isinstance(prompt, str | Path) else prompt))
    data = replace(data, prompts=prompts or data.prompts, keep=tuple(keep) or data.keep)
    inventory = load_mutators(mutators, without, max_demonstrations)
    make_sampler(sampler, seed)
    # A task that is not there leaves no database behind.
    if isinstance(task, Task):
        loaded = replace(task, answers=answers or task.answers)
        if data.prompts:
            loaded = with_prompts(loaded, read_prompts(data.prompts))
        loaded = with_kept(loaded, data.keep)
    else:
        loaded = load_task(task, **asdict(data), answers=answers, seed=seed)
    if not (reasoning or (reasoning is None and not loaded.labels)):
        without = (*without, *reasoning_mutators(inventory))
    options = SearchOptions(
        seed, sampler, tuple(mutators), tuple(without), max_demonstrations, max_instruction_tokens
    )
    store, backend_options = Store(storage), backend_options or {}
    writer = make_proposer(
        proposer,
        backend,
        backend_options,
        own_backend=proposer_backend,
        own_options=proposer_options,
        scorer=loaded.scorer,
    )
    evaluator = make_evaluator(
        loaded,
        model=model,
        backend=backend,
        backend_options=backend_options,
        judge=writer,
        store=store,
        max_prompt_tokens=limits.max_prompt_tokens,
    )
    if reasoning and evaluator.task.answers in ("choice", "likelihood"):
        raise InputError(
            f"`reasoning`: expected `answers` written, found {evaluator.task.answers}, where the "
            "label is scored before the model could reason; leave one of them out"
        )
    config = study_config(
        evaluator.task,
        evaluator.backend,
        options,
        name=backend_name(backend),
        proposer=writer,
        dev_rows=affordable_dev_rows(limits, len(evaluator.task.dev)),
        max_prompt_tokens=limits.max_prompt_tokens,
        load=_sources(task, data, model, proposer, backend_options)
        | _set(
            proposer_backend=proposer_backend,
            proposer_options=proposer_options,
            limits=limits.noted(),
        ),
    )
    held = Study(store, study or study_name(config), config)
    keep_day(held.config.date, evaluator.backend, writer)
    evaluator.limit_dev(held.config.sizes.dev)
    composer = make_composer(loaded, evaluator, held, options, writer or evaluator.backend)
    on_plan(make_plan(evaluator, held, limits))
    try:
        return _run(Search(evaluator, composer, held, limits, on_progress, should_stop), held)
    finally:
        for given, made in ((backend, evaluator.backend), (proposer, writer)):
            if made is not None and made is not given:
                made.close()


def _run(search: Search, study: Study) -> Frontier:
    """Search to the end; where the database fails, its error tells what can still be shown."""
    try:
        frontier = search.run()
        study.store.check()
    except StorageError as error:
        with suppress(InputError):
            error.found = study.frontier()
        raise
    return frontier


def _sources(
    task: str | Task | None,
    data: DataOptions,
    model: str | None,
    proposer: str | Backend | None,
    backend_options: dict[str, Any],
) -> dict[str, Any]:
    """Return what loads task and models again."""
    sources = {
        "task": None if isinstance(task, Task) else task,
        "data": _given(data),
        "model": model,
        "proposer": proposer if isinstance(proposer, str) else None,
    }
    options = {"backend_options": without_secrets(backend_options)}
    return sources | options | local_files(sources)


def _set(**options: str | dict[str, Any] | None) -> dict[str, Any]:
    """Return the options that are set, without secrets."""
    return without_secrets({name: value for name, value in options.items() if value})


def _given(data: DataOptions) -> dict[str, Any]:
    """Return the data's options, less those on prompts of the user's own where there are none."""
    options = asdict(data)
    return {k: v for k, v in options.items() if v or k not in ("prompts", "keep")}


def load_frontier(storage: str = DEFAULT_STORAGE, study: str | None = None) -> Frontier:
    """Return the front of a study; by default the latest study.

    Raises
    ------
    InputError
        If the database or the study does not exist, or no prompt is fully evaluated yet.
    """
    store = Store(storage, create=False)
    return Study(store, study or latest_study(store)).frontier()


def export_prompt(
    storage: str = DEFAULT_STORAGE, study: str | None = None, *, pick: str = "best"
) -> tuple[dict[str, Any], Entry]:
    """Return a prompt of a study's front as a JSON document, and its entry.

    Parameters
    ----------
    storage, study
        The database URL and the study's name; by default the latest study.
    pick
        Which prompt: ``"best"``, ``"knee"``, ``"shortest"`` or a trial number.
    """
    store = Store(storage, create=False)
    held = Study(store, study or latest_study(store))
    frontier = held.frontier()
    entry = frontier.pick(pick)
    return export(frontier, entry, held.lineage(entry)), entry


def load_answers(storage: str = DEFAULT_STORAGE, study: str | None = None) -> AnsweredRows:
    """Return the rows that a study's prompts were tested on, and what each answered.

    Parameters
    ----------
    storage, study
        Where the study is; by default the one started last.

    Raises
    ------
    InputError
        If the search has not ended.
    """
    store = Store(storage, create=False)
    held = Study(store, study or latest_study(store))
    answered = held.answered(held.frontier())
    if answered is None:
        raise InputError(
            f"study {held.name!r}: expected a search that has ended, for only then are its test "
            "rows kept; run the same `optimize` again to continue it"
        )
    return answered
