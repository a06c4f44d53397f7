"""YAML, with the line of every value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError
from .objects import whole
from .rows import read_text


def read_yaml(path: str) -> tuple[Any, yaml.Node | None]:
    """Return what a file says, and the nodes that say on which line.

    Raises
    ------
    InputError
        If it cannot be read or is not YAML.
    """
    try:
        text = read_text(Path(path))
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"{path}: the task file cannot be read ({error.strerror})") from None
    except RecursionError:
        raise InputError(f"{path}: expected YAML, but its brackets are nested too deeply") from None
    except InputError:  # not text
        raise
    # The others are values that their tag does not allow, such as an impossible date.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise _not_yaml(path, error) from None


def _not_yaml(path: str, error: Exception) -> InputError:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark else path
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    problem = getattr(error, "problem", None) or first_line
    return InputError(f"{where}: expected YAML, but {problem}")


def line_of(node: yaml.Node) -> int:
    """Return the line on which a value begins."""
    return int(node.start_mark.line) + 1


def check_texts(path: str, root: yaml.Node) -> None:
    """Check a file's texts, wherever they are.

    Raises
    ------
    InputError
        If a key stands twice in its mapping, or a text holds half a character (a lone surrogate).
    """
    waiting = [root]
    seen = set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias: it may even hold itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _check_keys(path, node)
            for key, value in node.value:
                waiting += (key, value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif whole(node.value) != node.value:
            raise InputError(
                f"{path}:{line_of(node)}: expected valid Unicode, "
                f"found a lone surrogate in {node.value!a}; remove it"
            )


def _check_keys(path: str, node: yaml.MappingNode) -> None:
    keys = [key.value for key, _ in node.value]
    for place, (key, _) in enumerate(node.value):
        if key.value in keys[:place]:
            raise InputError(
                f"{path}:{line_of(key)}: expected each key once, found {key.value!r} again"
            )
