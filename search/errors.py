"""What can go wrong, as one tree.

PromptfrontError            anything promptfront reports as a sentence; exit code 2
├── InputError              the user's data, options, files or plugins are not usable
│   └── StorageError            the database cannot be opened, read or written: the run ends
├── BackendError            a model could not be loaded, reached, or gave unusable numbers
│   └── InterruptedCallError    a call was answered in part; what was answered is kept
└── VerificationError       an exported prompt does not reproduce its numbers; exit code 1

A message names an option in backticks, as Python calls it: `max_evaluations`. The command line
shows it as its own, --max-evaluations.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .secrets import mask

if TYPE_CHECKING:
    from .records.results import Frontier

_UNSHOWN = ("Cc", "Cs", "Zl", "Zp")
"""Categories of control characters, lone surrogates and line separators."""
_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class PromptfrontError(Exception):
    """A problem in one sentence: what was expected, what was found, what to do.

    It never shows a secret.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(mask(_one_line(message)))


class InputError(PromptfrontError, ValueError):
    """The user's data, options, files or plugins cannot be used as they are."""


class StorageError(InputError):
    """The database cannot be opened, read or written.

    It ends a run: it is never a candidate's fault.
    """

    found: Frontier | None = None
    """What the run had found, where that can still be shown: it is not saved."""


class BackendError(PromptfrontError):
    """A model could not be loaded or reached, or it returned unusable numbers."""


class InterruptedCallError(BackendError):
    """A call that was answered in part: a server fell silent, or the cost limit was reached."""

    def __init__(self, message: str, answered: Mapping[int, Any] | None = None) -> None:
        super().__init__(message)
        self.answered: Mapping[int, Any] = answered or {}
        """What was answered, by position in the call."""


def flaw(call: Callable[[], object]) -> str:
    """Return what is wrong with what is called, as a sentence; empty where nothing is.

    A silent server or a database that fails is not its fault: these errors go on.
    """
    try:
        call()
    except (InterruptedCallError, StorageError):
        raise
    except PromptfrontError as error:
        return str(error)
    return ""


class VerificationError(PromptfrontError):
    """An exported prompt does not reproduce the numbers it was exported with."""

    exit_code = 1


def _one_line(text: str) -> str:
    """Return a text with what breaks a line or acts on a terminal written as an escape."""
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) in _UNSHOWN or c in _DIRECTIONS else c
        for c in text
    )
