"""Asking an OpenAI-compatible server: many requests at once, patient with faults, counted once, within a cost."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from ...search.contracts import Unscored
from ...search.errors import BackendError, InterruptedCallError
from ...search.secrets import mask
from .address import connect, import_openai
from .answers import NotGivenError, UnusableAnswerError, count, parse
from .answers import field as part
from .faults import Fault, error_in, fault

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 20.0
_SAY_AFTER = 3.0
_PROBE_SECONDS = 4.0
_UNUSABLE, _WITHOUT_CHOICES, _REFUSED = 6, 3, 20
"""Tries after which unusable answers and answers without choices stay what they are; refusals, where nothing was ever
answered, after which all are taken to be refused."""
Item = TypeVar("Item")
Found = TypeVar("Found")


class UnsupportedError(BackendError):
    """The server understood the request and refuses it."""


class NoListError(BackendError):
    """The server has no list of models."""


class QuotaError(InterruptedCallError):
    """What was paid for is used up."""


class Call(NamedTuple):
    """A request: to ``chat``, ``completions`` or ``models``, and its body."""

    path: str
    body: dict[str, Any]


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


class Client:
    """The official client, with retries of its own.

    Faults (no connection, time-outs, status 408, 409, 425, 429 and 5xx, bodies that are cut or no answer) are tried
    again after a growing, randomly varied wait, no shorter than the server's Retry-After says, until ``retry_timeout``
    seconds have brought no answer to a request. What a content filter refuses, and what is refused while other requests
    are answered, is `Unscored`. A parameter that the server does not know is left out from then on, ``max_tokens`` called
    ``max_completion_tokens``. The key is read from OPENAI_API_KEY and kept nowhere else.

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

    def __init__(
        self,
        base_url: str | None,
        concurrency: int,
        timeout: float,
        retry_timeout: float,
        budget: Budget,
    ) -> None:
        for name, value in (
            ("concurrency", concurrency),
            ("timeout", timeout),
            ("retry-timeout", retry_timeout),
        ):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise BackendError(
                    f"`backend` openai: {name}: expected a number above 0, found {value!r}"
                )
        self.concurrency, self.retry_timeout = int(concurrency) or 1, retry_timeout
        self.budget, self.usage = budget, Usage()
        self._official = connect(base_url, timeout)
        self._left_out = set[str]()
        self._answered = set[str]()
        self._refusals = 0
        self._lock, self._stop, self._silent = threading.Lock(), threading.Event(), False
        self._rng = random.Random()  # noqa: S311 (not cryptography)

    @property
    def name(self) -> str:
        """The server's address, without its query, for messages."""
        return mask(str(self._official.base_url).partition("?")[0].rstrip("/"))

    def map(
        self, ask: Callable[[Item], Call], read: Callable[[Item, Any], Found], items: Sequence[Item]
    ) -> list[Found | Unscored]:
        """Send a request for each item, many at once, and return what was read from the answers, in order.

        Parameters
        ----------
        ask
            Returns the request of an item.
        read
            Takes from the answer, any JSON, what was asked for, or raises `UnusableAnswerError`.
        items
            One for each request.

        Raises
        ------
        UnsupportedError
            If the server refuses all requests.
        InterruptedCallError
            If a request stays without an answer for too long, what was paid for is used up or the cost limit is reached;
            ``answered`` holds the rest.
        """
        self._stop.clear()
        pool = ThreadPoolExecutor(self.concurrency)
        futures = [
            pool.submit(self._until_answered, ask, read, item, self.retry_timeout) for item in items
        ]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            self._stop.set()  # what waits to be sent again is given up; what is in flight may still be answered
            pool.shutdown(wait=True, cancel_futures=True)
        errors = [
            error
            for future in futures
            if future in ended and (error := future.exception()) is not None
        ]
        answered = {
            i: f.result()
            for i, f in enumerate(futures)
            if not f.cancelled() and f.exception() is None
        }
        found = {
            i: value for i, value in answered.items() if not isinstance(value, UnsupportedError)
        }
        for error in errors:
            if isinstance(error, InterruptedCallError):
                error.answered = found
            elif found and isinstance(error, BackendError):
                raise InterruptedCallError(str(error), found)
            raise error
        refused = [value for value in answered.values() if isinstance(value, UnsupportedError)]
        if refused and not found and ask(items[0]).path not in self._answered:
            raise refused[0]
        return [found.get(i, Unscored("refused")) for i in range(len(items))]

    def attempt(
        self, ask: Callable[[Item], Call], read: Callable[[Item, Any], Found], item: Item
    ) -> Found | None:
        """Return what one request brings; nothing if the server refuses it or answers something else.

        For finding out what a server can do: one that cannot may also answer 500, so patience is short.
        """
        self._stop.clear()
        try:
            found = self._until_answered(ask, read, item, _PROBE_SECONDS, probes=True)
        except QuotaError:
            raise
        except (UnsupportedError, InterruptedCallError):
            return None
        return None if isinstance(found, (Unscored, UnsupportedError)) else found

    def models(self, read: Callable[[None, Any], Found], below: str = "") -> Found:
        """Return what was read from the list of models; if it is ``below`` the address, that is the address from here on.

        Raises
        ------
        NoListError
            If the server has none.
        """
        self._stop.clear()
        address = self._official.base_url
        self._official.base_url = f"{str(address).rstrip('/')}{below}"
        try:
            found = self._until_answered(
                lambda _: Call("models", {}), read, None, self.retry_timeout
            )
            if isinstance(found, (Unscored, UnsupportedError)):
                raise NoListError(f"{self.name}: no list of models")
        except BackendError:
            self._official.base_url = address
            raise
        return found

    def _until_answered(
        self,
        ask: Callable[[Item], Call],
        read: Callable[[Item, Any], Found],
        item: Item,
        patience: float,
        *,
        probes: bool = False,
    ) -> Found | Unscored | UnsupportedError:
        """Return what was read, or why the request stays without an answer while others may have one."""
        started, pause, met = time.monotonic(), _FIRST_WAIT, dict[str, int]()
        while not self._stop.is_set():
            self._check_cost()
            call = self._without_unknown(ask(item))
            found = self._attempted(call, lambda answer: read(item, answer), probes=probes)
            if not isinstance(found, Fault):
                return found
            met[found.kind] = met.get(found.kind, 0) + 1
            if (end := self._end(call, found, met, probes=probes)) is not None:
                return end
            if found.kind == "unknown parameter":
                continue
            seconds = max(pause * self._rng.uniform(0.5, 1.0), found.wait or 0.0)
            pause = min(2 * pause, _LONGEST_WAIT)
            spent = time.monotonic() - started
            if spent + seconds > patience:
                asks = (
                    f"; it asks to wait {found.wait:.0f} s"
                    if found.wait and found.wait > patience
                    else ""
                )
                raise InterruptedCallError(
                    f"{self.name}: no answer within {patience:g} s, last: {found.reason}{asks}"
                )
            self._say(spent + seconds, found.reason)
            self._stop.wait(seconds)
        raise InterruptedCallError(f"{self.name}: stopped")

    def _attempted(
        self, call: Call, read: Callable[[Any], Found], *, probes: bool
    ) -> Found | Fault:
        """Send a request once, and return what was read from its answer, or the fault."""
        faults = (
            import_openai().OpenAIError,
            UnusableAnswerError,
            UnicodeError,
            OverflowError,
            OSError,
        )
        try:
            answer = self._send(call)
            if (met := error_in(answer)) is not None:
                return met
            found = read(answer)
        except faults as error:
            met = fault(error, call.body)
            return (
                met._replace(kind="refused") if probes and isinstance(error, NotGivenError) else met
            )
        self._count(call, answer)
        return found

    def _send(self, call: Call) -> Any:  # noqa: ANN401 (any JSON)
        """Send a request and return the JSON of its answer."""
        if call.path == "models":
            return parse(self._official.models.with_raw_response.list().content)
        api = self._official.chat.completions if call.path == "chat" else self._official.completions
        named = {
            name: value
            for name, value in call.body.items()
            if name in ("model", "messages", "prompt")
        }
        others = {name: value for name, value in call.body.items() if name not in named}
        return parse(api.with_raw_response.create(**named, extra_body=others).content)

    def _without_unknown(self, call: Call) -> Call:
        """Return a request without the parameters that the server does not know."""
        body = {name: value for name, value in call.body.items() if name not in self._left_out}
        if "max_tokens" in call.body and "max_tokens" not in body:
            body["max_completion_tokens"] = call.body["max_tokens"]
        return Call(call.path, body)

    def _end(
        self, call: Call, met: Fault, times: dict[str, int], *, probes: bool
    ) -> Unscored | UnsupportedError | None:
        """Return what a fault makes of its request, nothing where it is to be sent again, or raise what ends the run."""
        with self._lock:
            self.usage.faults += 1
            self._left_out |= {met.parameter} - {""}
            self._refusals += met.kind == "refused" and not probes
            all_refused = self._refusals >= _REFUSED and call.path not in self._answered
        page = times.get("unusable", 0) >= _UNUSABLE or "found <" in met.reason
        if call.path == "models" and (
            met.kind in ("missing", "refused") or (met.kind == "unusable" and page)
        ):
            raise NoListError(f"{self.name}: no list of models ({met.reason})")
        if met.kind == "filtered" or times.get("no choices", 0) >= _WITHOUT_CHOICES:
            return Unscored("filtered")
        if met.kind == "quota":
            raise QuotaError(f"{self.name}: what was paid for is used up: {met.reason}")
        if met.kind in ("denied", "broken"):
            raise BackendError(f"{self.name}: the server refuses the request: {met.reason}")
        if met.kind in ("refused", "missing"):
            error = UnsupportedError(
                f"{self.name}: the server refuses the request: {met.reason}{self._hint(met)}"
            )
            if met.kind == "missing" or all_refused:
                raise error
            return error
        if times.get("unusable", 0) >= _UNUSABLE:
            raise InterruptedCallError(
                f"{self.name}: no usable answer in {_UNUSABLE} tries, last: {met.reason}"
            )
        return None

    def _hint(self, met: Fault) -> str:
        ends = met.kind == "missing" and not self.name.endswith("/v1")
        return "; does the address end in /v1? (`base_url`)" if ends else ""

    def _check_cost(self) -> None:
        limit = self.budget.max_cost
        if limit is not None and self.budget.cost(self.usage) >= limit:
            raise InterruptedCallError(
                f"`max_cost` {limit:g}: {self.budget.cost(self.usage):.4g} dollars are spent"
            )

    def _count(self, call: Call, answer: Any) -> None:  # noqa: ANN401 (any JSON)
        usage = part(answer, "usage")
        with self._lock:
            if call.path != "models":
                self._answered.add(call.path)
            self.usage.requests += 1
            self.usage.prompt_tokens += count(part(usage, "prompt_tokens"))
            self.usage.completion_tokens += count(part(usage, "completion_tokens"))
            silent, self._silent = self._silent, False
        if silent:
            print(f"{self.name} answers again", file=sys.stderr)  # noqa: T201

    def _say(self, silence: float, reason: str) -> None:
        """Say once that the server is waited for, if it is for more than a moment."""
        with self._lock:
            first = silence > _SAY_AFTER and not self._silent
            self._silent = self._silent or first
        if first:
            print(  # noqa: T201
                f"{self.name}: waiting up to {self.retry_timeout:.0f} s for an answer ({reason})",
                file=sys.stderr,
            )
