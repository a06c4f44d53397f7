"""From names, files and columns to a `Task`: rows read, labels checked, splits made, a prompt to start from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from ..contracts import Example, Prompt, Structure, Task
from ..errors import InputError
from ..plugins import closest, load
from ..prompts.cjk import word_count
from ..scoring import asks_for_labels, load_scorer
from .labels import Spellings, fold, placement, quoted
from .rows import Row, is_list, labelled, read_rows
from .splits import Sizes, Splits, given_splits, join_references, shared_rows, split_rows
from .task_file import TaskFile, read_task_file

_INPUT_NAMES = ("text", "input", "sentence", "review", "content", "question", "document", "文本")
_TARGET_NAMES = ("label", "target", "sentiment", "category", "class", "answer", "output", "标签")
_MAX_LABELS = 50
_MOST_TOKENS = 1024


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
    seed: int = 0,
) -> Task:
    """Load a task.

    Parameters
    ----------
    task
        The name of an installed task, a task file, or nothing where ``data`` or ``train`` is given.
    data, train, dev, test, input_columns, target_column, instructions, choices, scorer
        See `DataOptions`; they go before what a task or task file says.
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
    if bool(dev) != bool(test) and not train and not _is_file(task):
        raise InputError(
            "expected both `dev` and `test`, or `train` with one of them; a single file goes to `data`"
        )
    named = None
    if _is_file(task):
        spec = read_task_file(cast("str", task))
    else:
        if task is not None:
            named = _named_task(task, seed)
            if not (data or train or dev):
                return _with_start(named, instructions, choices, scorer)
        spec = _spec_of(named)
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
    return _build(spec, seed)


def _renamed(
    inputs: tuple[tuple[str, str | None], ...], columns: Sequence[str]
) -> tuple[tuple[str, str | None], ...]:
    """Return the columns with the labels of those they stand for, where there are as many."""
    if not columns:
        return inputs
    labels = (
        [label for _, label in inputs] if len(inputs) == len(columns) else [None] * len(columns)
    )
    return tuple(zip(columns, labels, strict=True))


def _is_file(task: str | None) -> bool:
    return task is not None and task.lower().endswith((".yaml", ".yml"))


def _named_task(name: str, seed: int) -> Task:
    make = cast("Callable[..., Task]", load("promptfront.tasks", name))
    return make(seed=seed)


def _with_start(
    task: Task, instructions: Sequence[str], choices: Sequence[str], scorer: str | None
) -> Task:
    if scorer:
        task = _rescored(task, scorer)
    if choices and set(choices) != set(task.labels):
        raise InputError(
            f"`choices`: task {task.name!r} has the labels {', '.join(task.labels)}, found {', '.join(choices)}"
        )
    if not instructions:
        return task
    return replace(
        task,
        start=replace(task.start, instruction=instructions[0]),
        instructions=tuple(instructions[1:]),
    )


def _rescored(task: Task, scorer: str) -> Task:
    """Return the task with another scorer; where it wants free text, labels become answers."""
    if asks_for_labels(load_scorer(scorer)):
        if not task.labels:
            raise InputError(
                f"`scorer` {scorer}: it scores labels, and task {task.name!r} has none"
            )
        return replace(task, scorer=scorer)
    return replace(task, scorer=scorer, labels=())


def _spec_of(task: Task | None) -> TaskFile:
    if task is None:
        return TaskFile("data")
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


def _build(spec: TaskFile, seed: int) -> Task:
    named = {"data": spec.data or spec.train, "dev": spec.dev, "test": spec.test}
    paths = {name: path for name, path in named.items() if path}
    if "data" not in paths and len(paths) < 2:
        raise InputError(
            f"task {spec.name!r} names no data: give `data` FILE, or data: in the task file"
        )
    notes: list[str] = []
    rows = {name: read_rows(path, tell=notes.append) for name, path in paths.items()}
    source, files = next(iter(paths.values())), ", ".join(paths.values())
    inputs, target = _columns(spec, source, next(iter(rows.values())))
    rows = {name: labelled(part, target, paths[name], notes.append) for name, part in rows.items()}
    scorer = spec.scorer or "labels"
    labels: tuple[tuple[str, str], ...] = ()
    spellings: Spellings | None = None
    if asks_for_labels(load_scorer(scorer)):
        labels, spellings = _labels(
            spec, target, [row for part in rows.values() for row in part], source
        )
        notes += spellings.notes()
    examples = {
        name: _examples(part, [c for c, _ in inputs], target, spellings)
        for name, part in rows.items()
    }
    if not labels:
        examples = {
            name: join_references(part, paths[name], notes.append)
            for name, part in examples.items()
        }
    max_tokens, stop = _reply_limits([example for part in examples.values() for example in part])
    splits = _split(spec, examples, seed, files)
    structure = Structure(
        tuple(_title(column) if label is None else label for column, label in inputs),
        spec.target_label if spec.target_label is not None else _title(target),
        question=spec.question,
        # Asked for free text in plain text, a model that is used to chat often begins with a blank line, which ends its reply.
        layout="plain" if labels else "chat",
        verbalizers=tuple((label, text) for label, text in labels if label != text),
    )
    instruction, *others = spec.instructions or (
        _instruction(structure, [text for _, text in labels]),
    )
    name = Path(source).stem if spec.name == "data" else spec.name
    fields = tuple(column for column, _ in inputs)
    notes += splits.notes + placement([label for label, _ in labels], splits, given=bool(spec.test))
    return Task(
        name=name,
        source=files,
        start=Prompt(instruction, structure),
        input_fields=fields,
        target_field=target,
        labels=tuple(label for label, _ in labels),
        train=splits.train,
        dev=splits.dev,
        test=splits.test,
        scorer=scorer,
        constraints=spec.constraints,
        instructions=tuple(others),
        notes=tuple(notes),
        max_tokens=spec.max_tokens or max_tokens,
        stop=stop if spec.stop is None else spec.stop,
    )


def _columns(
    spec: TaskFile, source: str, rows: Sequence[Row]
) -> tuple[tuple[tuple[str, str | None], ...], str]:
    columns = list(dict.fromkeys(column for row in rows for column in (*row.cells, *row.gaps)))
    inputs = spec.inputs or ((_guess(columns, _INPUT_NAMES, "input", source, {spec.target}), None),)
    target = spec.target or _guess(
        columns, _TARGET_NAMES, "target", source, {column for column, _ in inputs}
    )
    for column in (*(column for column, _ in inputs), target):
        if column not in columns:
            raise InputError(
                f"{source}: there is no column {column!r}{closest(column, columns)}; it has {', '.join(columns)}"
            )
    if len(dict(inputs)) < len(inputs):
        raise InputError(
            f"{source}: expected different input columns, found {', '.join(column for column, _ in inputs)}"
        )
    if target in dict(inputs):
        raise InputError(f"{source}: the column {target!r} cannot be both input and target")
    return inputs, target


def _guess(
    columns: Sequence[str], names: Sequence[str], what: str, source: str, taken: set[str | None]
) -> str:
    free = [column for column in columns if column not in taken]
    found = [column for column in free if column.casefold() in names] or free
    if len(found) == 1:
        return found[0]
    raise InputError(
        f"{source}: which column is the {what}? Say --{what}-column with one of {', '.join(columns)}"
    )


def _labels(
    spec: TaskFile, target: str, rows: Sequence[Row], source: str
) -> tuple[tuple[tuple[str, str], ...], Spellings]:
    """Return the labels with their texts, those that the user says or those seen, and how rows spell them."""
    counts = Counter(row.cells.get(target, "").strip() for row in rows)
    if spec.labels:
        _check_labels(spec.labels, source)
        return spec.labels, Spellings(counts, [label for label, _ in spec.labels])
    spellings = Spellings(counts)
    seen = spellings.labels
    # Who names the scorer says that these are labels, however many.
    if not spec.scorer and (len(seen) > _MAX_LABELS or len(seen) > max(2, len(rows) // 2)):
        raise InputError(
            f"{source}: the column {target!r} has {len(seen)} different values in {len(rows)} rows, which looks like free text: "
            "say `scorer` labels if they are labels, or how to score free text (see `optimize list scorers`)"
        )
    if listed := next((row for row in rows if is_list(row.cells.get(target, "").strip())), None):
        raise InputError(
            f"{listed.origin}: expected one label in {target!r}, found {listed.cells[target]}, and a list is no label; "
            "name a column with one label a row"
        )
    if len(seen) < 2:
        found = [spelling for spelling in counts if fold(spelling)]
        apart = (
            f", spellings of one: `choices` {quoted(found)} keeps them apart"
            if len(found) > 1
            else ""
        )
        raise InputError(
            f"{source}: expected at least 2 different labels in the column {target!r}, found {', '.join(found) or 'none'}{apart}"
        )
    return tuple((label, label) for label in seen), spellings


def _check_labels(labels: Sequence[tuple[str, str]], source: str) -> None:
    """Refuse labels that the user says if one is blank or two are the same."""
    names, texts = ([part.strip() for part in parts] for parts in zip(*labels, strict=True))
    if min(len(labels), len(set(names)), len(set(texts))) < max(2, len(labels)):
        raise InputError(
            f"{source}: expected at least 2 labels, each written differently, found {', '.join(texts)}"
        )
    if not all(map(fold, (*names, *texts))):
        raise InputError(
            f"{source}: expected labels with a visible text, found {', '.join(map(repr, texts))}"
        )


def _examples(
    rows: Sequence[Row], inputs: Sequence[str], target: str, spellings: Spellings | None
) -> list[Example]:
    examples = []
    for row in rows:
        missing = [column for column in (*inputs, target) if column not in row.cells]
        if missing:
            why = f" ({row.gaps[missing[0]]})" if missing[0] in row.gaps else ""
            raise InputError(
                f"{row.origin}: there is no value for {missing[0]!r}{why}; the row has {', '.join(row.cells) or 'none'}; add it, or leave the row out"
            )
        label, *references = (
            [_label(row, target, spellings)] if spellings else _answers(row.cells[target])
        )
        if not label:
            raise InputError(f"{row.origin}: expected an answer in {target!r}, found none")
        examples.append(
            Example(
                tuple((column, row.cells[column]) for column in inputs), label, tuple(references)
            )
        )
    return examples


def _label(row: Row, target: str, spellings: Spellings) -> str:
    found = row.cells[target].strip()
    label = spellings.label(found)
    if label is None:
        what = (
            f"the label {found!r}{closest(found, spellings.labels)}" if fold(found) else "no label"
        )
        raise InputError(
            f"{row.origin}: expected one of {', '.join(spellings.labels)} in {target!r}, found {what}"
        )
    return label


def _answers(cell: str) -> list[str]:
    """Return the accepted answers of a cell: one, or those of a JSON list of texts."""
    try:
        values = json.loads(cell) if cell.lstrip().startswith("[") else None
    except ValueError:
        values = None
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return [value.strip() for value in values]
    return [cell.strip()]


def _reply_limits(examples: Sequence[Example]) -> tuple[int, tuple[str, ...]]:
    """Return how many tokens a reply may have, two or three times the longest answer's, and what ends it."""
    golds = [gold for example in examples for gold in example.golds]
    longest = max(map(word_count, golds), default=0)
    return min(_MOST_TOKENS, 4 * longest + 8), () if any("\n" in gold for gold in golds) else (
        "\n",
    )


def _split(spec: TaskFile, examples: dict[str, list[Example]], seed: int, source: str) -> Splits:
    sizes: Sizes = spec.sizes
    if spec.data and not (spec.dev or spec.test):
        shared = shared_rows(examples["data"], seed) if sizes == Sizes() else None
        return shared or split_rows(examples["data"], sizes, seed, source)
    return given_splits(
        examples.get("data", []),
        examples.get("dev", []),
        examples.get("test", []),
        sizes,
        seed,
        source,
    )


def _instruction(structure: Structure, labels: Sequence[str]) -> str:
    what = " and ".join(label.lower() for label in structure.input_labels if label) or "text"
    if not labels:
        return f"Read the {what} and write the {structure.target_label.lower() or 'answer'}."
    listed = f"{', '.join(labels[:-1])} or {labels[-1]}"
    return f"Classify the {what} as {listed}."


def _title(column: str) -> str:
    words = " ".join(column.replace("_", " ").split())
    return words[:1].upper() + words[1:]
