"""The public functions: `optimize` runs a search, `load_frontier` reads what one has found."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from .budget import affordable_dev_rows, planned_evaluations
from .contracts import (
    Backend,
    MutationContext,
    Mutator,
    NextTokens,
    Task,
    Unscored,
    usage_of,
)
from .data.checks import check_task
from .data.lengths import field_limit, shorten_inputs
from .data.load_task import load_task
from .data.splits import by_turns
from .errors import BackendError, InputError, InterruptedCallError, StorageError
from .evaluation.cached_model import TEMPERATURE, CachedModel
from .evaluation.evaluator import Evaluator
from .evaluation.holdout import confirmation_rows, train_rows
from .export.document import export
from .export.places import local_files
from .loop import Progress, Search
from .options import DEFAULT_STORAGE, DataOptions, Limits
from .plugins import closest, load
from .prompts.render import render, zero_shot
from .prompts.written_answers import without_thinking
from .proposals.composer import Space
from .proposals.inventory import load_mutators, suited, token_readers
from .proposals.sampler import make_sampler
from .scoring import load_scorer
from .secrets import without_secrets
from .storage.config import keep_day, study_config, study_name
from .storage.database import Store
from .storage.study import Study, latest_study

if TYPE_CHECKING:
    import random

    from .contracts import Example, Prompt, Text
    from .records.results import Entry, Frontier


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search is about to spend, shown before it begins; ``evaluations`` and ``tokens`` are estimates of what is left.

    ``reasons`` count the dev rows that the starting prompt left without a score, where an earlier run has scored it.
    """

    study: str
    task: Task
    model: str
    proposer: str
    backend: str
    scoring: str
    sampler: str
    budget: int
    done: int
    start_tokens: int
    evaluations: int
    tokens: int
    reasons: Mapping[str, int] = field(default_factory=dict)


def optimize(
    task: str | Task | None = "sentiment",
    *,
    budget: int = 200,
    seed: int = 0,
    model: str | None = None,
    proposer: str | Backend | None = None,
    backend: str | Backend = "hf",
    backend_options: dict[str, Any] | None = None,
    sampler: str = "tpe",
    mutators: Sequence[str] = (),
    without: Sequence[str] = (),
    max_demonstrations: int | None = None,
    data: DataOptions | None = None,
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
        A built-in or installed task's name, a task file (YAML), a `Task`, or nothing where ``data`` says it all.
    budget
        Candidate prompts to try, the starting prompt included.
    seed
        Decides the splits and the search: one seed gives the same run on the same backend.
    model
        A Hugging Face id or folder; by default a small instruct model that promptfront obtains itself.
    proposer
        The model that paraphrases, induces and combines instructions, and that judges where the scorer asks a model: another
        one for the same kind of backend, or a backend of one's own, which is left open. By default the model that is searched for.
    backend, backend_options
        The backend's name and what its constructor takes, such as ``max_batch_tokens``; or a backend of one's own, which
        is left open.
    sampler
        ``"tpe"``, ``"nsga2"``, ``"gp"`` or ``"random"``.
    mutators
        More mutators, each as ``path/to/file.py:Name``.
    without
        Names of installed mutators not to use: without ``"calibration"`` every prompt decides by its plain likelihoods.
    max_demonstrations
        Demonstrations a prompt may show at most; 0 for instruction, constraints and structure alone.
    data
        The user's own data, instruction and labels.
    limits
        Further limits; its ``budget`` is replaced by ``budget``.
    storage, study
        The database URL and the study's name; by default one that follows from the other arguments.
    on_plan, on_progress, should_stop
        Called before anything is spent, after each step, and to ask whether to end after the batch in flight.

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
    limits = replace(limits or Limits(), budget=budget)
    make_sampler(sampler, seed)
    load_mutators(mutators, without, max_demonstrations)
    store = Store(storage)
    options = data or DataOptions()
    loaded = task if isinstance(task, Task) else load_task(task, **asdict(options), seed=seed)
    writer = _proposer(proposer, backend, backend_options or {})
    evaluator = make_evaluator(
        loaded,
        model=model,
        backend=backend,
        backend_options=backend_options,
        judge=writer,
        store=store,
    )
    sources = {
        "task": None if isinstance(task, Task) else task,
        "data": asdict(options),
        "model": model,
    }
    sources["proposer"] = proposer if isinstance(proposer, str) else None
    config = study_config(
        evaluator.task,
        evaluator.backend,
        name=_name(backend),
        seed=seed,
        sampler=sampler,
        mutators=mutators,
        without=without,
        max_demonstrations=max_demonstrations,
        proposer=writer,
        dev_rows=affordable_dev_rows(limits, len(evaluator.task.dev)),
        load=sources
        | {"backend_options": without_secrets(backend_options or {})}
        | local_files(sources),
    )
    held = Study(store, study or study_name(config), config)
    keep_day(held.config.date, evaluator.backend, writer)
    evaluator.limit_dev(held.config.sizes.dev)
    inventors = suited(
        load_mutators(mutators, without, _most_shown(loaded, max_demonstrations)), loaded
    )
    inventors = _able(inventors, writer or evaluator.backend, evaluator)
    context = _context_maker(evaluator, writer or evaluator.backend, held, token_readers(inventors))
    space = Space(
        inventors,
        sampler,
        seed,
        context,
        favoured=set(mutators) & set(inventors),
        first=loaded.instructions,
    )
    on_plan(_plan(evaluator, held, limits))
    try:
        found = Search(evaluator, space, held, limits, on_progress, should_stop).run()
        store.check()
        return found
    except StorageError as error:
        with suppress(InputError):  # what was read before may still be there to be shown
            error.found = held.frontier()
        raise
    finally:
        for given, made in ((backend, evaluator.backend), (proposer, writer)):
            if made is not None and isinstance(given, str):
                made.close()


def load_frontier(storage: str = DEFAULT_STORAGE, study: str | None = None) -> Frontier:
    """Return the front of a study, by default the one started last.

    Raises
    ------
    InputError
        If the database or the study is not there, or nothing has been evaluated yet.
    """
    store = Store(storage, create=False)
    return Study(store, study or latest_study(store)).frontier()


def make_evaluator(
    task: Task,
    *,
    model: str | None = None,
    backend: str | Backend = "hf",
    backend_options: dict[str, Any] | None = None,
    judge: Backend | None = None,
    store: Store | None = None,
) -> Evaluator:
    """Load the model and return what scores prompts on the task, whose over-long inputs it has shortened.

    A scorer that asks a model asks ``judge``, by default the same one.
    """
    check_task(task)
    # What a task lacks for its scorer is told before a model is loaded: `judging` is made below.
    scorer = load_scorer(task.scorer).prepare(task, lambda asked: judging.likelihoods(asked))  # noqa: PLW0108
    loaded = (
        make_backend(backend, model, backend_options or {}) if isinstance(backend, str) else backend
    )
    judging = CachedModel(judge or loaded, store)
    task = _legible(task, loaded)
    limit, why = field_limit(task, loaded.count_tokens, loaded.max_context, loaded.model)
    task = shorten_inputs(task, loaded.truncate, loaded.count_tokens, limit, why)
    evaluator = Evaluator(replace(task, dev=by_turns(task.dev)), loaded, scorer, store)
    evaluator.check_answers(task.start)
    return evaluator


def _legible(task: Task, backend: Backend) -> Task:
    """Return the task with a start that the model can be given: without a usable chat template that is plain text."""
    if task.start.structure.layout != "chat":
        return task
    try:
        backend.count_tokens([render(task.start, task.dev[0].inputs)])
    except BackendError as error:
        structure = replace(task.start.structure, layout="plain")
        note = f"{error}; the search starts from plain text"
        return replace(
            task, start=replace(task.start, structure=structure), notes=(*task.notes, note)
        )
    return task


def make_judge(
    task: Task, model: str | None, *, backend: str, backend_options: dict[str, Any]
) -> Backend | None:
    """Return the model that judges replies to a task, where that is another than the one that writes them."""
    if model is None or not load_scorer(task.scorer).asks_model:
        return None
    return make_backend(backend, model, backend_options)


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
                f"`{option}`: the backend {name!r} does not take it{closest(option, taken)}"
            )
    return make(model, **options)


def _most_shown(task: Task, most: int | None) -> int | None:
    """Return how many demonstrations a prompt may show at most.

    Where rows are few a prompt is judged by those that it does not show, so half of them are left.
    """
    if not task.shared:
        return most
    half = len(task.train) // 2
    return half if most is None else min(most, half)


def _able(
    mutators: dict[str, Mutator], proposer: Backend, evaluator: Evaluator
) -> dict[str, Mutator]:
    """Return the mutators less those that ask a model which cannot write; a note in the task names them."""
    if proposer.writes:
        return mutators
    asking = [name for name, mutator in mutators.items() if usage_of(mutator).asks_model]
    if asking:
        note = f"{proposer.model} writes no proposals: {', '.join(asking)} left out"
        evaluator.task = replace(evaluator.task, notes=(*evaluator.task.notes, note))
    return {name: mutator for name, mutator in mutators.items() if name not in asking}


def _proposer(
    proposer: str | Backend | None, backend: str | Backend, options: dict[str, Any]
) -> Backend | None:
    """Return the backend that writes proposals, or nothing where it is the one that scores."""
    if not isinstance(proposer, str):
        return proposer
    if not isinstance(backend, str):
        raise InputError(
            "proposer: expected a backend, as the one that scores was given, found a model's name"
        )
    return make_backend(backend, proposer, options)


def _name(backend: str | Backend) -> str:
    return backend if isinstance(backend, str) else type(backend).__qualname__


def _context_maker(
    evaluator: Evaluator, proposer: Backend, study: Study, token_readers: Collection[str]
) -> Callable[[random.Random], MutationContext]:
    shown = replace(evaluator.task, train=train_rows(evaluator.task))

    def make(rng: random.Random) -> MutationContext:
        def propose(prompts: Sequence[Text], max_tokens: int) -> list[str]:
            write = partial(
                proposer.generate,
                max_tokens=max_tokens,
                temperature=TEMPERATURE,
                seed=rng.getrandbits(31),
            )
            try:
                written = write(prompts)
            except InterruptedCallError:
                raise
            except BackendError:  # it may have no chat template: then it is asked in plain text
                written = write([_as_text(prompt) for prompt in prompts])
            return [
                "" if isinstance(reply, Unscored) else without_thinking(reply)[0]
                for reply in written
            ]

        def losses(prompt: Prompt, examples: Sequence[Example]) -> list[float]:
            return evaluator.probes.losses(prompt, examples)

        def label_bias(prompt: Prompt) -> tuple[float, ...]:
            return evaluator.probes.label_bias(prompt, known=prompt in study.history().numbers)

        def next_tokens(prompt: Prompt, examples: Sequence[Example]) -> NextTokens:
            read = study.history().read_by(token_readers)
            return evaluator.probes.next_tokens(prompt, examples, known=zero_shot(prompt) in read)

        return MutationContext(
            shown, tuple(study.front()), rng, propose, losses, label_bias, next_tokens
        )

    return make


def _as_text(ask: Text) -> Text:
    """Return turns as plain text that ends where the answer begins, for a model without a chat template."""
    return (
        ask if isinstance(ask, str) else "\n\n".join([*(turn.content for turn in ask), "Answer:"])
    )


def _plan(evaluator: Evaluator, study: Study, limits: Limits) -> Plan:
    task = evaluator.task
    if day := study.config.date:
        note = f"the chat template writes the date: this study uses {day}"
        task = replace(task, notes=(*task.notes, note))
    done = len(study.trials())
    confirmation = len(confirmation_rows(task))
    evaluations = planned_evaluations(limits, done, len(task.dev), confirmation)
    start_tokens = evaluator.tokens.of_prompt(task.start)
    per_pair = start_tokens + sum(evaluator.tokens.of_examples(task.dev)) / len(task.dev)
    return Plan(
        study=study.name,
        task=task,
        model=evaluator.backend.model,
        proposer=study.config.proposer,
        backend=study.config.backend,
        scoring=evaluator.backend.scoring,
        sampler=study.config.identity.sampler,
        budget=limits.budget,
        done=done,
        start_tokens=start_tokens,
        evaluations=evaluations,
        tokens=round(evaluations * per_pair),
        reasons=next((entry.trial.reasons for entry in study.full()), {}),
    )


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
