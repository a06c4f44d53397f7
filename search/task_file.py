"""Task files: YAML that names data, fields, labels, scorer, starting prompt and constraints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .contracts import RULES, Constraint
from .errors import InputError
from .plugins import closest
from .splits import Sizes

_KEYS = (
    "name", "data", "train", "dev", "test", "input", "target", "labels", "instruction", "question", "scorer", "constraints",
    "max_tokens", "stop", "sizes",
)  # fmt: skip


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
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"{path}: the task file cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{where}: expected YAML, but {problem}") from None
    if not isinstance(values, dict) or not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected keys such as {', '.join(_KEYS[:4])}, found {type(values).__name__}")
    lines = {str(key.value): key.start_mark.line + 1 for key, _ in root.value}
    for key, _ in root.value:
        if key.start_mark.line + 1 != lines[str(key.value)]:
            raise InputError(f"{path}:{lines[str(key.value)]}: expected each key once, found {key.value!r} again")
    for key in values:
        if key not in _KEYS:
            raise InputError(
                f"{path}:{lines[str(key)]}: unknown key {key!r}{closest(str(key), _KEYS)}; known: {', '.join(_KEYS)}"
            )
    return _Reader(path, values, lines).read()


class _Reader:
    """Checks the values of a task file one by one."""

    def __init__(self, path: str, values: Mapping[str, Any], lines: Mapping[str, int]) -> None:
        self._path = path
        self._values = values
        self._lines = lines

    def read(self) -> TaskFile:
        target, target_label = self._target()
        if "data" in self._values and "train" in self._values:
            raise self._wrong("train", "either data (to be split) or train (already split), not both")
        return TaskFile(
            name=self._text("name") or Path(self._path).stem,
            data=self._source("data"),
            train=self._source("train"),
            dev=self._source("dev"),
            test=self._source("test"),
            inputs=self._inputs(),
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

    def _wrong(self, key: str, expected: str) -> InputError:
        found = self._values[key]
        return InputError(f"{self._path}:{self._lines[key]}: {key}: expected {expected}, found {found!r}")

    def _text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "text (quote it)")
        return value

    def _source(self, key: str) -> str | None:
        value = self._text(key)
        if value is None:
            return None
        beside = Path(self._path).parent / value
        return str(beside) if beside.exists() or Path(value).suffix else value

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
        if isinstance(value, dict) and value and all(isinstance(v, str) for kv in value.items() for v in kv):
            return tuple(value.items())
        raise self._wrong("input", "a column, a list of columns, or columns with their labels")

    def _target(self) -> tuple[str | None, str | None]:
        value = self._values.get("target")
        if value is None or isinstance(value, str):
            return value, None
        if isinstance(value, dict) and len(value) == 1 and all(isinstance(v, str) for kv in value.items() for v in kv):
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
            raise self._wrong("labels", "two or more labels, each quoted, or labels with their texts")
        return tuple((str(label), str(text)) for label, text in pairs)

    def _instructions(self) -> tuple[str, ...]:
        value = self._values.get("instruction")
        if value is None:
            return ()
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise self._wrong("instruction", "text (quote it), or a list of texts of which the first is the start")
        return tuple(texts)

    def _max_tokens(self) -> int | None:
        value = self._values.get("max_tokens")
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise self._wrong("max_tokens", "a whole number above 0")
        return value

    def _stop(self) -> tuple[str, ...] | None:
        value = self._values.get("stop")
        texts = [value] if isinstance(value, str) else value
        if texts is not None and (not isinstance(texts, list) or not all(isinstance(t, str) and t for t in texts)):
            raise self._wrong("stop", "text (quote it) or a list of texts")
        return None if texts is None else tuple(texts)

    def _constraints(self) -> tuple[Constraint, ...]:
        value = self._values.get("constraints")
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong("constraints", "a list")
        return tuple(self._constraint(item) for item in value)

    def _constraint(self, item: Any) -> Constraint:  # noqa: ANN401 (any YAML value)
        if isinstance(item, str):
            return Constraint(item, item)
        known = {"name", "text", "limit", "rule", "words", "pattern", "schema"}
        if not isinstance(item, dict) or not set(item) <= known or not isinstance(item.get("text"), str):
            raise self._wrong("constraints", "sentences, or name, text, limit, rule, words, pattern and schema of each")
        limit = item.get("limit")
        if limit is not None and (not isinstance(limit, int) or "{limit}" not in item["text"]):
            raise self._wrong("constraints", "a whole number as limit and {limit} in its text")
        rule, words = item.get("rule", ""), item.get("words", [])
        if rule not in ("", *RULES):
            raise self._wrong("constraints", f"as rule one of {', '.join(RULES)}")
        listed = isinstance(words, list) and all(isinstance(word, str) and word for word in words)
        if not listed or bool(words) != (rule in ("avoid", "include", "choice")):
            raise self._wrong("constraints", "words, a list of texts, where the rule is avoid, include or choice")
        name = str(item.get("name", item["text"]))
        return Constraint(name, item["text"], limit, rule, tuple(words), self._pattern(item, rule))

    def _pattern(self, item: dict[str, Any], rule: str) -> str:
        from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]
        from jsonschema.validators import validator_for  # type: ignore[import-untyped]

        pattern, schema = item.get("pattern"), item.get("schema")
        if (pattern is not None) != (rule == "regex") or (schema is not None and rule != "json"):
            raise self._wrong("constraints", "a pattern where the rule is regex, and a schema only where it is json")
        if pattern is not None:
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise self._wrong("constraints", f"a regular expression as pattern ({error})") from None
            return str(pattern)
        if schema is None:
            return ""
        try:
            validator_for(schema).check_schema(schema)
        except (SchemaError, AttributeError, TypeError) as error:
            raise self._wrong("constraints", f"a JSON schema ({str(error).splitlines()[0]})") from None
        return json.dumps(schema, ensure_ascii=False, sort_keys=True)

    def _sizes(self) -> Sizes:
        value = self._values.get("sizes", {})
        if (
            not isinstance(value, dict)
            or not set(value) <= {"pool", "dev", "test"}
            or not all(isinstance(v, int) and not isinstance(v, bool) for v in value.values())
        ):
            raise self._wrong("sizes", "whole numbers for pool, dev and test")
        try:
            return Sizes(**value)
        except InputError as error:
            raise InputError(f"{self._path}:{self._lines['sizes']}: {error}") from None
