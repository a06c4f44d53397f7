"""Reading what a server answers: any JSON becomes what was asked for, or `UnusableAnswerError`."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any, NamedTuple

from ...search.contracts import Unscored

_CUT = ("length", "max_tokens")
_ROUNDING = 1e-2
"""By which a log-probability may be above 0."""
_LEAST = -9999.0
"""Stands for minus infinity, as at OpenAI."""


class UnusableAnswerError(Exception):
    """A body that is no answer to what was asked; the request is sent again."""


class NotGivenError(UnusableAnswerError):
    """An answer without what was asked for: the server may not have it."""


class NoChoicesError(UnusableAnswerError):
    """An answer with an empty list of choices: some content filters give that."""


class Reply(NamedTuple):
    """What a model wrote, whether it was cut, and whether there was room for thinking."""

    text: str
    cut: bool
    roomy: bool = False


def parse(content: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """Return the JSON of a body."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        start = " ".join(content[:60].decode(errors="replace").split())
        raise UnusableAnswerError(f"expected JSON, found {start or 'an empty body'}") from None


def choices(answer: Any, count: int) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return an answer's choices in order, if it has so many."""
    given = field(answer, "choices")
    if given == []:
        raise NoChoicesError("an answer without choices")
    whole = isinstance(given, list) and len(given) == count
    if not whole or not all(isinstance(choice, dict) for choice in given):
        raise UnusableAnswerError(
            f"expected an answer with {count} choices, found {_start(answer)}"
        )
    numbers = [choice.get("index") for choice in given]
    if sorted(number for number in numbers if type(number) is int) != list(range(count)):
        return list(given)  # as they stand, where the server does not number them
    return sorted(given, key=lambda choice: int(choice["index"]))


def reply(choice: dict[str, Any]) -> Reply | Unscored:
    """Return what a choice of a completion or of chat says, or why it says nothing."""
    end = str(choice.get("finish_reason")).lower()
    if end == "content_filter":
        return Unscored("filtered")
    if "message" not in choice:
        if "text" not in choice:
            raise UnusableAnswerError(f"expected a completion, found {_start(choice)}")
        return Reply(_text(choice["text"]), end in _CUT)
    message = choice["message"]
    if not isinstance(message, dict):
        raise UnusableAnswerError(f"expected a message, found {_start(choice)}")
    text, refusal = _text(message.get("content")), message.get("refusal")
    if not text.strip() and isinstance(refusal, str) and refusal.strip():
        return Unscored("refused")
    return Reply(text, end in _CUT)


def thinks_first(choice: dict[str, Any]) -> bool:
    """Whether a model's first tokens are of its thinking, which the server shows elsewhere."""
    message = choice.get("message")
    return any(
        isinstance(field(message, name), str) and field(message, name)
        for name in ("reasoning_content", "reasoning")
    )


def listed(entries: Any) -> list[tuple[Any, str, float]]:  # noqa: ANN401
    """Return id, text and log-probability of each token of a list, or of a mapping from texts."""
    if isinstance(entries, dict):
        return [(None, str(text), number(value)) for text, value in entries.items()]
    if not isinstance(entries, list):
        return []
    tokens = []
    for entry in entries:
        if isinstance(token := field(entry, "token"), str):
            tokens.append((field(entry, "id"), token, number(field(entry, "logprob"))))
    return tokens


def first_tokens(choice: dict[str, Any]) -> list[tuple[Any, str, float]]:
    """Return what a choice lists as its likely first tokens, whichever way the server writes it."""
    logprobs = choice.get("logprobs")
    content, top = field(logprobs, "content"), field(logprobs, "top_logprobs")
    entries = (
        listed(field(content[0], "top_logprobs")) if isinstance(content, list) and content else []
    )
    entries = entries or (listed(top[0]) if isinstance(top, list) and top else [])
    if not entries:
        raise NotGivenError("a reply without log-probabilities")
    return entries


def number(value: object) -> float:
    """Return a log-probability."""
    logprob = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            logprob = float(value)
    if math.isnan(logprob) or logprob > _ROUNDING:
        raise UnusableAnswerError(f"expected a log-probability, found {str(value)[:50]!r}")
    return max(0.0 if logprob > 0 else logprob, _LEAST)


def count(value: object) -> int:
    """Return a number of tokens, 0 where none is given."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e12:
        return 0
    return int(value)


def field(value: Any, name: str) -> Any:  # noqa: ANN401
    """Return what an object has under a name; nothing if it is no object."""
    return value.get(name) if isinstance(value, dict) else None


def _text(content: Any) -> str:  # noqa: ANN401
    """Return a content as text: text, a number, or parts of which the texts are joined."""
    if content is None:
        return ""
    if isinstance(content, str):
        return without_surrogates(content)
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        return str(content)
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        parts = (part if isinstance(part, str) else field(part, "text") for part in content)
        return "".join(_text(part) for part in parts if isinstance(part, str))
    raise UnusableAnswerError(f"expected a text, found {_start(content)}")


def without_surrogates(text: str) -> str:
    """Return a text that can be encoded: half a character is none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _start(value: object) -> str:
    return " ".join(str(value)[:100].split())
