"""Structure: names, separators, verbalizers, question form, layout, calibration.

Each mutator changes one aspect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ..search.contracts import Usage
from .lexicon import (
    CHINESE_INPUT_NAMES,
    CHINESE_TARGET_NAMES,
    FREE_TARGET_NAMES,
    INPUT_NAMES,
    TARGET_NAMES,
    allowed_names,
    capitalized,
    is_sentiment,
    label_texts,
    labels_speak,
    listed,
    task_is_chinese,
    verbalizers,
)

if TYPE_CHECKING:
    import random

    from ..search.contracts import Gene, MutationContext, Prompt, Structure, Task

_FIELD_SEPARATORS = ("\n", " ")
_BLOCK_SEPARATORS = ("\n\n", "\n", "\n###\n", "\n---\n")
_CASE_CHANGES = 0.15
"""How often names keep their words and change their case. Set by hand."""
_CUT_OFF = 0.1
"""Share of replies at their limit from which on they may be longer. Set by hand."""
_LONGEST = 4
"""Times the task's tokens that a reply may have."""
_MOST_ASKED = 8
"""Labels that a question lists at most: the list is paid for with every example."""


class FieldNames:
    """Other names for the input fields or the target."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with other names for its inputs, its target, or both."""
        structure, rng = prompt.structure, context.rng
        if rng.random() < _CASE_CHANGES:
            return replace(prompt, structure=_in_other_case(structure, rng))
        inputs, targets = _names(context.task)
        what = rng.choice(("input", "target", "both"))
        # Several fields keep their names: a name such as "Text" would not tell them apart.
        if len(structure.input_labels) > 1:
            what = "target"
        if what != "target":
            others = [name for name in inputs if name != structure.target_label]
            structure = replace(structure, input_labels=(rng.choice(others),))
        if what != "input":
            others = [name for name in targets if name not in structure.input_labels]
            if others:
                structure = replace(structure, target_label=rng.choice(others))
        return replace(prompt, structure=structure)


class Separators:
    """Other separators between fields and between examples."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one of its two separators changed."""
        structure = prompt.structure
        # Equal separators would hide where an example ends.
        taken = {structure.field_separator, structure.block_separator}
        changes = [
            replace(structure, field_separator=s) for s in _FIELD_SEPARATORS if s not in taken
        ]
        changes += [
            replace(structure, block_separator=s) for s in _BLOCK_SEPARATORS if s not in taken
        ]
        return replace(prompt, structure=context.rng.choice(changes))


class Verbalizers:
    """Other texts for the labels; a question that lists the old ones lists the new."""

    gene: Gene = "structure"
    usage = Usage(needs_likelihood=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with other verbalizers, or with those the task began with."""
        task, structure = context.task, prompt.structure
        old = label_texts(structure, task.labels)
        # The user's own texts are varied: a label such as "1" may mean nothing without its text.
        sets = verbalizers(
            label_texts(task.start.structure, task.labels), chinese=task_is_chinese(task)
        )
        others = [list(texts) for texts in sets if list(texts) != old]
        if not others:
            return prompt
        new = context.rng.choice(others)
        texts = zip(task.labels, new, strict=True)
        pairs = tuple((label, text) for label, text in texts if label != text)
        question = structure.question
        for chinese in (False, True):
            before, after = listed(old, chinese=chinese), listed(new, chinese=chinese)
            question = question.replace(before, after)
            question = question.replace(capitalized(before), capitalized(after))
        return replace(prompt, structure=replace(structure, verbalizers=pairs, question=question))


class Question:
    """Ask after every input (the QA form), or stop asking."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a question, another question, or none."""
        structure = prompt.structure
        asked = dict.fromkeys(
            ["", context.task.start.structure.question, *_questions(structure, context.task)]
        )
        others = [question for question in asked if question != structure.question]
        if not others:
            return prompt
        return replace(prompt, structure=replace(structure, question=context.rng.choice(others)))


class Layout:
    """Plain text or the model's chat template."""

    gene: Gene = "structure"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:  # noqa: ARG002
        """Return the prompt in the other layout: there are only two, so nothing is drawn."""
        other: Literal["plain", "chat"] = "chat" if prompt.structure.layout == "plain" else "plain"
        return replace(prompt, structure=replace(prompt.structure, layout=other))


class LongerReplies:
    """Let replies be twice as long where some run into their limit."""

    gene: Gene = "structure"
    usage = Usage(needs_replies=True, at_first=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt whose replies may be longer; as it is where they end before."""
        structure, factor = prompt.structure, 2 * prompt.structure.reply_factor
        if factor > _LONGEST or context.cut_off(prompt) < _CUT_OFF:
            return prompt
        return replace(prompt, structure=replace(structure, reply_factor=factor))


class Calibration:
    """Batch calibration on or off."""

    gene: Gene = "structure"
    usage = Usage(needs_likelihood=True, rereads=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its calibration switched; free text has no labels to calibrate."""
        if not context.task.labels:
            return prompt
        is_none = prompt.structure.calibration == "none"
        other: Literal["none", "batch"] = "batch" if is_none else "none"
        return replace(prompt, structure=replace(prompt.structure, calibration=other))


def _in_other_case(structure: Structure, rng: random.Random) -> Structure:
    change = rng.choice((str.lower, str.upper, capitalized))
    return replace(
        structure,
        input_labels=tuple(change(label) for label in structure.input_labels),
        target_label=change(structure.target_label),
    )


def _names(task: Task) -> tuple[list[str], list[str]]:
    """Return the names inputs and target can have, the task's own first."""
    start, chinese = task.start.structure, task_is_chinese(task)
    inputs = allowed_names(CHINESE_INPUT_NAMES if chinese else INPUT_NAMES, task)
    targets = allowed_names(CHINESE_TARGET_NAMES if chinese else TARGET_NAMES, task)
    targets = [name for name in targets if task.labels or name in FREE_TARGET_NAMES]
    fields = (*task.input_fields, task.target_field)
    names = [capitalized(field.replace("_", " ")) for field in fields]
    # A column's name in another language than the texts is the file's, not the task's.
    own = [name if name.isascii() != chinese else "" for name in names]
    inputs = [*start.input_labels, *own[:-1], *inputs, ""]
    targets = [start.target_label, own[-1], *targets]
    return list(dict.fromkeys(inputs)), [name for name in dict.fromkeys(targets) if name]


def _questions(structure: Structure, task: Task) -> list[str]:
    texts = label_texts(structure, task.labels)
    if not labels_speak(texts) or len(texts) > _MOST_ASKED:
        return []
    if task_is_chinese(task):
        either = listed(texts, chinese=True)
        return [f"这是{either}？", f"选择：{either}？"]
    either = listed(texts)
    asked = [f"{capitalized(either)}?"]
    if len(structure.input_labels) == 1:
        label = structure.input_labels[0]
        name = label.lower() if label and label.isascii() else "text"
        asked.append(f"Is this {name} {either}?")
    return [*asked, f"Is the tone {either}?"] if is_sentiment(texts) else asked
