"""Files with prompts of the user's own: text, lists of messages, promptfoo configurations."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from ..errors import InputError
from ..plugins import closest
from .objects import whole
from .rows import read_text
from .yaml_file import check_texts, line_of, read_yaml

_MOST_BYTES = 1_000_000
"""No model reads more; a larger file is no prompt."""
_ROLES = ("system", "user", "assistant")
_JINJA = (".j2", ".jinja", ".jinja2")
_SEPARATOR = "\n---\n"
"""Stands between the prompts of a text file that promptfoo reads."""
Keys = tuple[str | int, ...]


class Piece(NamedTuple):
    """A text of a prompt file: the line it begins on, and whether its lines are the file's."""

    text: str
    line: int
    by_lines: bool = False

    def line_at(self, offset: int) -> int:
        """Return the line of the file on which a place of the text is."""
        return self.line + (self.text.count("\n", 0, offset) if self.by_lines else 0)


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A prompt as it stands in a file.

    Parameters
    ----------
    path, source, kind, place
        See `PromptSource`.
    roles
        Of its messages; empty for a text.
    pieces
        The contents of its messages, or the text.
    configuration
        The promptfoo configuration that names it, whose placeholders are Jinja's; empty without.
    """

    path: str
    source: str
    kind: Literal["text", "json", "yaml"]
    place: Keys
    roles: tuple[str, ...]
    pieces: tuple[Piece, ...]
    configuration: str = ""

    @property
    def jinja(self) -> bool:
        """Whether its placeholders can only be Jinja's."""
        return bool(self.configuration) or Path(self.path).suffix.lower() in _JINJA


class Document(NamedTuple):
    """A JSON or YAML file: its text, what it says, and the nodes that say where."""

    path: str
    source: str
    kind: Literal["json", "yaml"]
    value: Any
    root: yaml.Node | None

    def line(self, place: Keys) -> int:
        """Return the line of a value."""
        node = self.node(place)
        return line_of(node) if node else 1

    def node(self, place: Keys) -> yaml.Node | None:
        """Return the node of a value; None where the file could not be read as YAML."""
        node = self.root
        for key in place:
            if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
                node = node.value[key]
            elif isinstance(node, yaml.MappingNode):
                node = next((value for name, value in node.value if name.value == key), None)
        return node

    def wrong(self, place: Keys, expected: str) -> InputError:
        """Return what to raise about a value."""
        return InputError(f"{self.path}:{self.line(place)}: expected {expected}")


def read_prompt_file(path: str) -> list[PromptFile]:
    """Return the prompts of a file, several where it is a promptfoo configuration.

    Raises
    ------
    InputError
        If it cannot be read, or is none of the formats; with file and line.
    """
    if Path(path).suffix.lower() in (".json", ".yaml", ".yml"):
        document = read_document(path)
        value = document.value
        if isinstance(value, dict) and "prompts" in value:
            return _promptfoo(document)
        return [_messages(document, ("messages",) if isinstance(value, dict) else ())]
    source = _source(path)
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n")
    return [PromptFile(path, source, "text", (), (), (Piece(text, 1, by_lines=True),))]


def read_document(path: str) -> Document:
    """Return a JSON or YAML file.

    Raises
    ------
    InputError
        If it cannot be read or is neither; with file and line.
    """
    source = _source(path)
    text = source.removeprefix("\ufeff")
    if Path(path).suffix.lower() == ".json":
        try:
            return Document(path, source, "json", json.loads(text), _nodes(text))
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}:{error.lineno}: expected JSON, but {error.msg.lower()}"
            ) from None
        except RecursionError:
            raise InputError(
                f"{path}: expected JSON, but its brackets are nested too deeply"
            ) from None
    value, root = read_yaml(path)
    if root:
        check_texts(path, root)
    return Document(path, source, "yaml", value, root)


def _nodes(text: str) -> yaml.Node | None:
    """Return the nodes of JSON, which YAML mostly reads too; they tell lines, no more."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _source(path: str) -> str:
    """Return a file's text as it is, with its byte order mark if it begins with one."""
    try:
        file = Path(path)
        if file.is_file() and file.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: expected at most {_MOST_BYTES} bytes of prompt, found more")
        text = read_text(file)
        marked = file.read_bytes().startswith(codecs.BOM_UTF8)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        beside = _names_beside(Path(path))
        raise InputError(
            f"{path}: the prompt cannot be read ({reason}){closest(Path(path).name, beside)}"
        ) from None
    if not text.strip() or whole(text) != text or "\0" in text:
        raise InputError(f"{path}: expected the text of a prompt, found {text[:20]!a}")
    return ("\ufeff" if marked else "") + text


def _names_beside(path: Path) -> list[str]:
    try:
        return [other.name for other in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def _messages(document: Document, place: Keys) -> PromptFile:
    """Return the prompt that a list of messages is."""
    items: Any = document.value
    for key in place:
        items = items.get(key)
    if not isinstance(items, list) or not items:
        raise document.wrong(
            place, "a list of messages with role and content, or a promptfoo configuration"
        )
    roles, pieces = [], []
    for number, item in enumerate(items):
        here = (*place, number)
        if not isinstance(item, dict) or not {"role", "content"} <= set(item):
            raise document.wrong(here, f"role and content, found {_short(item)}")
        if item["role"] not in _ROLES:
            raise document.wrong(
                (*here, "role"), f"one of {', '.join(_ROLES)} as role, found {item['role']!r}"
            )
        roles.append(item["role"])
        pieces.append(_piece(document, (*here, "content")))
    if roles[-1] != "user" or "system" in roles[1:]:
        raise document.wrong(
            (*place, len(roles) - 1, "role"),
            "the last message from the user, and a system message only at the start",
        )
    return PromptFile(
        document.path, document.source, document.kind, place, tuple(roles), tuple(pieces)
    )


def _piece(document: Document, place: Keys) -> Piece:
    text: Any = document.value
    for key in place:
        text = text[key]
    if not isinstance(text, str) or not text.strip():
        raise document.wrong(place, f"text (quote it), found {_short(text)}")
    node = document.node(place)
    if isinstance(node, yaml.ScalarNode) and node.style == "|":
        return Piece(text, line_of(node) + 1, by_lines=True)
    return Piece(text, document.line(place))


def _promptfoo(document: Document) -> list[PromptFile]:
    """Return the prompts of a promptfoo configuration."""
    prompts = document.value["prompts"]
    if isinstance(prompts, str):
        return _promptfoo_item(document, ("prompts",), prompts)
    if not isinstance(prompts, list) or not prompts:
        raise document.wrong(("prompts",), f"a list of prompts, found {_short(prompts)}")
    files: list[PromptFile] = []
    for number, item in enumerate(prompts):
        place: Keys = ("prompts", number)
        if isinstance(item, dict):
            key = "raw" if "raw" in item else "id"
            files += _promptfoo_item(document, (*place, key), item.get(key))
        else:
            files += _promptfoo_item(document, place, item)
    return files


def _promptfoo_item(document: Document, place: Keys, item: object) -> list[PromptFile]:
    if not isinstance(item, str):
        raise document.wrong(place, f"the text of a prompt or file://PATH, found {_short(item)}")
    beside = Path(document.path).parent / item.removeprefix("file://")
    if item.startswith("file://") or ("\n" not in item and _is_file(beside)):
        if beside.suffix.lower() not in (".txt", ".md", ".json", ".yaml", ".yml", *_JINJA):
            raise document.wrong(place, f"a prompt in a text, JSON or YAML file, found {item}")
        files = read_prompt_file(str(beside))
        if any(_SEPARATOR in file.pieces[0].text for file in files if file.kind == "text"):
            raise document.wrong(place, f"one prompt per file, found several in {item} (---)")
        return [replace(file, configuration=document.path) for file in files]
    if _is_chat(item):
        raise document.wrong(place, "the messages in a file of their own, named as file://PATH")
    piece = _piece(document, place)
    return [
        PromptFile(
            document.path, document.source, document.kind, place, (), (piece,), document.path
        )
    ]


def _is_chat(text: str) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
