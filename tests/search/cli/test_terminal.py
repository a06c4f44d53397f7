"""Results on a terminal: they fit it, and say what changed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from promptfront.search.cli.terminal import terminal_text
from promptfront.search.contracts import Prompt, Structure
from promptfront.search.records.efforts import Effort, Worth
from promptfront.search.records.explanation import Effect, Explanation, PartEffect
from promptfront.search.records.results import Frontier, HeldOutScore
from tests.records import config, entry

PLAIN = Prompt("Which mood has the text?", Structure(("Text",), "Mood"))
LONG = Prompt(f"Which mood has the text? {'Take care to read it well. ' * 40}", PLAIN.structure)


def found() -> Frontier:
    """Return a made-up front of two, with all that a search can tell."""
    test = HeldOutScore(0.61234, 0.5, 0.7, 1000, None, written=0.6, written_n=200, macro_f1=0.5)
    test = replace(test, matthews=0.4)
    entries = [entry(0, PLAIN, 0.5, 12, reply_tokens=1.5), entry(7, LONG, 0.7, 340)]
    entries = [replace(one, test=test, gain=0.123, p_value=0.00012) for one in entries]
    frontier = Frontier.of(config(), entries, study="s", trials=9, evaluations=1234)
    effect = PartEffect("instruction", "Take care.", 0, 4, Effect(0.02, -0.01, 0.05))
    explained = Explanation("s", 7, "dev", 100, 0.7, 340, (effect,))
    worth = Worth("rewrite-all-of-it", Effort(3, 2, 0, 12, 34567, 89, 12.5), 2, 1, 0.08)
    return replace(frontier, explanation=explained, mutators=(worth,))


@pytest.mark.parametrize("width", [60, 80, 132, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Columns are left out and prompts are cut, and the verdict stays."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal_text(found(), width)).split("\n")
    assert max(map(len, lines)) <= width
    told = "\n".join(lines)
    assert "best, trial 7: " in told
    assert "gain over the starting prompt" in " ".join(told.split())
    assert "sentence: Take care." in told
    assert ("written" in told) == (width > 120)


def test_no_text_acts_on_the_terminal() -> None:
    """An escape in a row is written as one."""
    frontier = found()
    odd = replace(LONG, instruction="Red: \x1b[31m and\nwhat\x07 follows?")
    best = replace(frontier.best, trial=replace(frontier.best.trial, prompt=odd))
    lines = terminal_text(replace(frontier, best=best, front=(best,)), 100)
    assert "\x1b[31m" not in lines
    assert "\\x1b[31m and what\\x07 follows?" in re.sub(r"\x1b\[[0-9;]*m", "", lines)


def test_marks_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """In colour, unless the user wants none."""
    assert "\x1b[32m" in terminal_text(found(), 100)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in terminal_text(found(), 100)
