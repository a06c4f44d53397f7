"""A prompt as its parts, each of which can be left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..contracts import Structure
from .own import keeps_form
from .sentences import left_out, sentence_spans

if TYPE_CHECKING:
    from ..contracts import Gene, Prompt

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence, constraint or demonstration of a prompt, or a setting of its structure.

    Parameters
    ----------
    gene
        What it is a part of.
    text
        What it says, in one line.
    place
        Where it stands: the number of the sentence, constraint or demonstration, or the setting's
        name.
    """

    gene: Gene
    text: str
    place: int | str


@dataclass(frozen=True, slots=True)
class PromptParts:
    """The parts of a prompt.

    A setting is left out by setting it back to the default's; all else is taken away. Sentences of
    a prompt of the user's own that hold the place of an input stay: no prompt is left without them.

    Parameters
    ----------
    prompt
        The prompt.
    default
        The structure that its own is compared with.
    input_fields
        The task's input fields.
    """

    prompt: Prompt
    default: Structure
    input_fields: Sequence[str]

    def all(self) -> tuple[Part, ...]:
        """Return what can be left out, in the order in which it is read, settings last."""
        prompt = self.prompt
        spans = sentence_spans(prompt.instruction)
        parts = [Part("instruction", prompt.instruction[a:b], i) for i, (a, b) in enumerate(spans)]
        parts += [Part("constraints", c.text, i) for i, c in enumerate(prompt.constraints)]
        parts += [
            Part("demonstrations", f"{' | '.join(text for _, text in e.inputs)} -> {e.target}", i)
            for i, e in enumerate(prompt.demonstrations)
        ]
        for field in fields(Structure):
            ours, theirs = (getattr(one, field.name) for one in (prompt.structure, self.default))
            if ours != theirs:
                text = f"{field.name.replace('_', ' ')} {_shown(ours)}, not {_shown(theirs)}"
                parts.append(Part("structure", text, field.name))
        return tuple(part for part in parts if self.may_go([part]))

    def without(self, parts: Collection[Part]) -> Prompt:
        """Return the prompt without some of its parts."""
        gone = {(part.gene, part.place) for part in parts}
        prompt, text = self.prompt, self.prompt.instruction
        # The last first: where the others are does not change by that.
        for place, span in reversed([*enumerate(sentence_spans(text))]):
            if ("instruction", place) in gone:
                text = left_out(text, span)
        names = [str(part.place) for part in parts if part.gene == "structure"]
        set_back: dict[str, Any] = {name: getattr(self.default, name) for name in names}
        return replace(
            prompt,
            instruction=text,
            structure=replace(prompt.structure, **set_back),
            constraints=_kept(prompt.constraints, "constraints", gone),
            demonstrations=_kept(prompt.demonstrations, "demonstrations", gone),
        )

    def may_go(self, parts: Collection[Part]) -> bool:
        """Return whether what is left without them is a prompt, and another one."""
        left = self.without(parts)
        # The structure of a prompt of the user's own is to stay, but may be compared.
        formed = replace(left, structure=self.prompt.structure)
        return left != self.prompt and keeps_form(self.prompt, formed, self.input_fields, ())


def _kept(
    values: Sequence[_Value], gene: Gene, gone: Collection[tuple[Gene, int | str]]
) -> tuple[_Value, ...]:
    return tuple(value for place, value in enumerate(values) if (gene, place) not in gone)


def _shown(value: object) -> str:
    """Return a setting as one line."""
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    return repr(value) if value != "" else "none"
