"""Tasks that start from prompts of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..contracts import Prompt, Task
from ..errors import InputError
from .cells import Row, Tell
from .examples import TARGET_NAMES
from .placeholders import Own, match
from .prompt_files import PromptFile, read_prompt_file
from .promptfoo_tests import EXPECTED
from .task_file import TaskFile


def read_prompts(paths: Sequence[str], **others: Sequence[str]) -> list[PromptFile]:
    """Return the prompts in files.

    Raises
    ------
    InputError
        If a file cannot be used, or one of the ``others`` is given, options that say what such a
        prompt says itself.
    """
    given = [name for name, value in others.items() if value]
    if paths and given:
        raise InputError(
            f"expected either `prompts` or `{given[0]}`, found both; leave `{given[0]}` "
            "out, because the prompt file contains it"
        )
    return [file for path in paths for file in read_prompt_file(path)]


def own_prompts(
    spec: TaskFile, files: Sequence[PromptFile], rows: Sequence[Row], tell: Tell
) -> tuple[TaskFile, list[Own]]:
    """Return the prompts with their fields matched to the columns, which are the task's inputs.

    Raises
    ------
    InputError
        If a prompt does not fit the data; with file and line.
    """
    if not files:
        return spec, []
    names = list(dict.fromkeys(name for row in rows for name in (*row.cells, *row.gaps)))
    target = spec.target or _target(names, files)
    own = [match(file, names, target, tell) for file in files]
    known = dict(spec.inputs)
    fields = dict.fromkeys(field for prompt in own for field in prompt.fields)
    return replace(spec, inputs=tuple((f, known.get(f)) for f in fields), target=target), own


def _target(names: Sequence[str], files: Sequence[PromptFile]) -> str | None:
    """Return the column that is the answer where its name says so, one that no prompt shows."""
    if EXPECTED in names:
        return EXPECTED
    likely = [name for name in names if name.casefold() in TARGET_NAMES]
    if len(likely) > 1:
        shown = {field for file in files for field in match(file, names, None, _silent).fields}
        # Where prompts show them all, one is the answer: that is refused, with its line.
        likely = [name for name in likely if name not in shown] or likely[:1]
    return likely[0] if len(likely) == 1 else None


def with_prompts(task: Task, files: Sequence[PromptFile]) -> Task:
    """Return a task with the user's own prompts in the place of its own.

    Raises
    ------
    InputError
        If one of them does not fit its fields; with file and line.
    """
    notes: list[str] = []
    columns = (*task.input_fields, task.target_field)
    own = [match(file, columns, task.target_field, notes.append) for file in files]
    return replace(started_from(task, own), notes=(*task.notes, *notes))


def started_from(task: Task, own: Sequence[Own]) -> Task:
    """Return a task that starts from the first prompt and tries the others first.

    Demonstrations are written with the labels that these put before fields and answer.
    """
    structure = task.start.structure
    labels = dict(zip(task.input_fields, structure.input_labels, strict=True))
    for prompt in reversed(own):
        labels |= prompt.labels
    cue = next((prompt.cue for prompt in own if prompt.cue), structure.target_label)
    structure = replace(
        structure,
        input_labels=tuple(labels[field] for field in task.input_fields),
        target_label=cue,
        layout="chat",
        question="",
        own=True,
    )
    texts = dict.fromkeys(prompt.source.instruction for prompt in own)
    start, *others = (Prompt(text, structure) for text in texts)
    sources = tuple(prompt.source for prompt in own)
    return replace(task, start=start, starts=tuple(others), instructions=(), sources=sources)


def with_kept(task: Task, keep: Sequence[str]) -> Task:
    """Return a task with texts that every candidate keeps.

    Raises
    ------
    InputError
        If one of them is not in every prompt that is started from.
    """
    texts = []
    for given in keep:
        text = given.replace("\r\n", "\n")
        for field, spelling in task.sources[0].spellings if task.sources else ():
            text = text.replace(spelling, f"{{{{{field}}}}}")
        first = [task.start.instruction, *task.instructions]
        first += [prompt.instruction for prompt in task.starts]
        missing = next((start for start in first if text not in start), None)
        if missing is not None or not text.strip():
            raise InputError(
                "`keep`: expected a text that is part of every starting prompt, but "
                f"{given!r} is not in {missing or ''!r:.200}"
            )
        texts.append(text)
    return replace(task, keep=tuple(texts)) if texts else task


def _silent(_: str) -> None:
    """Say nothing: the prompt is matched again once the target is known."""
