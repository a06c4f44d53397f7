"""Candidates that wait for replies: while a proposer elsewhere writes, the search goes on.

What makes a candidate runs in a greenlet. Where it first asks a proposer on another machine, it is
left there, and taken up again for the next batch: one runs at a time, in the order in which they
were begun, so what comes of them depends on the replies alone and not on when these came.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from greenlet import getcurrent, greenlet

from ..records.efforts import Effort

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records.trials import Trial

Answer = TypeVar("Answer")


class _Candidate(greenlet):
    """A candidate in the making: whether it has waited, and what others spent meanwhile."""

    waited = False
    others = Effort()


class Waiting:
    """Candidates in the making.

    Parameters
    ----------
    spent
        Returns what all mutators have spent so far.
    """

    def __init__(self, spent: Callable[[], Effort]) -> None:
        self._spent = spent
        self._left: list[tuple[_Candidate, Effort]] = []

    def spent(self) -> Effort:
        """Return what was spent so far, less what others spent while the candidate waited."""
        current, spent = getcurrent(), self._spent()
        return spent - current.others if isinstance(current, _Candidate) else spent

    def begin(self, make: Callable[[], Trial]) -> Trial | None:
        """Make a candidate, or return None where it now waits for a reply."""
        candidate = _Candidate(make)
        made: Trial | None = candidate.switch()
        if not candidate.dead:
            self._left.append((candidate, self._spent()))
        return made

    def take_up(self) -> list[Trial]:
        """Return those that wait, each as soon as it has its reply."""
        left, self._left = self._left, []
        made: list[Trial] = []
        for candidate, spent in left:
            candidate.others = self._spent() - spent
            made.append(candidate.switch())
        return made


def answered(call: Callable[[], Answer]) -> Answer:
    """Return what a call to another machine brings; a candidate may wait for it meanwhile."""
    current = getcurrent()
    others = current.parent
    if not isinstance(current, _Candidate) or current.waited or others is None:
        return call()
    future = Future[Answer]()
    # A thread that is no daemon would keep the program from ending before the reply is there.
    Thread(target=_settle, args=(future, call), daemon=True).start()
    current.waited = True
    others.switch(None)
    return future.result()


def _settle(future: Future[Answer], call: Callable[[], Answer]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 (raised where the candidate is taken up again)
        future.set_exception(error)
