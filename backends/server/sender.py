"""One request to a server, sent until it is answered, refused, or nothing more can be hoped for."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ...search.contracts import Unscored
from ...search.errors import BackendError, InterruptedCallError
from ...search.secrets import mask
from .address import connect, import_openai
from .answers import NotGivenError, UnusableAnswerError, count, field, parse
from .calls import Budget, Call, NoListError, QuotaError, UnsupportedError, Usage
from .faults import Fault, error_in, fault

_log = logging.getLogger(__name__)
_FIRST_WAIT = 0.5
"""Seconds before the second attempt; they double from one attempt to the next."""
_LONGEST_WAIT = 20.0
_SAY_AFTER = 3.0
"""Seconds of silence after which the user is told."""
_UNUSABLE = 6
"""Tries after which unusable answers stay what they are."""
_WITHOUT_CHOICES = 3
"""Tries after which answers without choices are taken to be filtered."""
_REFUSED = 20
"""Refusals, where nothing was ever answered, after which all are taken to be refused."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Ask = Callable[[Item], Call]
"""Returns the request of an item."""
Read = Callable[[Item, Any], Answer]
"""Takes from the answer, any JSON, what was asked for, or raises `UnusableAnswerError`."""


class Sender:
    """The official client, with retries of its own.

    Faults (no connection, time-outs, status 408, 409, 425, 429 and 5xx, bodies that are cut or no
    answer) are tried again after a growing, randomly varied wait, no shorter than the server's
    Retry-After says, until a request's patience has brought no answer. The official client's own
    retries know neither a limit in time nor unusable bodies, and cannot be stopped. A parameter
    that the server does not know is left out from then on, ``max_tokens`` called
    ``max_completion_tokens``. The key is read from the environment and kept nowhere else.

    Parameters
    ----------
    base_url
        The server's address, with ``/v1``; by default OpenAI's.
    timeout
        Seconds for one attempt.
    budget
        What the run may cost.
    key_variable
        The variable that holds the key.
    """

    def __init__(
        self, base_url: str | None, timeout: float, budget: Budget, key_variable: str
    ) -> None:
        self.official = connect(base_url, timeout, key_variable)
        self.budget, self.usage = budget, Usage()
        self.answered = set[str]()
        """Paths on which the server has answered."""
        self._left_out = set[str]()
        self._refusals = 0
        self._lock, self._silent = threading.Lock(), False
        self._rng = random.Random()  # noqa: S311 (not cryptography)

    @property
    def name(self) -> str:
        """The server's address, without its query, for messages."""
        return mask(str(self.official.base_url).partition("?")[0].rstrip("/"))

    def send(
        self,
        ask: Ask[Item],
        read: Read[Item, Answer],
        item: Item,
        patience: float,
        stopped: threading.Event,
        *,
        probes: bool = False,
    ) -> Answer | Unscored | UnsupportedError:
        """Return what was read, or why the request has no answer while others may have one.

        Once it is ``stopped``, it is not sent again.

        Raises
        ------
        BackendError
            If no other request can be answered either.
        """
        started, pause, met = time.monotonic(), _FIRST_WAIT, dict[str, int]()
        while not stopped.is_set():
            self._check_cost()
            call = self._without_unknown(ask(item))
            result = self._attempted(call, lambda answer: read(item, answer), probes=probes)
            if not isinstance(result, Fault):
                return result
            met[result.kind] = met.get(result.kind, 0) + 1
            if (end := self._end(call, result, met, probes=probes)) is not None:
                return end
            if result.kind == "unknown parameter":
                continue
            seconds = max(pause * self._rng.uniform(0.5, 1.0), result.wait or 0.0)
            pause = min(2 * pause, _LONGEST_WAIT)
            silence = time.monotonic() - started + seconds
            if silence > patience:
                raise InterruptedCallError(f"{self.name}: {_no_answer(result, patience)}")
            self._say(silence, patience, result.reason)
            stopped.wait(seconds)
        raise InterruptedCallError(f"{self.name}: stopped")

    def _attempted(
        self, call: Call, read: Callable[[Any], Answer], *, probes: bool
    ) -> Answer | Fault:
        """Send a request once, and return what was read from its answer, or the fault."""
        faults = (
            import_openai().OpenAIError,
            UnusableAnswerError,
            UnicodeError,
            OverflowError,
            OSError,
        )
        try:
            answer = _send(self.official, call)
            if (met := error_in(answer)) is not None:
                return met
            result = read(answer)
        except faults as error:
            met = fault(error, call.body)
            not_given = probes and isinstance(error, NotGivenError)
            return met._replace(kind="refused") if not_given else met
        self._count(call, answer)
        return result

    def _without_unknown(self, call: Call) -> Call:
        """Return a request without the parameters that the server does not know."""
        body = {name: value for name, value in call.body.items() if name not in self._left_out}
        if "max_tokens" in call.body and "max_tokens" not in body:
            body["max_completion_tokens"] = call.body["max_tokens"]
        return Call(call.path, body)

    def _end(
        self, call: Call, met: Fault, times: dict[str, int], *, probes: bool
    ) -> Unscored | UnsupportedError | None:
        """Return what a fault makes of its request, nothing to send it again, or end the run."""
        with self._lock:
            self.usage.faults += 1
            self._left_out |= {met.parameter} - {""}
            self._refusals += met.kind == "refused" and not probes
            all_refused = self._refusals >= _REFUSED and call.path not in self.answered
        unusable = times.get("unusable", 0) >= _UNUSABLE
        page = unusable or "found <" in met.reason
        no_list = met.kind in ("missing", "refused") or (met.kind == "unusable" and page)
        if call.path == "models" and no_list:
            raise NoListError(f"{self.name}: no list of models ({met.reason})")
        if met.kind == "filtered" or times.get("no choices", 0) >= _WITHOUT_CHOICES:
            return Unscored("filtered")
        if met.kind == "quota":
            raise QuotaError(f"{self.name}: the paid quota is used up: {met.reason}")
        refuses = f"{self.name}: the server refuses the request: {met.reason}"
        if met.kind in ("denied", "broken"):
            raise BackendError(refuses)
        if met.kind == "missing":
            v1 = self.name.endswith("/v1")
            hint = "" if v1 else "; check that `base_url` ends in /v1"
            raise UnsupportedError(refuses + hint)
        if met.kind == "refused":
            if all_refused:
                raise UnsupportedError(refuses)
            return UnsupportedError(refuses)
        if unusable:
            raise InterruptedCallError(
                f"{self.name}: no usable answer in {_UNUSABLE} tries; the last: {met.reason}"
            )
        return None

    def _check_cost(self) -> None:
        limit = self.budget.max_cost
        if limit is not None and self.budget.cost(self.usage) >= limit:
            raise InterruptedCallError(
                f"`max_cost`: this run may cost {limit:g} dollars and has cost "
                f"{self.budget.cost(self.usage):.4g}"
            )

    def _count(self, call: Call, answer: Any) -> None:  # noqa: ANN401 (any JSON)
        usage = field(answer, "usage")
        with self._lock:
            if call.path != "models":
                self.answered.add(call.path)
            self.usage.requests += 1
            self.usage.prompt_tokens += count(field(usage, "prompt_tokens"))
            self.usage.completion_tokens += count(field(usage, "completion_tokens"))
            silent, self._silent = self._silent, False
        if silent:
            _log.info("%s answers again", self.name)

    def _say(self, silence: float, patience: float, reason: str) -> None:
        """Say once that the server is waited for, if it is for more than a moment."""
        with self._lock:
            first = silence > _SAY_AFTER and not self._silent
            self._silent = self._silent or first
        if first:
            _log.info("%s: waiting up to %.0f s for an answer (%s)", self.name, patience, reason)


def _no_answer(met: Fault, patience: float) -> str:
    asks = f"; the server asks to wait {met.wait:.0f} s" if met.wait and met.wait > patience else ""
    return f"no answer within {patience:g} s; the last problem: {met.reason}{asks}"


def _send(official: Any, call: Call) -> Any:  # noqa: ANN401 (any JSON)
    """Send a request with the official client and return the JSON of its answer."""
    if call.path == "models":
        return parse(official.models.with_raw_response.list().content)
    api = official.chat.completions if call.path == "chat" else official.completions
    named, others = {}, {}
    for name, value in call.body.items():
        if name in ("model", "messages", "prompt"):
            named[name] = value
        else:
            others[name] = value
    return parse(api.with_raw_response.create(**named, extra_body=others).content)
