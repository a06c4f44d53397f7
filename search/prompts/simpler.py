"""What is simpler than a prompt: parts set back to the starting prompt's, or left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..contracts import GENES, Structure
from .cjk import has_cjk
from .sentences import left_out, sentence_spans

if TYPE_CHECKING:
    from ..contracts import Constraint, Example, Gene, Prompt, Task

_WORDING: tuple[Gene, ...] = ("instruction", "structure", "constraints")


class Step(NamedTuple):
    """Something to make simpler, where it is still there, and the gene that it is a part of.

    The gene is empty for a step that changes several.
    """

    gene: Gene | Literal[""]
    take: Callable[[Prompt], Prompt]


def steps(prompt: Prompt, start: Prompt) -> Iterator[Step]:
    """Return what can be made simpler, from large to small.

    First all wording together, then each gene, then each part of it: texts and settings one by one,
    constraints, sentences and examples, the longest first. What the starting prompt says stays.
    """
    if sum(getattr(prompt, gene) != getattr(start, gene) for gene in _WORDING) > 1:
        yield Step("", partial(_reset, start=start, genes=_WORDING))
    for gene in (*_WORDING, "demonstrations"):
        yield Step(gene, partial(_reset, start=start, genes=(gene,)))
    for field in fields(Structure):
        yield Step("structure", partial(_reset_field, start=start, name=field.name))
    for constraint in sorted(prompt.constraints, key=lambda one: -len(one.text)):
        if constraint not in start.constraints:
            yield Step("constraints", partial(_without_constraint, constraint=constraint))
    spans = sentence_spans(prompt.instruction)
    for sentence in sorted((prompt.instruction[a:b] for a, b in spans), key=lambda one: -len(one)):
        if sentence not in start.instruction:
            yield Step("instruction", partial(_without_sentence, sentence=sentence))
    for example in sorted(prompt.demonstrations, key=lambda one: -len(str(one.inputs))):
        if example not in start.demonstrations:
            yield Step("demonstrations", partial(_without_example, example=example))


def says_what_to_do(prompt: Prompt, task: Task) -> bool:
    """Return whether an instruction names the task or all its labels, as one by a person would.

    The task is named by its target field or by the label that its answer follows.
    """
    text = prompt.instruction
    names = {task.target_field, prompt.structure.target_label, task.start.structure.target_label}
    if any(_names(text, name) for name in names if name):
        return True
    answers = [(label, prompt.structure.verbalize(label)) for label in task.labels]
    return bool(answers) and all(any(_names(text, one) for one in both) for both in answers)


def _names(text: str, name: str) -> bool:
    if has_cjk(name):
        return name in text
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _reset(prompt: Prompt, *, start: Prompt, genes: tuple[Gene, ...]) -> Prompt:
    return replace(prompt, **{gene: getattr(start, gene) for gene in GENES if gene in genes})


def _reset_field(prompt: Prompt, *, start: Prompt, name: str) -> Prompt:
    value = getattr(start.structure, name)
    return replace(prompt, structure=replace(prompt.structure, **{name: value}))


def _without_constraint(prompt: Prompt, *, constraint: Constraint) -> Prompt:
    return replace(prompt, constraints=tuple(c for c in prompt.constraints if c != constraint))


def _without_sentence(prompt: Prompt, *, sentence: str) -> Prompt:
    """Leave out a sentence, unless it is all that the instruction says."""
    text, spans = prompt.instruction, sentence_spans(prompt.instruction)
    here = [span for span in spans if text[slice(*span)] == sentence]
    return replace(prompt, instruction=left_out(text, here[0])) if here and spans[1:] else prompt


def _without_example(prompt: Prompt, *, example: Example) -> Prompt:
    return replace(prompt, demonstrations=tuple(e for e in prompt.demonstrations if e != example))
