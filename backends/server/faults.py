"""What a server's errors mean: which are waited out, cost one request, or end a run."""

from __future__ import annotations

import email.utils
import math
import re
import time
from typing import Any, Literal, NamedTuple

from ...search.secrets import mask
from .address import proxies
from .answers import NoChoicesError, UnusableAnswerError, field

Kind = Literal[
    "wait",
    "unusable",
    "no choices",
    "filtered",
    "refused",
    "unknown parameter",
    "denied",
    "missing",
    "quota",
    "broken",
]
_TRY_AGAIN = frozenset({408, 409, 425, 429})
_DENIED = frozenset({401, 402, 403, 407})
_MISSING = frozenset({404, 405, 410, 501})
_FILTERED = re.compile(
    r"content[_ -]?(filter|policy|management)|responsible[_ ]?ai|moderation|flagged|"
    r"safety (system|policy|filter)|"
    r"data_inspection_failed|sensitive (word|content)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[_ ](quota|balance|credits?|funds)|current quota|billing|credit balance|"
    r"payment required|out of credits|arrearage",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"unsupported|not (?:\w+ )?support|unrecognized|unknown|unexpected|not permitted|not allowed|"
    r"not available|deprecated|does not accept|extra (inputs|fields)|"
    r"invalid (parameter|argument|value)|must be|has to be|use .max_completion_tokens",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"context|too (large|long)|at most|exceed", re.IGNORECASE)
_DISPENSABLE = ("temperature", "seed", "top_p", "stop", "max_tokens")
"""Parameters that a request may go without; for the last there is another name."""
_SHOWN = 200


class Fault(NamedTuple):
    """Why there is no answer.

    Parameters
    ----------
    kind
        What can be done about it.
    reason
        In words, without secrets.
    wait
        How long the server asks to wait.
    parameter
        The name of the parameter that it does not know.
    """

    kind: Kind
    reason: str
    wait: float | None = None
    parameter: str = ""


def fault(error: Exception, sent: dict[str, Any]) -> Fault:
    """Return what an error means for the request with the body ``sent``."""
    if isinstance(error, NoChoicesError):
        return Fault("no choices", _reason(error))
    if isinstance(error, UnusableAnswerError):
        return Fault("unusable", _reason(error))
    if isinstance(error, (UnicodeError, OverflowError)):
        return Fault("broken", _reason(error))
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        local = type(error.__cause__).__name__ in (
            "LocalProtocolError",
            "UnsupportedProtocol",
            "InvalidURL",
        )
        return Fault("broken" if local else "wait", _reason(error) + proxies())
    response = getattr(error, "response", None)
    wait = _retry_after(response.headers) if response is not None else None
    kind, parameter = _kind(status, error, sent)
    return Fault(kind, _reason(error), wait, parameter)


def error_in(answer: Any) -> Fault | None:  # noqa: ANN401 (any JSON)
    """Return the error that an answer with status 200 holds, if it holds one instead of choices."""
    error = field(answer, "error")
    if not error or field(answer, "choices"):
        return None
    reason = mask(" ".join(str(field(error, "message") or error).split()))[:_SHOWN]
    said = f"{error}"
    kind: Kind = (
        "quota" if _QUOTA.search(said) else "filtered" if _FILTERED.search(said) else "unusable"
    )
    return Fault(kind, reason)


def _kind(status: int, error: Exception, sent: dict[str, Any]) -> tuple[Kind, str]:
    said = f"{getattr(error, 'code', '')} {getattr(error, 'type', '')} {error}"
    if status in (402, 403, 429) and (status == 402 or _QUOTA.search(said)):
        return "quota", ""
    if status in _MISSING:
        return "missing", ""
    if status in _TRY_AGAIN or not 400 <= status < 500:
        return "wait", ""
    if status != 401 and _FILTERED.search(said):
        return "filtered", ""
    if status in _DENIED:
        return "denied", ""
    parameter = _unknown_parameter(error, said, sent)
    return ("unknown parameter", parameter) if parameter else ("refused", "")


def _unknown_parameter(error: Exception, said: str, sent: dict[str, Any]) -> str:
    """Return the dispensable parameter that an error is about."""
    if not _UNKNOWN.search(said):
        return ""
    for name in _DISPENSABLE:
        named = getattr(error, "param", None) == name or re.search(rf"(?<!\w){name}(?!\w)", said)
        if name in sent and named and not (name == "max_tokens" and _TOO_LONG.search(said)):
            return name
    return ""


def _reason(error: Exception) -> str:
    """Return an error in words; what is hidden is masked before anything is cut."""
    text = mask(" ".join(str(error).split()))[:_SHOWN] or type(error).__name__
    cause = error.__cause__
    return f"{text} ({mask(str(cause))[:100]})" if cause is not None and str(cause) else text


def _retry_after(headers: Any) -> float | None:  # noqa: ANN401
    """Return the seconds of a Retry-After header, a number or a date, if it can be read."""
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)
