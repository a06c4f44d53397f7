"""The command answers to the name by which it was called."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from promptfront.search.cli.main import main

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("/usr/bin/promptfront", "promptfront"),
        ("promptfront.exe", "promptfront"),
        ("/usr/bin/optimize", "optimize"),
        ("/site-packages/promptfront/search/cli/__main__.py", "optimize"),
        ("", "optimize"),
    ],
)
def test_errors_and_help_say_the_name_that_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], called: str, name: str
) -> None:
    """Before an error, in its reference to the help, and in the help; `optimize` if unknown."""
    monkeypatch.setattr(sys, "argv", [called])
    with pytest.raises(SystemExit):
        main(["report", "--bogus"])
    assert (
        f"{name}: error: unrecognized arguments: --bogus (see `{name} report --help`)\n"
        == capsys.readouterr().err
    )
    assert 2 == main(["report", "--cross"])
    assert capsys.readouterr().err.startswith(f"{name}: error: --cross: expected")
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {name} [-h]")
    assert f"The options of a search are in `{name} run --help`." in shown


def test_both_names_are_the_same_command() -> None:
    """They are installed with the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {
        "optimize": "promptfront.search.cli.main:main",
        "promptfront": "promptfront.search.cli.main:main",
    } == project["scripts"]
