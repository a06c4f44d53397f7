"""The command that runs a search again: the limits that it had are in it."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from promptfront.search.cli.parser import parse
from promptfront.search.cli.values import limits
from promptfront.search.contracts import Prompt, Structure
from promptfront.search.options import Limits
from promptfront.search.page.commands import run_command
from promptfront.search.records.results import Frontier
from tests.records import config, entry


@pytest.mark.parametrize(
    ("given", "tried", "budget"),
    [
        (Limits(), 12, 12),
        (Limits(50, max_evaluations=400, patience=9), 12, 50),
        (Limits(50, max_tokens=9000, timeout=60.5), 70, 70),
    ],
)
def test_a_search_is_run_again_with_its_limits(given: Limits, tried: int, budget: int) -> None:
    """A budget alone is what was tried; a later run may have had a larger one."""
    start = entry(0, Prompt("Which?", Structure(("Text",), "Mood")), 0.5, 3)
    noted = {"task": "sentiment", "limits": given.noted()}
    front = Frontier.of(config(load=noted), [start], study="s", trials=tried, evaluations=9)
    again = parse(["run", *shlex.split(run_command(front))[1:]])
    assert limits(again) == replace(given, budget=budget)
