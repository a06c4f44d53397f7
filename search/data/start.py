"""The start of a search: the task as a model is usually asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..prompts.cjk import has_cjk
from ..prompts.reading import unnamed

if TYPE_CHECKING:
    from ..contracts import Prompt, Task


def as_asked(task: Task) -> Task:
    """Return a task with labels whose starting prompts are chats that name the labels.

    That is how a model is asked whose reply is read. Where answers are had by likelihood the prompt
    stays as it is, and so does one of free text or of the user's own.
    """
    if not task.labels or task.answers == "likelihood" or task.start.structure.own:
        return task
    structure = replace(task.start.structure, layout="chat")
    start = replace(task.start, structure=structure)
    others = [_naming(replace(start, instruction=text), task) for text in task.instructions]
    texts = tuple(prompt.instruction for prompt in others)
    return replace(task, start=_naming(start, task), instructions=texts)


def _naming(prompt: Prompt, task: Task) -> Prompt:
    """Return a prompt whose instruction, or what is asked after each input, names the labels."""
    if not unnamed(prompt, task.labels, task.input_fields):
        return prompt
    texts = [prompt.structure.verbalize(label) for label in task.labels]
    own = prompt.instruction.strip()
    chinese = has_cjk(own or texts[0])
    if own and own[-1].isalnum():
        own += "。" if chinese else "."
    if chinese:
        return replace(prompt, instruction=f"{own}回答：{'、'.join(texts)}。")
    listed = f"{', '.join(texts[:-1])} or {texts[-1]}"
    return replace(prompt, instruction=f"{own} Answer {listed}.".strip())
