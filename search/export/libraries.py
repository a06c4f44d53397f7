"""Prompts as the objects of libraries that send them: DSPy and LangChain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .templates import is_text, join, messages, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Prompt


def dspy_format(
    document: Mapping[str, Any], prompt: Prompt, names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the saved state of a ``dspy.Predict`` whose signature has the task's fields."""
    structure, target = prompt.structure, document["target_field"]
    if structure.own:
        raise InputError(
            "`format` dspy: DSPy lays out prompts itself, which leaves no room for one of your own"
        )
    said = (prompt.instruction, *(c.text for c in prompt.constraints), structure.question)
    labels = [
        *zip(document["input_fields"], structure.input_labels, strict=True),
        (target, structure.target_label),
    ]
    return {
        "traces": [],
        "train": [],
        "demos": [
            {**{names[k]: v for k, v in e.inputs}, names[target]: structure.verbalize(e.target)}
            for e in prompt.demonstrations
        ],
        "signature": {
            "instructions": "\n".join(part for part in said if part),
            "fields": [
                {"prefix": f"{label or field}:", "description": "${" + names[field] + "}"}
                for field, label in labels
            ],
        },
        "lm": None,
        "metadata": {"dependency_versions": {}},
    }


def langchain_format(prompt: Prompt, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the keyword arguments of ``PromptTemplate``, or of ``ChatPromptTemplate``.

    Of what langchain-core reads from files, ``load_prompt`` knows chats of one message alone and is
    deprecated, and ``langchain_core.load`` is in beta; constructors are neither.
    """

    def slot(field: str) -> str:
        return "{" + names[field] + "}"

    def text(part: str) -> str:
        return part.replace("{", "{{").replace("}", "}}")

    fields = list(names)
    told = {field: name for field, name in names.items() if field != name}
    made: dict[str, Any]
    if is_text(prompt, fields):
        made = {
            "_type": "prompt",
            "input_variables": list(names.values()),
            "template": join(plain(prompt, fields, "langchain"), slot, text),
        }
    else:
        made = {"messages": messages(prompt, fields, slot, text)}
    made["template_format"] = "f-string"
    return made | ({"metadata": {"fields": told}} if told else {})
