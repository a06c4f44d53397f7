"""Rendering: the only place that knows how a prompt is laid out as text.

Data is literal. Values are inserted, never formatted, so braces mean nothing; the backend tokenizes
control tokens in them as ordinary text. Line breaks inside a value are followed by two spaces: a
line that begins with a field label or equals a separator is therefore always the prompt's own, and
a value cannot leave its slot. White space around a value is dropped. In a prompt of the user's own
values stand as they are: that is how the user's program puts them there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..contracts import Constraint, Example, Message, Prompt, Structure
from ..errors import InputError
from .cjk import has_cjk
from .own import arranged
from .reasoning import asked, split_reply, with_rationale
from .slots import Slot, Template, Turn, merge

if TYPE_CHECKING:
    from ..contracts import Text

_LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def literal(value: str) -> str:
    """Return ``value`` as it stands in a prompt: stripped, further lines indented by two spaces."""
    return _LINE_BREAK.sub("\n  ", value.strip())


def render(prompt: Prompt, inputs: Mapping[str, str] | Sequence[tuple[str, str]]) -> Text:
    """Return the prompt for one input, up to where the answer begins.

    Parameters
    ----------
    prompt
        The prompt.
    inputs
        Field name to text, for every input field of the task.

    Raises
    ------
    InputError
        If the number of fields is not that of the prompt's input labels.
    """
    own = prompt.structure.own
    values = {name: value if own else literal(value) for name, value in dict(inputs).items()}
    parts = template(prompt, tuple(values))
    if prompt.structure.layout == "chat":
        return tuple(
            Message(turn.role, _fill(turn.content, values))
            for turn in parts
            if isinstance(turn, Turn)
        )
    return _fill(tuple(p for p in parts if not isinstance(p, Turn)), values)


def template(prompt: Prompt, fields: Sequence[str]) -> Template:
    """Return the prompt with a `Slot` for each input field, in turns where it is a chat."""
    structure = prompt.structure
    if structure.own:
        return _own(prompt, own_template(prompt, fields))
    if len(fields) != len(structure.input_labels):
        raise InputError(
            f"the prompt has {len(structure.input_labels)} input field(s) "
            f"({', '.join(structure.input_labels)}), "
            f"but {len(fields)} were given ({', '.join(fields)})"
        )
    said = (prompt.instruction.strip(), *(c.text for c in prompt.constraints), asked(structure))
    head = "\n".join(part for part in said if part)
    query = _fields(
        structure,
        [(label, Slot(field)) for label, field in zip(structure.input_labels, fields, strict=True)],
    )
    if structure.layout == "chat":
        return _chat(prompt, head, query)
    blocks: list[list[str | Slot]] = [[head]] if head else []
    blocks += [[shown] for shown in _shown(prompt)]
    # Where the model is to reason first, the label that its answer follows is its own to write.
    lead = "" if structure.reasoning else _lead(structure)
    blocks.append([*query, structure.field_separator, lead])
    parts: list[str | Slot] = []
    for block in blocks:
        parts += [structure.block_separator, *block] if parts else block
    return merge(parts)


def own_template(
    prompt: Prompt, fields: Sequence[str], *, open_examples: bool = False
) -> tuple[Turn, ...]:
    """Return the turns of a prompt of the user's own; see `own.arranged`."""
    return arranged(prompt, fields, _shown(prompt), open_examples=open_examples)


def stops(structure: Structure) -> tuple[str, ...]:
    """Return what ends a reply: in a plain layout a model may go on with one more example."""
    first = _labelled(structure.input_labels[0], "") if structure.input_labels else ""
    return (structure.block_separator + first,) if structure.layout == "plain" else ()


def read_reply(structure: Structure, reply: str) -> str:
    """Return a reply as the answer it stands for: after its reasoning, without an indent."""
    lines = split_reply(structure, reply)[1].strip().split("\n")
    written = structure.layout == "plain" and all(
        line.startswith("  ") for line in lines[1:] if line.strip()
    )
    return "\n".join([lines[0], *(line[2:] if written else line for line in lines[1:])])


def zero_shot(prompt: Prompt) -> Prompt:
    """Return the prompt without demonstrations, its labels and their scores as they are."""
    return replace(
        prompt,
        demonstrations=(),
        structure=replace(prompt.structure, verbalizers=(), calibration="none"),
    )


def continuation(structure: Structure, answer: str) -> str:
    """Return ``answer`` as it continues the prompt: after a label and colon comes a space."""
    text = literal(answer)
    spaced = (
        structure.layout == "plain"
        and structure.target_label
        and not has_cjk(structure.target_label)
    )
    return f" {text}" if spaced else text


def _chat(prompt: Prompt, head: str, query: list[str | Slot]) -> tuple[Turn, ...]:
    structure = prompt.structure
    turns = [Turn("system", (head,))] if head else []
    for example in prompt.demonstrations:
        turns.append(Turn("user", merge(_example(structure, example))))
        answer = literal(structure.verbalize(example.target))
        turns.append(Turn("assistant", (with_rationale(structure, example.rationale, answer),)))
    return (*turns, Turn("user", merge(query)))


def _own(prompt: Prompt, turns: tuple[Turn, ...]) -> Template:
    if prompt.structure.layout == "chat":
        return turns
    parts: list[str | Slot] = []
    for turn in turns:
        parts += ["\n\n", *turn.content] if parts else turn.content
    *before, last = merge(parts)
    # What follows a space is another word to a model than what follows a line's end.
    return merge([*before, last.rstrip() if isinstance(last, str) else last])


def _shown(prompt: Prompt) -> list[str]:
    """Return each demonstration as plain text."""
    structure = replace(prompt.structure, layout="plain")
    lead, shown = _lead(structure), []
    for example in prompt.demonstrations:
        answer = continuation(structure, structure.verbalize(example.target))
        rationale = literal(example.rationale) if structure.reasoning else ""
        answer = f"{rationale}{structure.field_separator if rationale else ''}{lead}{answer}"
        parts = [*_example(structure, example), structure.field_separator, answer]
        shown.append("".join(part for part in parts if isinstance(part, str)))
    return shown


def _example(structure: Structure, example: Example) -> list[str | Slot]:
    values = [literal(value) for _, value in example.inputs]
    return _fields(structure, list(zip(structure.input_labels, values, strict=True)))


def _fields(structure: Structure, values: Sequence[tuple[str, str | Slot]]) -> list[str | Slot]:
    parts: list[str | Slot] = []
    for label, value in values:
        parts += [structure.field_separator] if parts else []
        parts += [_labelled(label, " "), value]
    if structure.question:
        parts += [structure.field_separator, structure.question]
    return parts


def _lead(structure: Structure) -> str:
    return _labelled(structure.target_label, "")


def _labelled(label: str, space: str) -> str:
    if not label:
        return ""
    return f"{label}：" if has_cjk(label) else f"{label}:{space}"


def _fill(parts: Sequence[str | Slot], values: Mapping[str, str]) -> str:
    return "".join(values[p.field] if isinstance(p, Slot) else p for p in parts)


def prompt_to_dict(prompt: Prompt) -> dict[str, Any]:
    """Return the prompt's parts as plain values for JSON."""
    s = prompt.structure
    return {
        "instruction": prompt.instruction,
        "demonstrations": [
            {"inputs": dict(e.inputs), "target": e.target}
            | ({"rationale": e.rationale} if e.rationale else {})
            for e in prompt.demonstrations
        ],
        "constraints": [
            asdict(constraint) | {"words": list(constraint.words)}
            for constraint in prompt.constraints
        ],
        "structure": {
            "input_labels": list(s.input_labels),
            "target_label": s.target_label,
            "layout": s.layout,
            "field_separator": s.field_separator,
            "block_separator": s.block_separator,
            "question": s.question,
            "verbalizers": dict(s.verbalizers),
            "calibration": s.calibration,
            **({"own": True} if s.own else {}),
            **({"reasoning": s.reasoning} if s.reasoning else {}),
            **({"reply_factor": s.reply_factor} if s.reply_factor != 1 else {}),
        },
    }


def prompt_from_dict(parts: Mapping[str, Any]) -> Prompt:
    """Return the prompt that `prompt_to_dict` described.

    Raises
    ------
    InputError
        If a part is missing or is not of the expected kind.
    """
    try:
        s = dict(parts["structure"])
        return Prompt(
            instruction=str(parts["instruction"]),
            demonstrations=tuple(
                Example(
                    tuple((str(k), str(v)) for k, v in e["inputs"].items()),
                    str(e["target"]),
                    rationale=str(e.get("rationale", "")),
                )
                for e in parts["demonstrations"]
            ),
            constraints=tuple(
                Constraint(**(c | {"words": tuple(c.get("words", ()))}))
                for c in parts["constraints"]
            ),
            structure=Structure(
                **(
                    s
                    | {
                        "input_labels": tuple(s["input_labels"]),
                        "verbalizers": tuple(s["verbalizers"].items()),
                    }
                )
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"expected the parts of a prompt, but {type(error).__name__}: {error}"
        ) from error
