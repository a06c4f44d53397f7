"""What promptfront says outside of the command line, in the command line's words."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from ..secrets import mask
from .parser import flags
from .streams import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOGGER = logging.getLogger("promptfront")
_NAME = re.compile(r"`([a-z_]+)`")
_IN_PYTHON = {
    "input_columns": "input_column",
    "instructions": "instruction",
    "mutators": "mutator",
    "prompts": "prompt",
    "proposer": "proposer_model",
}
"""What an option is called in Python, where that is not its name on the command line."""


def with_flags(text: str) -> str:
    """Return a message with the options that it names, such as `max_cost`, as flags: --max-cost."""
    return _NAME.sub(lambda named: _flags().get(named[1], named[0]), text)


@cache
def _flags() -> dict[str, str]:
    known = flags()
    return known | {name: known[option] for name, option in _IN_PYTHON.items()}


class _Telling(logging.Handler):
    """Writes what is logged to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(mask(with_flags(record.getMessage())))


@contextmanager
def telling_logs() -> Iterator[None]:
    """Tell what promptfront logs while the block runs: notes, waiting, downloads."""
    handler, level = _Telling(), _LOGGER.level
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.setLevel(level)
        _LOGGER.removeHandler(handler)
