"""What each fuzz test does with an input.

Run the command on it in this process, and hold the end of it to the contract.

The contract: exit 0 with a right number, or exit 2 with one sentence; no traceback, no hang,
nothing lost in silence.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import tempfile
import warnings
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings

from promptfront.search.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEMORY = Path("/dev/shm")  # noqa: S108 (own folders are made in it)
_ASKED = os.environ.get("PROMPTFRONT_FUZZ", "0")
FULL = _ASKED == "full"
INPUTS = 0 if FULL else int(_ASKED)
"""Inputs of each kind where the environment says so; otherwise few, and the same each time."""
_SECONDS = 60
_CODES = (0, 1, 2, 130)
_COUNTED = re.compile(
    r"note +([\d,]+) (?:(?:more|other|dev|test|train) )*rows? (?!in all|over|labelled)"
)
COUNTS: Counter[tuple[str, str]] = Counter()
"""How many inputs of each kind ended in which way."""
_HOME = tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
_NUMBERS = itertools.count()


class HangError(BaseException):
    """An input took longer than any may.

    Not an `Exception`, so that nothing on the way can take it for its own.
    """


def few(inputs: int) -> settings:
    """Return how a test runs.

    Half of so many inputs, the same each time; all of them where ``PROMPTFRONT_FUZZ`` is
    ``full``, or as many as it says.
    """
    return settings(
        max_examples=INPUTS or (inputs if FULL else inputs // 2),
        derandomize=not INPUTS,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def found(self) -> dict[str, Any]:
        """What ``--json`` prints last."""
        return dict(json.loads(self.out.rstrip("\n").split("\n")[-1]))

    def dev(self) -> float | None:
        """Return the start's dev score, or nothing where it has none."""
        quality = self.found["start"]["quality"]
        return None if quality is None else float(quality)

    def rows(self) -> int:
        """Return how many rows the plan tells of.

        Those of the splits, and those that a note says were left out.
        """
        shared = re.search(r"([\d,]+) rows are both train and dev", self.err)
        split = re.search(r"splits +([\d,]+) train, ([\d,]+) dev, ([\d,]+) test", self.err)
        used = shared or split
        assert used, self.err
        counts = [*used.groups(), *_COUNTED.findall(self.err)]
        return sum(int(count.replace(",", "")) for count in counts)


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder of its own to an input."""
    with tempfile.TemporaryDirectory(dir=_HOME.name) as name:
        yield Path(name)


def run(kind: str, *words: str) -> Done:
    """Run the command as a new study, hold it to what must hold of every input, and count it."""
    storage = f"sqlite:///{_HOME.name}/fuzz.db"
    study = f"{kind} {next(_NUMBERS)}"
    end = "no end"
    try:
        done = _in_process(
            [*words, "--budget", "1", "--json", "--storage", storage, "--study", study]
        )
        end = f"exit {done.code}"
    finally:
        COUNTS[kind, end] += 1
    _check(done)
    return done


def _in_process(words: Sequence[str]) -> Done:
    out, err = io.StringIO(), io.StringIO()

    def late(*_: object) -> None:
        raise HangError(f"no end after {_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
            warnings.simplefilter("default")
            code = main(words)
    except SystemExit as ended:  # argparse
        code = int(ended.code or 0)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return Done(code, out.getvalue(), err.getvalue())


def _check(done: Done) -> None:
    assert done.code in _CODES, done
    assert "Traceback" not in done.err, done.err
    sentences = re.findall(r"^optimize: error: (.*)", done.err, re.MULTILINE)
    if done.code == 0:
        assert not sentences, done.err
        assert "trial" in done.out, done.out
        quality = done.dev()
        assert quality is None or 0 <= quality <= 1, done.out
    else:
        assert len(sentences) == 1, done.err
        assert len(sentences[0].split()) > 2, done.err
        assert "bug in promptfront" not in sentences[0], done.err
        assert not done.out, done.out
        assert done.err.rstrip("\n").endswith(sentences[0]), (
            f"a sentence of several lines: {done.err}"
        )
