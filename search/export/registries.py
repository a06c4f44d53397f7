"""Prompts as prompt registries take them: MLflow's and Langfuse's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..prompts.slots import Slot
from .templates import braced, is_text, jinja_text, join, literals, messages, plain, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..contracts import Prompt
    from ..prompts.slots import Turn

_JINJA = "{% raw %}{% endraw %}"
"""Renders as nothing, and tells MLflow that a prompt is a Jinja template."""


def mlflow_format(
    document: Mapping[str, Any], prompt: Prompt, names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the keyword arguments of ``mlflow.genai.register_prompt``.

    MLflow takes braces in a text for variables, and those in the value of one field for another
    field; in a Jinja template, which it knows by its tags, it does neither.
    """
    said = "\n".join(literals(prompt, list(names)))
    if len(names) > 1 or "{{" in said or ("{%" in said and "%}" in said):
        written = _written(prompt, names, jinja_text)
        if isinstance(written, str):
            written = _JINJA + written
        else:
            written[0]["content"] = _JINJA + written[0]["content"]
    else:
        written = _written(prompt, names, str)
    return {
        "name": _name(document["task"]),
        "template": written,
        "commit_message": _message(document),
        # Unity Catalog takes no dots in the names of tags.
        "tags": {f"promptfront_{key}": str(value) for key, value in _evidence(document).items()},
    }


def langfuse_format(
    document: Mapping[str, Any], prompt: Prompt, names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the keyword arguments of ``Langfuse().create_prompt``.

    Raises
    ------
    InputError
        If the prompt says braces that Langfuse would take for a variable: it cannot escape them.
    """
    for turn in turns(prompt, list(names)):
        _check_variables(turn, names)
    written = _written(prompt, names, str)
    return {
        "name": _name(document["task"]),
        "type": "text" if isinstance(written, str) else "chat",
        "prompt": written,
        "labels": [],
        "tags": ["promptfront"],
        "config": {"promptfront": _evidence(document)},
        "commit_message": _message(document),
    }


def _written(
    prompt: Prompt, names: Mapping[str, str], text: Callable[[str], str]
) -> str | list[dict[str, str]]:
    fields = list(names)
    if is_text(prompt, fields):
        return join(plain(prompt, fields, ""), braced(names), text)
    return messages(prompt, fields, braced(names), text)


def _check_variables(turn: Turn, names: Mapping[str, str]) -> None:
    """Look for braces of the text's own that swallow a placeholder, as Langfuse reads them."""
    wanted = [names[part.field] for part in turn.content if isinstance(part, Slot)]
    content = join(turn.content, braced(names))
    found = [name.strip() for name in re.findall(r"\{\{(.*?)\}\}", content, re.DOTALL)]
    if [name for name in found if name in wanted] != wanted:
        raise InputError(
            "`format` langfuse: the prompt says { or {{ before a placeholder, which Langfuse has "
            "no way to write; export it with `format` mlflow or json"
        )


def _name(task: str) -> str:
    """Return a task's name in the characters that registries take."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", task).strip("-.") or "prompt"


def _message(document: Mapping[str, Any]) -> str:
    said = f"promptfront: trial {document['trial']} of {document['study']}"
    score = _score(document)
    return f"{said}, {score}" if score else said


def _score(document: Mapping[str, Any]) -> str:
    test = document["scores"]["test"]
    return f"{document['scorer']} {test['score']:.3f} on {test['n']} test rows" if test else ""


def _evidence(document: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Return what the prompt comes from and what it scores, as far as it is known."""
    scores, model = document["scores"], document["model"]
    test = scores["test"] or {}
    found = {
        "study": document["study"],
        "trial": document["trial"],
        "scorer": document["scorer"],
        "answers": document.get("answers_by"),
        "model": model["model"],
        "model_fingerprint": model["fingerprint"],
        "dev_score": scores["dev"]["score"],
        "test_score": test.get("score"),
        "test_low": test.get("low"),
        "test_high": test.get("high"),
        "test_rows": test.get("n"),
        "test_gain": scores["gain"],
        "p_value": scores["p_value"],
        "tokens": document["tokens"],
    }
    return {key: value for key, value in found.items() if value is not None}
