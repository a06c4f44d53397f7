"""Structure: names, separators, verbalizers, question form, layout, calibration. Each mutator changes one aspect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .wording import (
    CHINESE_INPUT_NAMES,
    CHINESE_TARGET_NAMES,
    INPUT_NAMES,
    TARGET_NAMES,
    allowed_names,
    listed,
    task_is_chinese,
    verbalizers,
)

if TYPE_CHECKING:
    from ..search.contracts import Gene, MutationContext, Prompt, Task

_FIELD_SEPARATORS = ("\n", " ", "\n\n")
_BLOCK_SEPARATORS = ("\n\n", "\n", "\n###\n", "\n---\n")


class FieldNames:
    """Other names for the input fields or the target."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with new names for its inputs, its target, or both."""
        structure, rng, task = prompt.structure, context.rng, context.task
        inputs, targets = _names(task)
        new = structure
        what = rng.choice(("input", "target", "both"))
        if what != "target" and len(structure.input_labels) == 1:
            new = replace(new, input_labels=(rng.choice([*inputs, ""]),))
        if what != "input" or len(structure.input_labels) > 1:
            new = replace(new, target_label=rng.choice(targets))
        return replace(prompt, structure=new)


class Separators:
    """Other separators between fields and between examples."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one of its two separators changed."""
        structure, rng = prompt.structure, context.rng
        if rng.random() < 0.5:
            others = [s for s in _FIELD_SEPARATORS if s not in {structure.field_separator, structure.block_separator}]
            return replace(prompt, structure=replace(structure, field_separator=rng.choice(others)))
        others = [s for s in _BLOCK_SEPARATORS if s not in {structure.field_separator, structure.block_separator}]
        return replace(prompt, structure=replace(structure, block_separator=rng.choice(others)))


class Verbalizers:
    """Other texts for the labels."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with other verbalizers, or with the labels as they are."""
        start = context.task.start.structure.verbalizers
        sets = [start, *verbalizers(context.task.labels)]
        others = [pairs for pairs in dict.fromkeys(sets) if pairs != prompt.structure.verbalizers]
        if not others or not context.task.labels:
            return prompt
        return replace(prompt, structure=replace(prompt.structure, verbalizers=context.rng.choice(others)))


class Question:
    """Ask after every input (the QA form), or stop asking."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a question, another question, or none."""
        structure, rng = prompt.structure, context.rng
        labels = [structure.verbalize(label) for label in context.task.labels]
        if not labels:
            return prompt
        chinese = task_is_chinese(context.task)
        either = listed(labels, chinese=chinese)
        name = (structure.input_labels[0] or "text").lower() if structure.input_labels[0].isascii() else "text"
        asked = (
            [f"这是{either}？", f"选择：{either}？"]
            if chinese
            else [f"Is this {name} {either}?", f"{either.capitalize()}?"]
        )
        others = [question for question in ["", *asked] if question != structure.question]
        question = rng.choice(others)
        target = ("答案" if chinese else "Answer") if question else context.task.start.structure.target_label
        return replace(prompt, structure=replace(structure, question=question, target_label=target))


class Layout:
    """Plain text or the model's chat template."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:  # noqa: ARG002 (there are only two)
        """Return the prompt in the other layout."""
        structure = prompt.structure
        return replace(prompt, structure=replace(structure, layout="chat" if structure.layout == "plain" else "plain"))


class Calibration:
    """Batch calibration on or off."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:  # noqa: ARG002 (there are only two)
        """Return the prompt with its calibration switched."""
        structure = prompt.structure
        switched = replace(structure, calibration="batch" if structure.calibration == "none" else "none")
        return replace(prompt, structure=switched)


def _names(task: Task) -> tuple[list[str], list[str]]:
    """Return the names inputs and target can have, the task's own first."""
    start = task.start.structure
    if task_is_chinese(task):
        inputs, targets = list(CHINESE_INPUT_NAMES), list(CHINESE_TARGET_NAMES)
    else:
        inputs, targets = list(INPUT_NAMES), list(TARGET_NAMES)
    inputs = [start.input_labels[0], *allowed_names(inputs, task)]
    return list(dict.fromkeys(inputs)), list(dict.fromkeys([start.target_label, *allowed_names(targets, task)]))
