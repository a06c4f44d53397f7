"""Task files: YAML that names data, fields, labels, scorer, starting prompt and constraints."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from ..contracts import Constraint
from ..errors import InputError
from ..plugins import closest
from .checks import is_count, read_constraint
from .objects import whole
from .rows import read_text
from .splits import Sizes

_KEYS = (
    "name", "data", "train", "dev", "test", "input", "target", "labels", "instruction", "question", "scorer", "constraints",
    "max_tokens", "stop", "sizes",
)  # fmt: skip
_MOST_TOKENS = 1_000_000


@dataclass(frozen=True, slots=True)
class TaskFile:
    """What a task file says; what it leaves out is None or empty.

    ``inputs`` maps input columns to the labels written before them; ``labels`` maps labels to their texts. The first of
    ``instructions`` is what the search starts from.
    """

    name: str
    data: str | None = None
    train: str | None = None
    dev: str | None = None
    test: str | None = None
    inputs: tuple[tuple[str, str | None], ...] = ()
    target: str | None = None
    target_label: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    instructions: tuple[str, ...] = ()
    question: str = ""
    scorer: str = ""
    constraints: tuple[Constraint, ...] = ()
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    sizes: Sizes = field(default_factory=Sizes)


def read_task_file(path: str) -> TaskFile:
    """Read a task file. Paths in it are relative to its folder.

    Raises
    ------
    InputError
        If it is missing, not YAML, or has a key or value that is not understood; with file and line.
    """
    values, root = _parsed(path)
    if not isinstance(values, dict) or not isinstance(root, yaml.MappingNode):
        raise InputError(
            f"{path}: expected keys such as {', '.join(_KEYS[:4])}, found {type(values).__name__}"
        )
    _check_texts(path, root)
    for key, _ in root.value:
        if key.tag != "tag:yaml.org,2002:str" or key.value not in _KEYS:
            raise InputError(
                f"{path}:{_line(key)}: unknown key {key.value!r}{closest(key.value, _KEYS)}; known: {', '.join(_KEYS)}"
            )
    return _Reader(path, values, {key.value: node for key, node in root.value}).read()


def _parsed(path: str) -> tuple[Any, yaml.Node | None]:
    try:
        text = read_text(Path(path))
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"{path}: the task file cannot be read ({error.strerror})") from None
    except RecursionError:
        raise InputError(f"{path}: expected YAML, but its brackets are nested too deep") from None
    except InputError:  # not text
        raise
    # A value that is not of the kind that its tag says, such as an impossible date, is one of the others.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = (
            getattr(error, "problem", None)
            or (str(error).splitlines() or [type(error).__name__])[0]
        )
        raise InputError(f"{where}: expected YAML, but {problem}") from None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _check_texts(path: str, root: yaml.Node) -> None:
    """Refuse a key that stands twice in its mapping, and half a character (a lone surrogate), wherever they are."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias: it may even hold itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            for place, (key, _) in enumerate(node.value):
                if key.value in keys[:place]:
                    raise InputError(
                        f"{path}:{_line(key)}: expected each key once, found {key.value!r} again"
                    )
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif whole(node.value) != node.value:
            raise InputError(
                f"{path}:{_line(node)}: expected whole characters, found half of one in {node.value!a}"
            )


class _Reader:
    """Checks the values of a task file one by one."""

    def __init__(
        self, path: str, values: Mapping[str, Any], nodes: Mapping[str, yaml.Node]
    ) -> None:
        self._path = path
        self._values = values
        self._nodes = nodes

    def read(self) -> TaskFile:
        inputs, (target, target_label) = self._inputs(), self._target()
        if target in dict(inputs) or len(dict(inputs)) < len(inputs):
            raise self._wrong("input", "different columns, none of them the target")
        if "data" in self._values and "train" in self._values:
            raise self._wrong(
                "train", "either data (to be split) or train (already split), not both"
            )
        return TaskFile(
            name=self._text("name") or Path(self._path).stem,
            data=self._source("data"),
            train=self._source("train"),
            dev=self._source("dev"),
            test=self._source("test"),
            inputs=inputs,
            target=target,
            target_label=target_label,
            labels=self._labels(),
            instructions=self._instructions(),
            question=self._text("question") or "",
            scorer=self._scorer(),
            constraints=self._constraints(),
            max_tokens=self._max_tokens(),
            stop=self._stop(),
            sizes=self._sizes(),
        )

    def _wrong(self, key: str, expected: str, number: int | None = None) -> InputError:
        """Return what to raise about a key's value, or about one item of its list."""
        found, node = self._values[key], self._nodes[key]
        if number is not None:
            found, node = found[number], node.value[number]
        # An alias may stand for far more than is written; a date is better named by its type.
        return InputError(
            f"{self._path}:{_line(node)}: {key}: expected {expected}, found {_shown(found)}"
        )

    def _text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "text (quote it)")
        return value

    def _source(self, key: str) -> str | None:
        value = self._text(key)
        if value is None:
            return None
        if not value.strip():
            raise self._wrong(key, "a file or a data set")
        beside = Path(self._path).parent / value
        try:
            return str(beside) if beside.exists() or Path(value).suffix else value
        except OSError:  # too long a name, say: what reads it tells
            return value

    def _scorer(self) -> str:
        value = self._text("scorer") or ""
        return str(Path(self._path).parent / value) if ".py:" in value else value

    def _inputs(self) -> tuple[tuple[str, str | None], ...]:
        value = self._values.get("input")
        if value is None:
            return ()
        if isinstance(value, str):
            return ((value, None),)
        if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            return tuple((v, None) for v in value)
        if (
            isinstance(value, dict)
            and value
            and all(isinstance(v, str) for kv in value.items() for v in kv)
        ):
            return tuple(value.items())
        raise self._wrong("input", "a column, a list of columns, or columns with their labels")

    def _target(self) -> tuple[str | None, str | None]:
        value = self._values.get("target")
        if value is None or isinstance(value, str):
            return value, None
        if (
            isinstance(value, dict)
            and len(value) == 1
            and all(isinstance(v, str) for kv in value.items() for v in kv)
        ):
            return next(iter(value.items()))
        raise self._wrong("target", "a column, or one column with its label")

    def _labels(self) -> tuple[tuple[str, str], ...]:
        value = self._values.get("labels")
        if value is None:
            return ()
        pairs = (
            list(value.items())
            if isinstance(value, dict)
            else [(v, v) for v in value]
            if isinstance(value, list)
            else []
        )
        # YAML reads yes and no as booleans; what stands in the data is not known then.
        if len(pairs) < 2 or not all(
            isinstance(v, str | int) and not isinstance(v, bool) for pair in pairs for v in pair
        ):
            raise self._wrong(
                "labels", "two or more labels, each quoted, or labels with their texts"
            )
        named = tuple((str(label), str(text)) for label, text in pairs)
        if not all(text.strip() for pair in named for text in pair) or len(dict(named)) < len(
            named
        ):
            raise self._wrong("labels", "different labels, none of them empty")
        return named

    def _instructions(self) -> tuple[str, ...]:
        value = self._values.get("instruction")
        if value is None:
            return ()
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise self._wrong(
                "instruction", "text (quote it), or a list of texts of which the first is the start"
            )
        return tuple(texts)

    def _max_tokens(self) -> int | None:
        value = self._values.get("max_tokens")
        if value is not None and not (is_count(value) and value <= _MOST_TOKENS):
            raise self._wrong("max_tokens", f"a whole number from 1 to {_MOST_TOKENS}")
        return value

    def _stop(self) -> tuple[str, ...] | None:
        value = self._values.get("stop")
        texts = [value] if isinstance(value, str) else value
        if texts is not None and (
            not isinstance(texts, list) or not all(isinstance(t, str) and t for t in texts)
        ):
            raise self._wrong("stop", "text (quote it) or a list of texts")
        return None if texts is None else tuple(texts)

    def _constraints(self) -> tuple[Constraint, ...]:
        value = self._values.get("constraints")
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong("constraints", "a list")
        made = tuple(self._constraint(number, item) for number, item in enumerate(value))
        names = [constraint.name for constraint in made]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self._wrong(
                    "constraints", f"different names, and {name!r} stands twice", number
                )
        return made

    def _constraint(self, number: int, item: Any) -> Constraint:  # noqa: ANN401 (any YAML value)
        try:
            return read_constraint(item)
        except InputError as expected:
            raise self._wrong("constraints", str(expected), number) from None

    def _sizes(self) -> Sizes:
        value = self._values.get("sizes", {})
        if (
            not isinstance(value, dict)
            or not set(value) <= {"train", "dev", "test"}
            or not all(isinstance(v, int) and not isinstance(v, bool) for v in value.values())
        ):
            raise self._wrong("sizes", "whole numbers for train, dev and test")
        try:
            return Sizes(**value)
        except InputError as error:
            raise InputError(f"{self._path}:{_line(self._nodes['sizes'])}: {error}") from None


def _shown(found: Any) -> str:  # noqa: ANN401 (any YAML value)
    return str(found) if isinstance(found, date) else reprlib.repr(found)
