"""From names, files and columns to a `Task`: rows, labels, splits, and a prompt to start from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from ..contracts import ANSWERS, Answers, Example, Prompt, Structure, Task
from ..errors import InputError
from ..plugins import load
from ..prompts.cjk import word_count
from ..scoring import load_scorer
from .cells import Tell
from .duplicates import join_references
from .examples import Columns, Labels, choose_columns, choose_labels, read_examples
from .labels import placement
from .own_prompts import own_prompts, read_prompts, started_from, with_kept, with_prompts
from .placeholders import Own
from .prompt_files import PromptFile
from .promptfoo_tests import has_tests, read_tests
from .rows import Row, labelled, read_rows
from .splits import Sizes, Splits, given_splits, shared_rows, split_rows
from .start import as_asked
from .task_file import TaskFile, read_task_file

_MAX_REPLY_TOKENS = 1024
_TOKENS_PER_WORD = 4
"""Two or three times what a word of an answer takes, so that a wordier reply may end too."""
_SPARE_TOKENS = 8
"""For one-word answers."""


def load_task(
    task: str | None = None,
    *,
    data: str | None = None,
    train: str | None = None,
    dev: str | None = None,
    test: str | None = None,
    input_columns: Sequence[str] = (),
    target_column: str | None = None,
    instructions: Sequence[str] = (),
    choices: Sequence[str] = (),
    scorer: str | None = None,
    answers: Answers | None = None,
    prompts: Sequence[str] = (),
    keep: Sequence[str] = (),
    seed: int = 0,
) -> Task:
    """Load a task.

    Parameters
    ----------
    task
        The name of an installed task, a task file, or nothing where ``data`` or ``train`` is given.
    data, train, dev, test, input_columns, target_column, instructions, choices, scorer, prompts,
    keep
        See `DataOptions`; they go before what a task or task file says.
    answers
        How a label is had from the model; see `Task`.
    seed
        Decides the splits.

    Raises
    ------
    InputError
        If anything of it is missing or wrong; the sentence says what and where.
    """
    if data and train:
        raise InputError(
            "expected either `data` (to be split) or `train` (already split), found both"
        )
    if answers not in (None, *ANSWERS):
        raise InputError(f"`answers`: expected one of {', '.join(ANSWERS)}, found {answers!r}")
    if bool(dev) != bool(test) and not train and not _is_file(task):
        raise InputError(
            "expected `dev` and `test` together, or `train` beside one of them; "
            "give a single file as `data`"
        )
    files = read_prompts(prompts, instructions=instructions, input_columns=input_columns)
    if task is None:
        tests = next((path for path in prompts if has_tests(path)), None)
        spec = TaskFile("data", data=tests)
    elif _is_file(task):
        spec = read_task_file(task)
    else:
        installed = _installed_task(task, seed)
        if not (data or train or dev):
            chosen = _with_options(installed, instructions, choices, scorer)
            chosen = with_prompts(chosen, files) if files else chosen
            return with_kept(as_asked(replace(chosen, answers=answers)), keep)
        spec = _spec_of(installed)
    spec = replace(
        spec,
        data=data or (None if train else spec.data),
        train=train or (None if data else spec.train),
        dev=dev or (None if data or train else spec.dev),
        test=test or (None if data or train else spec.test),
        inputs=_renamed(spec.inputs, input_columns),
        target=target_column or spec.target,
        instructions=tuple(instructions) or spec.instructions,
        labels=tuple((c, dict(spec.labels).get(c, c)) for c in choices) or spec.labels,
        scorer=scorer or spec.scorer,
    )
    return with_kept(as_asked(replace(_build(spec, seed, files), answers=answers)), keep)


def _is_file(task: str | None) -> bool:
    return task is not None and task.lower().endswith((".yaml", ".yml"))


def _installed_task(name: str, seed: int) -> Task:
    make = cast("Callable[..., Task]", load("promptfront.tasks", name))
    return make(seed=seed)


def _with_options(
    task: Task, instructions: Sequence[str], choices: Sequence[str], scorer: str | None
) -> Task:
    if scorer:
        task = _rescored(task, scorer)
    if choices and set(choices) != set(task.labels):
        raise InputError(
            f"`choices`: expected the labels of task {task.name!r} ({', '.join(task.labels)}), "
            f"found {', '.join(choices)}"
        )
    if not instructions:
        return task
    first, *others = instructions
    start = replace(task.start, instruction=first)
    return replace(task, start=start, instructions=tuple(others))


def _rescored(task: Task, scorer: str) -> Task:
    """Return the task with another scorer; where it wants free text, labels become answers."""
    if not load_scorer(scorer).labelled:
        return replace(task, scorer=scorer, labels=())
    if not task.labels:
        raise InputError(
            f"`scorer` {scorer}: it scores labels, but task {task.name!r} has none; choose another"
        )
    return replace(task, scorer=scorer)


def _spec_of(task: Task) -> TaskFile:
    """Return what an installed task says but for its rows."""
    structure = task.start.structure
    return TaskFile(
        task.name,
        inputs=tuple(zip(task.input_fields, structure.input_labels, strict=True)),
        target=task.target_field,
        target_label=structure.target_label,
        labels=tuple((label, structure.verbalize(label)) for label in task.labels),
        instructions=(task.start.instruction, *task.instructions),
        question=structure.question,
        scorer=task.scorer,
        constraints=task.constraints,
        max_tokens=None if task.labels else task.max_tokens,
        stop=None if task.labels else task.stop,
    )


def _renamed(
    inputs: tuple[tuple[str, str | None], ...], columns: Sequence[str]
) -> tuple[tuple[str, str | None], ...]:
    """Return the columns with the labels of those they stand for, where there are as many."""
    if not columns:
        return inputs
    if len(inputs) != len(columns):
        return tuple((column, None) for column in columns)
    return tuple((column, label) for column, (_, label) in zip(columns, inputs, strict=True))


def _build(spec: TaskFile, seed: int, prompts: Sequence[PromptFile]) -> Task:
    notes: list[str] = []
    paths = _paths(spec)
    source, files = next(iter(paths.values())), ", ".join(paths.values())
    rows, columns, own = _rows(spec, paths, prompts, notes.append)
    labels = _labels(spec, columns, rows, source)
    notes += labels.notes() if labels else ()
    examples = _examples(rows, columns, labels, paths, notes.append)
    splits = _split(spec, examples, seed, files)
    names = tuple(labels.texts) if labels else ()
    notes += splits.notes + placement(names, splits, given=bool(spec.test))
    start, others = _start(spec, columns, labels)
    max_tokens, stop = _reply_limits(row for part in examples.values() for row in part)
    made = Task(
        name=Path(source).stem if spec.name == "data" else spec.name,
        source=files,
        start=start,
        input_fields=columns.input_names,
        target_field=columns.target,
        labels=names,
        train=splits.train,
        dev=splits.dev,
        test=splits.test,
        scorer=spec.scorer or "labels",
        constraints=spec.constraints,
        instructions=others,
        notes=tuple(notes),
        max_tokens=spec.max_tokens or max_tokens,
        stop=stop if spec.stop is None else spec.stop,
    )
    return started_from(made, own) if own else made


def _paths(spec: TaskFile) -> dict[str, str]:
    """Return the files or data sets by what they are: data (to be split, or train), dev, test."""
    named = {"data": spec.data or spec.train, "dev": spec.dev, "test": spec.test}
    paths = {name: path for name, path in named.items() if path}
    if "data" not in paths and len(paths) < 2:
        raise InputError(
            f"task {spec.name!r} names no data; give `data` FILE, or data: in the task file"
        )
    return paths


def _rows(
    spec: TaskFile, paths: dict[str, str], prompts: Sequence[PromptFile], tell: Tell
) -> tuple[dict[str, list[Row]], Columns, list[Own]]:
    """Read the rows of all files; the first says which columns there are."""
    configurations = {file.configuration for file in prompts}
    rows = {
        name: read_tests(path, spec.target, tell)
        if path in configurations
        else read_rows(path, tell=tell)
        for name, path in paths.items()
    }
    first = next(iter(paths))
    spec, own = own_prompts(spec, prompts, rows[first], tell)
    columns = choose_columns(spec, rows[first], paths[first])
    for name, path in paths.items():
        rows[name] = labelled(rows[name], columns.target, path, tell)
    return rows, columns, own


def _labels(
    spec: TaskFile, columns: Columns, rows: dict[str, list[Row]], source: str
) -> Labels | None:
    """Return the labels of all files together; None where answers are free text."""
    if not load_scorer(spec.scorer or "labels").labelled:
        return None
    together = [row for part in rows.values() for row in part]
    return choose_labels(spec, columns.target, together, source)


def _examples(
    rows: dict[str, list[Row]],
    columns: Columns,
    labels: Labels | None,
    paths: dict[str, str],
    tell: Tell,
) -> dict[str, list[Example]]:
    examples = {name: read_examples(part, columns, labels) for name, part in rows.items()}
    if labels:
        return examples
    return {name: join_references(part, paths[name], tell) for name, part in examples.items()}


def _split(spec: TaskFile, examples: dict[str, list[Example]], seed: int, source: str) -> Splits:
    if spec.data and not (spec.dev or spec.test):
        # Who asks for sizes asks for a split.
        shared = shared_rows(examples["data"], seed) if spec.sizes == Sizes() else None
        return shared or split_rows(examples["data"], spec.sizes, seed, source)
    train, dev, test = (examples.get(name, []) for name in ("data", "dev", "test"))
    return given_splits(train, dev, test, spec.sizes, seed, source)


def _start(
    spec: TaskFile, columns: Columns, labels: Labels | None
) -> tuple[Prompt, tuple[str, ...]]:
    """Return the prompt to start from, and the other instructions to try first."""
    texts = labels.texts if labels else {}
    structure = Structure(
        tuple(_title(name) if label is None else label for name, label in columns.inputs),
        _title(columns.target) if spec.target_label is None else spec.target_label,
        question=spec.question,
        # Asked for free text in plain text, a model that is used to chat often begins with a blank
        # line, which ends its reply.
        layout="plain" if labels else "chat",
        verbalizers=tuple((label, text) for label, text in texts.items() if label != text),
    )
    instruction, *others = spec.instructions or (_instruction(structure, [*texts.values()]),)
    return Prompt(instruction, structure), tuple(others)


def _instruction(structure: Structure, labels: Sequence[str]) -> str:
    what = " and ".join(label.lower() for label in structure.input_labels if label) or "text"
    if not labels:
        return f"Read the {what} and write the {structure.target_label.lower() or 'answer'}."
    return f"Classify the {what} as {', '.join(labels[:-1])} or {labels[-1]}."


def _title(column: str) -> str:
    spaced = " ".join(column.replace("_", " ").split())
    return spaced[:1].upper() + spaced[1:]


def _reply_limits(examples: Iterable[Example]) -> tuple[int, tuple[str, ...]]:
    """Return how many tokens a reply may have, by the longest answer, and what ends it."""
    golds = [gold for example in examples for gold in example.golds]
    longest = max(map(word_count, golds), default=0)
    several_lines = any("\n" in gold for gold in golds)
    tokens = _TOKENS_PER_WORD * longest + _SPARE_TOKENS
    return min(_MAX_REPLY_TOKENS, tokens), () if several_lines else ("\n",)
