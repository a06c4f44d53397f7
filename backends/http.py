"""Asking an OpenAI-compatible server: many requests at once, patient with faults, counted once, within a cost."""

from __future__ import annotations

import email.utils
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from ..search.errors import BackendError, InterruptedCallError

_KEY = "OPENAI_API_KEY"
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 20.0
_SAY_AFTER = 3.0
_PROBE_SECONDS = 4.0
Item = TypeVar("Item")
Found = TypeVar("Found")


class UnusableAnswerError(Exception):
    """A body that is no answer to what was asked; the request is sent again."""


class UnsupportedError(BackendError):
    """The server understood the request and refuses it."""


@dataclass(slots=True)
class Usage:
    """What a server has answered: each answered request counts once, whatever it took to get the answer.

    Parameters
    ----------
    requests, prompt_tokens, completion_tokens
        As the server counts them.
    faults
        Attempts that brought no usable answer.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: int = 0


class _Fault(NamedTuple):
    """Why there is no answer, how long the server asks to wait, and what to raise if waiting is no use."""

    reason: str
    wait: float | None
    final: type[BackendError] | None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost.

    Parameters
    ----------
    max_cost
        Dollars; nothing for no limit.
    price
        Dollars for a million prompt tokens and for a million completion tokens.
    """

    max_cost: float | None = None
    price: tuple[float, float] = (0.0, 0.0)

    def cost(self, usage: Usage) -> float:
        """Return the dollars of what was used."""
        return (usage.prompt_tokens * self.price[0] + usage.completion_tokens * self.price[1]) / 1e6


@dataclass(slots=True)
class Client:
    """The official client, with retries of its own.

    Faults (no connection, time-outs, status 408, 409, 425, 429 and 5xx, bodies that are cut or no answer) are tried
    again after a growing, randomly varied wait or as long as the server's Retry-After says, until ``retry_timeout``
    seconds have brought no answer to a request. The key is read from OPENAI_API_KEY and kept nowhere else.

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
    """

    base_url: str | None
    concurrency: int
    timeout: float
    retry_timeout: float
    budget: Budget
    usage: Usage = field(default_factory=Usage)
    _official: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _rng: random.Random = field(default_factory=random.Random)
    _stop: threading.Event = field(default_factory=threading.Event)
    _silent: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url or "")
        if parts.username or parts.password:
            raise BackendError(f"--base-url: expected an address without a password; put the key into {_KEY}")
        if self.base_url is None and not os.environ.get(_KEY):
            raise BackendError(
                f"--backend openai: expected a key in {_KEY}, or --base-url for a server that needs none"
            )
        if self.base_url is not None and parts.scheme not in ("http", "https"):
            raise BackendError(
                f"--base-url: expected an address such as http://127.0.0.1:8000/v1, found {self.base_url}"
            )
        openai = _import_openai()
        self._official = openai.OpenAI(
            base_url=self.base_url, api_key=os.environ.get(_KEY) or "none", max_retries=0, timeout=self.timeout
        )

    @property
    def name(self) -> str:
        """The server's address, for messages."""
        return str(self._official.base_url).rstrip("/")

    def map(
        self, ask: Callable[[Any, Item], Any], read: Callable[[Item, Any], Found], items: Sequence[Item]
    ) -> list[Found]:
        """Send a request for each item, many at once, and return what was read from the answers, in order.

        Parameters
        ----------
        ask
            Sends the request of an item with the official client and returns the answer.
        read
            Takes from the answer what was asked for, or raises `UnusableAnswerError`.
        items
            One for each request.

        Raises
        ------
        UnsupportedError
            If the server refuses a request.
        InterruptedCallError
            If a request stays without an answer for too long or the cost limit is reached; ``answered`` holds the rest.
        """
        self._stop.clear()
        pool = ThreadPoolExecutor(self.concurrency)
        futures = [pool.submit(self._until_answered, ask, read, item, self.retry_timeout) for item in items]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            self._stop.set()  # what waits to be sent again is given up; what is in flight may still be answered
            pool.shutdown(wait=True, cancel_futures=True)
        errors = [error for future in futures if future in ended and (error := future.exception()) is not None]
        answered = {i: f.result() for i, f in enumerate(futures) if not f.cancelled() and f.exception() is None}
        for error in errors:
            if isinstance(error, InterruptedCallError):
                error.answered = answered
            raise error
        return [answered[i] for i in range(len(items))]

    def attempt(self, ask: Callable[[Any, Item], Any], read: Callable[[Item, Any], Found], item: Item) -> Found | None:
        """Return what one request brings; nothing if the server refuses it or answers something else.

        For finding out what a server can do: one that cannot may also answer 500, so patience is short.
        """
        self._stop.clear()
        try:
            return self._until_answered(ask, read, item, _PROBE_SECONDS)
        except (UnsupportedError, InterruptedCallError):
            return None

    def _until_answered(
        self, ask: Callable[[Any, Item], Any], read: Callable[[Item, Any], Found], item: Item, patience: float
    ) -> Found:
        faults = (_import_openai().APIError, UnusableAnswerError, json.JSONDecodeError)
        started, pause = time.monotonic(), _FIRST_WAIT
        while not self._stop.is_set():
            self._check_cost()
            try:
                answer = ask(self._official, item)
                found = read(item, answer)
            except faults as error:
                fault = self._fault(error)
            else:
                self._count(answer)
                return found
            if fault.final:  # raised here, where no variable holds what the server said
                raise fault.final(f"{self.name}: the server refuses the request: {fault.reason}")
            seconds = fault.wait if fault.wait is not None else pause * self._rng.uniform(0.5, 1.0)
            pause = min(2 * pause, _LONGEST_WAIT)
            spent = time.monotonic() - started
            if spent + seconds > patience:
                raise InterruptedCallError(f"{self.name}: no answer within {patience:g} s, last: {fault.reason}")
            self._say(spent + seconds, fault.reason)
            self._stop.wait(seconds)
        raise InterruptedCallError(f"{self.name}: stopped")

    def _fault(self, error: Exception) -> _Fault:
        """Count a fault, and tell what trying again cannot mend and how long the server asks to wait."""
        with self._lock:
            self.usage.faults += 1
        status = getattr(error, "status_code", None)
        final = status is not None and status not in _TRY_AGAIN and 400 <= status < 500
        kind = BackendError if status in (401, 403) else UnsupportedError
        response = getattr(error, "response", None)
        seconds = _retry_after(response.headers) if response is not None else None
        return _Fault(self._reason(error), seconds, kind if final else None)

    def _reason(self, error: Exception) -> str:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        cause = error.__cause__
        if cause is not None and str(cause):
            text = f"{text} ({str(cause)[:100]})"
        key = os.environ.get(_KEY)
        return text.replace(key, "***") if key else text

    def _check_cost(self) -> None:
        limit = self.budget.max_cost
        if limit is not None and self.budget.cost(self.usage) >= limit:
            raise InterruptedCallError(f"--max-cost {limit:g}: {self.budget.cost(self.usage):.4g} dollars are spent")

    def _count(self, answer: Any) -> None:  # noqa: ANN401 (one of the official client's types)
        with self._lock:
            self.usage.requests += 1
            usage = getattr(answer, "usage", None)
            self.usage.prompt_tokens += getattr(usage, "prompt_tokens", None) or 0
            self.usage.completion_tokens += getattr(usage, "completion_tokens", None) or 0
            silent, self._silent = self._silent, False
        if silent:
            print(f"{self.name} answers again", file=sys.stderr)  # noqa: T201

    def _say(self, silence: float, reason: str) -> None:
        """Say once that the server is waited for, if it is for more than a moment."""
        with self._lock:
            first = silence > _SAY_AFTER and not self._silent
            self._silent = self._silent or first
        if first:
            print(f"{self.name}: waiting up to {self.retry_timeout:.0f} s for an answer ({reason})", file=sys.stderr)  # noqa: T201


def _import_openai() -> Any:  # noqa: ANN401 (it may be absent)
    try:
        import openai
    except ImportError as error:
        raise BackendError(
            f"--backend openai: the openai package cannot be imported ({error}); pip install 'promptfront[openai]'"
        ) from error
    return openai


def _retry_after(headers: Any) -> float | None:  # noqa: ANN401
    """Return the seconds of a Retry-After header, a number or a date, if there is one that can be read."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
