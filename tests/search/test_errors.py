"""Errors are one sentence on one line, whatever the data in them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import promptfront
from promptfront.search import errors
from promptfront.search.cli.messages import with_flags
from promptfront.search.errors import InputError


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        ("\n", r"\n"),
        ("\r", r"\r"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x85", r"\x85"),
        ("\u2028", r"\u2028"),
        ("\u202e", r"\u202e"),
        ("\ud800", r"\ud800"),
        ("好 é 🙂", "好 é 🙂"),
    ],
)
def test_a_message_is_one_line(odd: str, shown: str) -> None:
    """What would break the line, or do something to the terminal, is written as an escape.

    Other text stays.
    """
    assert f"found a{shown}b" == str(InputError(f"found a{odd}b"))


def test_errors_speak_of_options_as_python_calls_them() -> None:
    """From Python an option is an argument.

    The command line shows the same sentence with its flag.
    """
    with pytest.raises(
        ValueError, match=r"^`max_evaluations`: expected a number above 0"
    ) as caught:
        promptfront.Limits(max_evaluations=0)
    assert "--max-evaluations: expected a number above 0, found 0" == with_flags(str(caught.value))
    assert "give --instruction and `labels`" == with_flags("give `instructions` and `labels`")


def test_only_the_command_line_writes_flags() -> None:
    """Outside of it no text names one, but in a command that can be pasted."""
    root = Path(errors.__file__).parents[1]
    files = [
        path
        for folder in ("search", "mutators", "scorers", "backends")
        for path in (root / folder).rglob("*.py")
        # (pip's own flags, and commands to be pasted)
        if path.parent.name != "cli" and path.name not in ("downloads.py", "commands.py")
    ]
    assert [] == [f"{path}: {text}" for path in files for text in _texts(path) if _names_flag(text)]


def _texts(path: Path) -> list[str]:
    """Return the texts in a file's code, without its docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = [node for node in nodes if isinstance(node, ast.Constant)]
    return [
        node.value
        for node in constants
        if isinstance(node.value, str) and id(node) not in docstrings
    ]


def _names_flag(text: str) -> bool:
    return re.search("--[a-z]", re.sub("`optimize[^`]*`", "", text)) is not None
