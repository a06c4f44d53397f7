"""What is logged is told by the command line, and by Python's rules elsewhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from promptfront.search.cli.messages import telling_logs
from promptfront.search.cli.parser import flags
from promptfront.search.secrets import hide

if TYPE_CHECKING:
    import pytest

_LOG = logging.getLogger("promptfront.search.somewhere")


def test_what_is_logged_is_told_with_flags_and_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A note names the flag; a hidden text is masked; nothing is left behind."""
    hide("correct horse")
    with telling_logs():
        _LOG.info("%s: raise `max_cost` for correct horse", "a server")
        _LOG.debug("not for a user")
    _LOG.info("after the command")
    assert "a server: raise --max-cost for ***\n" == capsys.readouterr().err


def test_an_option_is_told_by_its_long_flag() -> None:
    """By the one that sets it, where another one clears it."""
    told = flags()
    assert (told["reasoning"], told["output"]) == ("--reasoning", "--output")
