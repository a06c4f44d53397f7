"""Secrets never appear: what is hidden here is masked in all that promptfront writes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

MASK = "***"
_LEAST = 4
"""Characters a secret has at least: a shorter one would mask ordinary words."""
_SECRET_PARAMETERS = (
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "auth",
    "sig",
    "credential",
)
_SECRET_ENDINGS = ("key", "token", "secret", "password", "passwd", "pwd")
_lock = threading.Lock()
_hidden: set[str] = set()


def hide(secret: str | None) -> None:
    """Mask a secret from here on, in whatever form it appears.

    That is as it is, stripped, as its repr, in JSON, URL-encoded.
    """
    forms = set[str]()
    for text in (secret or "", (secret or "").strip()):
        raw = text.encode("utf-8", "surrogatepass")
        forms |= {text, repr(text)[1:-1], repr(raw)[2:-1], quote(raw, safe="")}
        forms |= {quote(raw), quote_plus(raw), unquote(text)}
        forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    with _lock:
        _hidden.update(form for form in forms if len(form.strip()) >= _LEAST)


def hide_in_url(url: str | None, *, longest_shown: int | None = None) -> None:
    """Hide the password of a URL and the values of its query that are named like secrets.

    Where given, values of more than ``longest_shown`` characters are hidden too, whatever their
    names.
    """
    try:
        parts = urlsplit(url or "")
    except ValueError:  # no URL: there is nothing in it to find
        return
    hide(parts.password)
    for pair in re.split("[&;]", parts.query):
        name, _, value = pair.partition("=")  # as it is written, which no encoder need write again
        secret = any(word in name.lower() for word in _SECRET_PARAMETERS)
        if secret or (longest_shown is not None and len(value) > longest_shown):
            hide(value)
            hide(unquote_plus(value))


def mask(text: str) -> str:
    """Return a text with every hidden secret masked."""
    with _lock:
        forms = sorted(_hidden, key=len, reverse=True)
    for form in forms:
        text = text.replace(form, MASK)
    return text


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they may be written down: without keys and passwords, texts masked."""
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
