"""The command as a user runs it.

In processes forked from one that has imported torch once, or in this one.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerProcess

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["promptfront.search.api", "promptfront.backends.hf"])
_SECONDS = 300


class Command:
    """A command that runs in a folder, as `python -m promptfront.search.cli` would there.

    Parameters
    ----------
    folder
        Where it runs, and where what it prints is kept.
    words
        What stands after the command's name.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self._printed = [folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err")]
        self._process: ForkServerProcess = _FORKS.Process(
            target=_run, args=(str(folder), words, *map(str, self._printed)), daemon=True
        )
        self._process.start()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def running_until(self, met: Callable[[], bool]) -> bool:
        """Wait until a condition is met, and say whether it was before the command ended."""
        while self._process.is_alive():
            if met():
                return True
            time.sleep(0.02)
        return False

    def wait(self) -> tuple[int | None, str, str]:
        """Wait for its end; return its exit code, standard output and standard error."""
        self._process.join(_SECONDS)
        out, err = (path.read_text(encoding="utf-8") for path in self._printed)
        return self._process.exitcode, out, err


def _run(folder: str, words: tuple[str, ...], out: str, err: str) -> None:
    """Become the command: in its folder, its words the process's, its streams two files."""
    os.chdir(folder)
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    from promptfront.search.cli.main import main

    sys.argv = ["optimize", *words]
    sys.exit(main())


def run_here(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, in a folder, to its end."""
    from promptfront.search.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(words)
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
