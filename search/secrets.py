"""Secrets never appear: what is hidden here is masked in every message, log and file that promptfront writes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

MASK = "***"
_LEAST = 4
"""Characters a secret has at least: a shorter one would mask ordinary words."""
_SECRET_PARAMETERS = ("key", "token", "secret", "password", "passwd", "pwd", "auth", "sig", "credential")
_SECRET_ENDINGS = ("key", "token", "secret", "password", "passwd", "pwd")
_lock = threading.Lock()
_hidden: set[str] = set()


def hide(secret: str | None) -> None:
    """Mask a secret from here on, in whatever form it appears: as it is, stripped, as its repr, URL-encoded."""
    forms = set[str]()
    for text in (secret or "", (secret or "").strip()):
        raw = text.encode("utf-8", "surrogatepass")
        forms |= {text, repr(text)[1:-1], repr(raw)[2:-1], quote(raw, safe="")}
        forms |= {quote(raw), quote_plus(raw), unquote(text)}
    with _lock:
        _hidden.update(form for form in forms if len(form.strip()) >= _LEAST)


def hide_in_url(url: str | None) -> None:
    """Hide the password of a URL, and the values of its query that are named like secrets."""
    try:
        parts = urlsplit(url or "")
        hide(parts.password)
        for name, value in parse_qsl(parts.query):
            if any(word in name.lower() for word in _SECRET_PARAMETERS):
                hide(value)
    except ValueError:  # no URL: there is nothing in it to find
        return


def mask(text: str) -> str:
    """Return a text with every hidden secret masked."""
    with _lock:
        forms = sorted(_hidden, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, MASK)
    return text


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they may be written down: without keys and passwords, other texts masked."""
    secret = {name for name in options if name.lower().endswith(_SECRET_ENDINGS)}
    for value in (options[name] for name in secret):
        hide(value if isinstance(value, str) else None)
    return {name: _masked(value) for name, value in options.items() if name not in secret}


def _masked(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(value, str):
        hide_in_url(value)
        return mask(value)
    if isinstance(value, dict):
        return without_secrets(value)
    return [_masked(item) for item in value] if isinstance(value, list | tuple) else value
