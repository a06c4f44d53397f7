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
from .splits import Sizes
from .yaml_file import check_texts, line_of, read_yaml

_KEYS = (
    *("name", "data", "train", "dev", "test", "input", "target", "labels", "instruction"),
    *("question", "scorer", "constraints", "max_tokens", "stop", "sizes"),
)
_MAX_TOKENS = 1_000_000
"""No model writes more; a larger number is a slip."""


@dataclass(frozen=True, slots=True)
class TaskFile:
    """What a task file says; what it leaves out is None or empty.

    ``inputs`` maps input columns to the labels written before them; ``labels`` maps labels to their
    texts. The first of ``instructions`` is what the search starts from.
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
        If it is missing, not YAML, or has a key or value that is not understood; with file and
        line.
    """
    values, root = read_yaml(path)
    if not isinstance(values, dict) or not isinstance(root, yaml.MappingNode):
        raise InputError(
            f"{path}: expected keys such as {', '.join(_KEYS[:4])}, found {type(values).__name__}"
        )
    check_texts(path, root)
    for key, _ in root.value:
        if key.tag != "tag:yaml.org,2002:str" or key.value not in _KEYS:
            raise InputError(
                f"{path}:{line_of(key)}: unknown key {key.value!r}{closest(key.value, _KEYS)}; "
                f"known: {', '.join(_KEYS)}"
            )
    return _Reader(path, values, {key.value: node for key, node in root.value}).read()


class _Values:
    """The values of a task file, each with its line."""

    def __init__(
        self, path: str, values: Mapping[str, Any], nodes: Mapping[str, yaml.Node]
    ) -> None:
        self._path = path
        self._values = values
        self._nodes = nodes

    def _wrong(self, key: str, expected: str, number: int | None = None) -> InputError:
        """Return what to raise about a key's value, or about one item of its list."""
        value, node = self._values[key], self._nodes[key]
        if number is not None:
            value, node = value[number], node.value[number]
        return InputError(
            f"{self._path}:{line_of(node)}: {key}: expected {expected}, found {_shown(value)}"
        )

    def _text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "text (quote it)")
        return value


class _Reader(_Values):
    """Checks the values of a task file one by one, and gives each its one shape.

    A JSON schema would know neither a value's line, nor YAML's types (dates, keys that are numbers,
    ``yes``), nor the several shapes that most keys may have.
    """

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
        if isinstance(value, list) and value and _are_texts(value):
            return tuple((column, None) for column in value)
        if isinstance(value, dict) and value and _are_texts([*value, *value.values()]):
            return tuple(value.items())
        raise self._wrong("input", "a column, a list of columns, or columns with their labels")

    def _target(self) -> tuple[str | None, str | None]:
        value = self._values.get("target")
        if value is None or isinstance(value, str):
            return value, None
        if isinstance(value, dict) and len(value) == 1 and _are_texts([*value, *value.values()]):
            return next(iter(value.items()))
        raise self._wrong("target", "a column, or one column with its label")

    def _labels(self) -> tuple[tuple[str, str], ...]:
        value = self._values.get("labels")
        if value is None:
            return ()
        items: list[tuple[Any, Any]] = []
        if isinstance(value, dict):
            items = list(value.items())
        elif isinstance(value, list):
            items = [(label, label) for label in value]
        names_and_texts = [part for item in items for part in item]
        # YAML reads yes and no as booleans; what stands in the data is not known then.
        if len(items) < 2 or any(
            not isinstance(part, str | int) or isinstance(part, bool) for part in names_and_texts
        ):
            raise self._wrong(
                "labels", "two or more labels, each quoted, or labels with their texts"
            )
        labels = tuple((str(label), str(text)) for label, text in items)
        blank = any(not str(part).strip() for part in names_and_texts)
        if blank or len(dict(labels)) < len(labels):
            raise self._wrong("labels", "different labels, none of them empty")
        return labels

    def _instructions(self) -> tuple[str, ...]:
        value = self._values.get("instruction")
        if value is None:
            return ()
        texts = value if isinstance(value, list) else [value]
        if not texts or not _are_texts(texts):
            raise self._wrong(
                "instruction",
                "text (quote it), or a list of texts, the starting one first",
            )
        return tuple(texts)

    def _max_tokens(self) -> int | None:
        value = self._values.get("max_tokens")
        if value is not None and not (is_count(value) and value <= _MAX_TOKENS):
            raise self._wrong("max_tokens", f"a whole number from 1 to {_MAX_TOKENS}")
        return value

    def _stop(self) -> tuple[str, ...] | None:
        value = self._values.get("stop")
        if value is None:
            return None
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not _are_texts(texts) or "" in texts:
            raise self._wrong("stop", "text (quote it) or a list of texts")
        return tuple(texts)

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
                    "constraints", f"different names, but {name!r} occurs twice", number
                )
        return made

    def _constraint(self, number: int, item: Any) -> Constraint:  # noqa: ANN401 (any YAML value)
        try:
            return read_constraint(item)
        except InputError as expected:
            raise self._wrong("constraints", str(expected), number) from None

    def _sizes(self) -> Sizes:
        value = self._values.get("sizes", {})
        whole_numbers = isinstance(value, dict) and all(
            isinstance(size, int) and not isinstance(size, bool) for size in value.values()
        )
        if not whole_numbers or not set(value) <= {"train", "dev", "test"}:
            raise self._wrong("sizes", "whole numbers for train, dev and test")
        try:
            return Sizes(**value)
        except InputError as error:
            raise InputError(f"{self._path}:{line_of(self._nodes['sizes'])}: {error}") from None


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _shown(value: Any) -> str:  # noqa: ANN401 (any YAML value)
    """Return a value as it is written, in short: an alias may stand for far more than that."""
    return str(value) if isinstance(value, date) else reprlib.repr(value)
