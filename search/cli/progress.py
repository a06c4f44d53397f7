"""While a search runs: its progress bar, and how Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .command_name import command_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..loop import Progress


class Stopping:
    """Ctrl-C once the search has begun.

    The first asks for an end after the batch in flight, the second ends at once.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Stopping:
        self._before = signal.getsignal(signal.SIGINT)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def begin(self) -> None:
        """Take Ctrl-C from here on."""
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self.asked = True
        call_out(f"{command_name()}: finishing the batch in flight; Ctrl-C again to stop at once")


def call_out(text: str) -> None:
    """Tell something from a signal's handler, where a stream may be in the middle of a line."""
    with suppress(OSError):
        os.write(2, f"\n{text}\n".encode())


@contextmanager
def progress_bar(budget: int) -> Iterator[Callable[[Progress], None]]:
    """Show a bar on a terminal, and give what moves it."""
    from tqdm import tqdm

    from ..records.verdict import headroom_line

    shown = sys.stderr.isatty()
    with tqdm(
        total=budget, unit="prompt", disable=not shown, file=sys.stderr, dynamic_ncols=True
    ) as bar:
        rate, told = _Rate(), False

        def show(progress: Progress) -> None:
            nonlocal told
            if progress.headroom and not told:
                bar.write(headroom_line(progress.headroom), file=sys.stderr)
                told = True
            best = "-" if progress.best is None else f"{progress.best:.3f}"
            about = f"best {best}, front {progress.front}, {rate.of(progress)}"
            bar.set_postfix_str(about, refresh=False)
            bar.update(progress.trials - bar.n)
            bar.refresh()

        yield show


class _Rate:
    """Evaluations a second since the first step."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def of(self, progress: Progress) -> str:
        """Return it while the search runs; before and after, what is being done."""
        now = time.monotonic()
        self._first = self._first or (now, progress.evaluations)
        seconds, evaluations = now - self._first[0], progress.evaluations - self._first[1]
        if seconds > 1 and progress.stage == "search":
            return f"{evaluations / seconds:.0f} evaluations/s"
        return progress.stage
