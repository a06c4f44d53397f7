"""The name by which the command was called: it is installed under two."""

from __future__ import annotations

import sys
from pathlib import Path

_NAMES = ("optimize", "promptfront")


def command_name() -> str:
    """Return the name by which the command was called; ``optimize`` where that is unknown.

    It is unknown in a module (``python -m``) and in a function call from Python.
    """
    called = Path(sys.argv[0]).stem if sys.argv else ""
    return called if called in _NAMES else _NAMES[0]
