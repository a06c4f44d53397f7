"""Text, JSON and YAML files with other contents in the places of some; the rest stays as it is."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import PromptSource

Message = tuple[str, str]
"""The role and the content of a turn."""
Keys = tuple[str | int, ...]
_MARK = "\ufeff"


def rewritten(source: PromptSource, before: Sequence[Message], after: Sequence[Message]) -> str:
    """Return a prompt's file with its messages changed.

    Parameters
    ----------
    source
        The file.
    before, after
        What its messages say, and what they are to say: further ones stand before the last.
    """
    text = source.text.removeprefix(_MARK)
    if source.kind == "text":
        made = after[0][1] + ("\n" if text.endswith("\n") else "")
    elif source.kind == "json":
        made = _json(text, source, before, after)
    else:
        made = _yaml(text, source, before, after)
    if "\r\n" in text:
        made = re.sub("\r?\n", "\r\n", made)
    return (_MARK if source.text.startswith(_MARK) else "") + made


def _json(
    text: str, source: PromptSource, before: Sequence[Message], after: Sequence[Message]
) -> str:
    value = _changed(json.loads(text), source, before, after)
    indent = re.search(r"\n([ \t]+)\S", text)
    escapes = text.isascii() and "\\u" in text
    made = json.dumps(value, indent=indent[1] if indent else None, ensure_ascii=escapes)
    return made + ("\n" if text.endswith("\n") else "")


def _yaml(
    text: str, source: PromptSource, before: Sequence[Message], after: Sequence[Message]
) -> str:
    wanted = _changed(yaml.safe_load(text), source, before, after)
    made = _edited(text, source, before, after)
    try:
        if yaml.safe_load(made) == wanted:
            return made
    except yaml.YAMLError:
        pass
    return yaml.safe_dump(wanted, allow_unicode=True, sort_keys=False)


def _changed(
    value: Any,  # noqa: ANN401 (any JSON)
    source: PromptSource,
    before: Sequence[Message],
    after: Sequence[Message],
) -> Any:  # noqa: ANN401 (any JSON)
    """Return what the file is to say."""
    changed = copy.deepcopy(value)
    for place, text in _contents(source, before, after):
        holder = changed
        for key in place[:-1]:
            holder = holder[key]
        if place:
            holder[place[-1]] = text
    added = [{"role": role, "content": text} for role, text in after[len(before) - 1 : -1]]
    if added:
        items = changed
        for key in source.place:
            items = items[key]
        items[-1:-1] = added
    return changed


def _contents(
    source: PromptSource, before: Sequence[Message], after: Sequence[Message]
) -> list[tuple[Keys, str]]:
    """Return the places of contents that change, and what is to stand there."""
    messages = _is_list(source)
    kept = [*after[: len(before) - 1], after[-1]]
    changed = []
    for number, ((_, old), (_, new)) in enumerate(zip(before, kept, strict=True)):
        if old != new:
            changed.append(((*source.place, number, "content") if messages else source.place, new))
    return changed


def _is_list(source: PromptSource) -> bool:
    """Whether a file holds messages, not the text of one prompt among others."""
    return source.place[:1] != ("prompts",)


def _edited(
    text: str, source: PromptSource, before: Sequence[Message], after: Sequence[Message]
) -> str:
    """Return YAML with contents replaced where they stand, comments and all else as they were."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    edits = []
    for place, new in _contents(source, before, after):
        node = _node(root, place)
        start, end = node.start_mark.index, node.end_mark.index
        edits.append((start, end, _scalar(node, text[start:end], new)))
    if added := after[len(before) - 1 : -1]:
        items = _node(root, source.place).value
        line = text.rfind("\n", 0, items[-1].start_mark.index) + 1
        indent = " " * (items[-1].start_mark.index - line - 2)
        edits.append((line, line, "".join(_item(indent, *message) for message in added)))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _node(root: yaml.Node | None, place: Keys) -> Any:  # noqa: ANN401 (PyYAML's nodes are untyped)
    node: Any = root
    for key in place:
        if isinstance(key, int):
            node = node.value[key]
        else:
            node = next(value for name, value in node.value if name.value == key)
    return node


def _item(indent: str, role: str, content: str) -> str:
    return f"{indent}- role: {role}\n{indent}  content: {_quoted(content)}\n"


def _scalar(node: yaml.ScalarNode, old: str, new: str) -> str:
    """Return a text as a scalar in the style of the one it replaces, where that can hold it."""
    if node.style not in ("|", ">"):
        plain = node.style == "'" and new.isprintable()
        return "'" + new.replace("'", "''") + "'" if plain else _quoted(new)
    body = old.rstrip("\n")
    end = old[len(body) :]
    lines = [line for line in body.split("\n")[1:] if line.strip()]
    indent = re.match(" *", lines[0] if lines else "  ")
    fits = new.strip() and not new.startswith((" ", "\n")) and not new.endswith("\n\n")
    if not (fits and indent and all(c == "\n" or c.isprintable() for c in new)):
        return _quoted(new) + end
    written = [indent[0] + line if line else "" for line in new.removesuffix("\n").split("\n")]
    return "\n".join(["|" if new.endswith("\n") else "|-", *written]) + end


def _quoted(text: str) -> str:
    """Return a text in double quotes, which YAML reads as JSON does."""
    return re.sub(
        r"[\x7f-\xa0\u2028\u2029\ufeff]",
        lambda found: f"\\u{ord(found[0]):04x}",
        json.dumps(text, ensure_ascii=False),
    )
