"""What makes no sense in constraints and tasks is refused before anything is spent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..contracts import RULES, Constraint, Example, Task
from ..errors import InputError
from .objects import whole


def check_task(task: Task) -> None:
    """Check what a task made in Python, or options, may have that no file can.

    Raises
    ------
    InputError
        If a constraint's limit makes no sense, two constraints have one name, or a text holds half
        a character (a lone surrogate).
    """
    for constraint in task.constraints:
        try:
            check_limit(constraint)
        except InputError as expected:
            raise InputError(
                f"task {task.name!r}, constraint {constraint.name!r}: expected {expected}, "
                f"found {constraint.limit!r}"
            ) from None
    names = [constraint.name for constraint in task.constraints]
    if len(set(names)) < len(names):
        raise InputError(
            f"task {task.name!r}: expected a different name for each constraint, "
            f"found {', '.join(names)}"
        )
    for what, text in _texts(task):
        if whole(text) != text:
            raise InputError(
                f"task {task.name!a}: expected valid Unicode in {what}, found a lone "
                f"surrogate in {text[:80]!a}; remove it"
            )


def _texts(task: Task) -> Iterator[tuple[str, str]]:
    """Yield all texts of a task, each with what it is."""
    structure = task.start.structure
    yield "its name", task.name
    for text in (task.start.instruction, *task.instructions):
        yield "an instruction", text
    for text in (*(prompt.instruction for prompt in task.starts), *task.keep):
        yield "a prompt", text
    for text in (*task.labels, *map(structure.verbalize, task.labels)):
        yield "a label", text
    for text in (*structure.input_labels, structure.target_label):
        yield "a field's label", text
    yield "the question", structure.question
    for rule in task.constraints:
        for text in (rule.name, rule.template, *rule.words):
            yield "a constraint", text
    for text in task.stop:
        yield "stop", text
    for row in (*task.train, *task.dev, *task.test):
        for text in _texts_of(row):
            yield "a row", text


def _texts_of(row: Example) -> Iterator[str]:
    for name, text in (*row.inputs, *row.hidden):
        yield name
        yield text
    yield from row.golds


def is_count(value: object) -> bool:
    """Whether a value is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_limit(constraint: Constraint) -> None:
    """Check a constraint's limit.

    Raises
    ------
    InputError
        If it makes no sense; it says what was expected.
    """
    limit = constraint.limit
    told = "{limit}" in constraint.template
    if limit is None and constraint.rule in ("max_words", "max_lines"):
        raise InputError(f"a whole number above 0 as limit, because the rule is {constraint.rule}")
    if limit is None and told:
        raise InputError("a whole number above 0 as limit, because the text has {limit}")
    if limit is not None and not is_count(limit):
        raise InputError("a whole number above 0 as limit")


def read_constraint(item: Any) -> Constraint:  # noqa: ANN401 (any YAML value)
    """Return the constraint that an item of a task file describes.

    Raises
    ------
    InputError
        If it makes no sense; it says what was expected.
    """
    if isinstance(item, str) and item.strip():
        return Constraint(item, item)
    known = {"name", "text", "limit", "rule", "words", "pattern", "schema"}
    text = item.get("text") if isinstance(item, dict) and set(item) <= known else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(
            "a sentence, or a mapping of text and, as needed, name, limit, rule, words, pattern "
            "and schema"
        )
    rule, words, name = item.get("rule", ""), item.get("words", []), item.get("name", text)
    if rule not in ("", *RULES):
        raise InputError(f"one of {', '.join(RULES)} as rule")
    listed = isinstance(words, list) and all(isinstance(word, str) and word for word in words)
    if not listed or bool(words) != (rule in ("avoid", "include", "choice")):
        raise InputError("a list of texts as words for the rules avoid, include and choice alone")
    if not isinstance(name, str) or not name.strip():
        raise InputError("text as name (quote it)")
    if item.get("limit") is not None and "{limit}" not in text:
        raise InputError("{limit} in the text of a constraint with a limit")
    made = Constraint(name, text, item.get("limit"), rule, tuple(words), _pattern(item, rule))
    check_limit(made)
    return made


def _pattern(item: Mapping[str, Any], rule: str) -> str:
    """Return the regular expression or the JSON schema of a constraint."""
    pattern, schema = item.get("pattern"), item.get("schema")
    if (pattern is not None) != (rule == "regex") or (schema is not None and rule != "json"):
        raise InputError("a pattern for the rule regex alone, and a schema for the rule json alone")
    if schema is not None:
        return _schema(schema)
    if pattern is None:
        return ""
    if not isinstance(pattern, str):
        raise InputError("a regular expression as pattern (quote it)")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"a regular expression as pattern ({error})") from None
    return pattern


def _schema(schema: Any) -> str:  # noqa: ANN401 (any YAML value)
    from jsonschema.exceptions import SchemaError  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable

    try:
        text = json.dumps(schema, ensure_ascii=False, sort_keys=True)
        if re.search(r'"\$ref": "(?!#)', text):  # it would be fetched
            raise ValueError("it refers to another schema")
        kind = validator_for(schema)
        # With a format checker it reads the schema's regular expressions too.
        kind.check_schema(schema, format_checker=kind.FORMAT_CHECKER)
        for value in (None, dict[str, Any](), list[Any](), "", 0):
            kind(schema).is_valid(value)
    except (
        SchemaError,
        Unresolvable,
        AttributeError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise InputError(f"a JSON schema ({str(error).splitlines()[0]})") from None
    return text
