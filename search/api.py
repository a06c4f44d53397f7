"""The public functions: `optimize` runs a search, `load_frontier` reads what one has found."""

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
    """Search for better and shorter prompts; called again with the same arguments it continues.

    Parameters
    ----------
    task
        A built-in or installed task's name, a task file (YAML), a `Task`, or nothing where
        ``data`` says it all.
    budget
        Candidate prompts to try, the starting prompt included.
    seed
        Decides the splits and the search: one seed gives the same run on the same backend.
    model
        A Hugging Face id or folder; by default a small instruct model that promptfront obtains
        itself.
    proposer
        The model that paraphrases, induces and combines instructions, and that judges where the
        scorer asks a model: another one for the same kind of backend, or a backend of one's own,
        which is left open. By default the model that is searched for.
    proposer_backend, proposer_options
        The proposer's backend, where it is of another kind, and what its constructor takes. The key
        of a proposer behind a server is read from PROPOSER_API_KEY, where that is set.
    backend, backend_options
        The backend's name and what its constructor takes, such as ``max_batch_tokens``; or a
        backend of one's own, which is left open.
    sampler
        ``"tpe"``, ``"nsga2"``, ``"gp"`` or ``"random"``.
    mutators
        More mutators, each as ``path/to/file.py:Name``.
    without
        Names of installed mutators not to use: without ``"calibration"`` every prompt decides by
        its plain likelihoods.
    max_demonstrations
        Demonstrations a prompt may show at most; 0 for instruction, constraints and structure
        alone.
    max_instruction_tokens
        Tokens of an instruction that is written in the search at most; ``limits`` has a bound on
        whole prompts.
    reasoning
        Whether prompts may have the model reason before it answers; by default in free text alone,
        for labels seldom gain by it what it costs (Sprague et al. 2024, arXiv 2409.12183).
    answers
        How the answer to a task with labels is had, and so what makes it right: ``"written"``, what
        is written says the label (the default where scorer and model allow it); ``"choice"``, the
        label is the likeliest of the labels; ``"likelihood"``, the same after calibration and with
        words for labels that the prompt need not name.
    data
        The user's own data, instruction and labels.
    prompt
        A file with a prompt of the user's own, or several: the first is what the search starts
        from, the others are tried first. A field stands in it as ``{field}`` or ``{{ field }}``.
    keep
        Texts that every candidate keeps as they stand in the starting prompt.
    limits
        Further limits; its ``budget`` is replaced by ``budget``.
    storage, study
        The database URL and the study's name; by default one that follows from the other
        arguments.
    on_plan, on_progress, should_stop
        Called before anything is spent, after each step, and to ask whether to end after the
        batch in flight.

    Returns
    -------
    frontier
        The Pareto front, the starting prompt and the best prompt, with their held-out scores.

    Raises
    ------
    InputError
        If an option, file, plugin or the data cannot be used.
    BackendError
        If the model cannot be loaded or gives unusable numbers.

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
            f"`reasoning`: with `answers` {evaluator.task.answers} labels are read off at once, "
            "before any reasoning; it needs `answers` written"
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
        | _set(proposer_backend=proposer_backend, proposer_options=proposer_options),
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
    """Return the front of a study, by default the one started last.

    Raises
    ------
    InputError
        If the database or the study is not there, or nothing has been evaluated yet.
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
        Where the study is; by default the one started last.
    pick
        ``"best"``, ``"knee"``, ``"shortest"`` or a trial number.
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
