"""Asking an OpenAI-compatible server: many requests at once, patient with faults, within a cost."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Event

from ...search.contracts import Unscored
from ...search.errors import BackendError, InterruptedCallError
from .address import KEY
from .calls import Budget, Call, NoListError, QuotaError, UnsupportedError, Usage
from .sender import Answer, Ask, Item, Read, Sender

_PROBE_SECONDS = 4.0
"""Patience with a request that finds out what a server can do."""


class Client:
    """Sends requests for many items at once, each until it is answered (see `Sender`).

    What a content filter refuses, and what is refused while other requests are answered, is
    `Unscored`.

    Parameters
    ----------
    base_url
        The server's address, with ``/v1``; by default OpenAI's.
    concurrency
        Requests in flight, at most.
    timeout, retry_timeout
        Seconds for one attempt, and for all attempts at one request.
    budget
        What the run may cost.
    key_variable
        The variable of the environment that holds the key.
    """

    def __init__(
        self,
        base_url: str | None,
        concurrency: int,
        timeout: float,
        retry_timeout: float,
        budget: Budget,
        key_variable: str = KEY,
    ) -> None:
        numbers = {"concurrency": concurrency, "timeout": timeout, "retry-timeout": retry_timeout}
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise BackendError(
                    f"`backend` openai: {name}: expected a number above 0, found {value!r}"
                )
        self.concurrency, self.retry_timeout = int(concurrency) or 1, retry_timeout
        self._sender = Sender(base_url, timeout, budget, key_variable)

    @property
    def name(self) -> str:
        """The server's address, without its query, for messages."""
        return self._sender.name

    @property
    def usage(self) -> Usage:
        """What the server has answered so far."""
        return self._sender.usage

    @property
    def cost(self) -> float:
        """The dollars of what was used."""
        return self._sender.budget.cost(self.usage)

    def map(
        self, ask: Ask[Item], read: Read[Item, Answer], items: Sequence[Item]
    ) -> list[Answer | Unscored]:
        """Send a request for each item, and return what was read from the answers, in order.

        Raises
        ------
        UnsupportedError
            If the server refuses all requests.
        InterruptedCallError
            If a request stays without an answer for too long, what was paid for is used up or the
            cost limit is reached; ``answered`` holds the rest.
        """
        pool, stopped = ThreadPoolExecutor(self.concurrency), Event()
        futures = [
            pool.submit(self._sender.send, ask, read, item, self.retry_timeout, stopped)
            for item in items
        ]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # What waits to be sent again is given up; what is in flight may still be answered.
            stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
        results = {
            i: future.result()
            for i, future in enumerate(futures)
            if not future.cancelled() and future.exception() is None
        }
        answers: dict[int, Answer | Unscored] = {}
        refused: list[UnsupportedError] = []
        for i, result in results.items():
            if isinstance(result, UnsupportedError):
                refused.append(result)
            else:
                answers[i] = result
        _raise_first([future for future in futures if future in ended], answers)
        if refused and not answers and ask(items[0]).path not in self._sender.answered:
            raise refused[0]
        return [answers.get(i, Unscored("refused")) for i in range(len(items))]

    def attempt(self, ask: Ask[Item], read: Read[Item, Answer], item: Item) -> Answer | None:
        """Return what one request brings; nothing if the server refuses it or answers otherwise.

        For finding out what a server can do: one that cannot may also answer 500, so patience is
        short.
        """
        try:
            result = self._sender.send(ask, read, item, _PROBE_SECONDS, Event(), probes=True)
        except QuotaError:
            raise
        except (UnsupportedError, InterruptedCallError):
            return None
        return None if isinstance(result, (Unscored, UnsupportedError)) else result

    def models(self, read: Read[None, Answer], below: str = "") -> Answer:
        """Return what was read from the list of models.

        If it is ``below`` the address, that is the address from here on.

        Raises
        ------
        NoListError
            If the server has none.
        """
        official = self._sender.official
        address = official.base_url
        official.base_url = f"{str(address).rstrip('/')}{below}"
        try:
            result = self._sender.send(_ask_models, read, None, self.retry_timeout, Event())
            if isinstance(result, (Unscored, UnsupportedError)):
                raise NoListError(f"{self.name}: no list of models")
        except BackendError:
            official.base_url = address
            raise
        return result


def _ask_models(_: None) -> Call:
    return Call("models", {})


def _raise_first(
    ended: Sequence[Future[Answer | Unscored | UnsupportedError]],
    answers: dict[int, Answer | Unscored],
) -> None:
    """Raise the first error of what ended, if there is one, with the answers that there are."""
    error = next((error for future in ended if (error := future.exception()) is not None), None)
    if error is None:
        return
    if isinstance(error, InterruptedCallError):
        error.answered = answers
    elif answers and isinstance(error, BackendError):
        raise InterruptedCallError(str(error), answers)
    raise error
