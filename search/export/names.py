"""Names of input fields in the languages of exported prompts, which cannot write every name."""

from __future__ import annotations

import keyword
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_TAKEN = frozenset(
    # Constants and special names of Jinja, and what the libraries keep for themselves.
    [
        "true",
        "false",
        "none",
        "self",
        "loop",
        "super",
        "caller",
        "varargs",
        "kwargs",
        "namespace",
        "range",
        "dict",
        "lipsum",
        "cycler",
        "joiner",
        "stop",
        "args",
        "signature",
        "instructions",
        "fields",
        "demos",
        "lm",
        "config",
        "input_fields",
        "output_fields",
        "schema",
        "json",
        "copy",
        "construct",
        "validate",
        "allow_partial",
        "use_jinja_sandbox",
        "env",
        "null",
    ]
)


def identifiers(fields: Sequence[str]) -> dict[str, str]:
    """Return what each field is called where a name must be an identifier."""
    return _named(fields, _is_identifier, _identifier)


def placeholders(fields: Sequence[str], texts: Iterable[str]) -> dict[str, str]:
    """Return what each field is called between ``{{`` and ``}}``.

    That is its name, unless it or the text could be misread.
    """
    joined = "\n".join(texts)

    def fits(name: str) -> bool:
        plain = name == name.strip() != "" and name.isprintable() and not set(name) & set("{}")
        return plain and not _stands_in(joined, name)

    return _named(fields, fits, _identifier)


def variables(fields: Sequence[str], texts: Iterable[str]) -> dict[str, str]:
    """Return what each field is called between ``{{`` and ``}}`` where that is an argument's name.

    That is its name, unless it is no identifier or the text could be misread.
    """
    joined = "\n".join(texts)
    return _named(
        fields, lambda name: _is_identifier(name) and not _stands_in(joined, name), _identifier
    )


def _stands_in(text: str, name: str) -> bool:
    return re.search(r"\{\{\s*" + re.escape(name) + r"\s*\}\}", text) is not None


def _named(
    fields: Sequence[str], fits: Callable[[str], bool], make: Callable[[str], str]
) -> dict[str, str]:
    names = {field: field for field in fields if fits(field)}
    for field in fields:
        if field not in names:
            made = make(field)
            tries = [made, *(f"{made}_{number}" for number in range(2, len(fields) + 1000))]
            names[field] = next(name for name in tries if name not in names.values() and fits(name))
    return {field: names[field] for field in fields}


def _is_identifier(name: str) -> bool:
    plain = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
    return plain and not (
        name.startswith(("_", "model_")) or name.lower() in _TAKEN or _is_keyword(name)
    )


def _is_keyword(name: str) -> bool:
    return (
        keyword.iskeyword(name)
        or keyword.issoftkeyword(name)
        or name.lower() in ("import", "in", "is")
    )


def _identifier(field: str) -> str:
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", field)).strip("_")
    if not name.isidentifier() and not f"field_{name}".isidentifier():
        name = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")
    if not name or not name.isidentifier() or name.startswith("model_"):
        name = f"field_{name}".rstrip("_")
    return name if _is_identifier(name) else f"{name}_"
