"""Where a server is and with which key it is asked, checked before anything is sent."""

from __future__ import annotations

import os
import re
import sys
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ...search.errors import BackendError
from ...search.secrets import hide, hide_in_url, mask

KEY = "OPENAI_API_KEY"
_BASE_URL = "OPENAI_BASE_URL"
_HEADERS = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
_STAND_IN = re.compile(r"\s*[A-Za-z]{0,8}\s*")
"""What servers that need no key are given ("none", "EMPTY", "ollama"): no secret, and a word of
ordinary sentences."""
_LONGEST_SHOWN = 7
"""Characters of a value in an address's query that is no secret for sure, whatever its name."""


def import_openai() -> Any:  # noqa: ANN401 (it may be absent)
    """Return the official client's package."""
    try:
        import openai
    except ImportError as error:
        raise BackendError(
            f"`backend` openai: the openai package cannot be imported ({error}); pip install openai"
        ) from error
    return openai


def connect(base_url: str | None, timeout: float, key_variable: str = KEY) -> Any:  # noqa: ANN401
    """Return the official client for an address, or OpenAI's own, with the key of the environment.

    The variable ``key_variable`` holds it.

    Raises
    ------
    BackendError
        If address, key or proxy cannot be used.
    """
    key, url = (
        _header(key_variable, secret=True),
        (base_url or os.environ.get(_BASE_URL) or "").strip() or None,
    )
    if url is None and not key:
        raise BackendError(
            f"`backend` openai: expected a key in {key_variable}, "
            "or `base_url` for a server that needs none"
        )
    headers = {name: value for name in _HEADERS if (value := _header(name))}
    options = {"organization": headers.get(_HEADERS[0]), "project": headers.get(_HEADERS[1])}
    address, query = _checked(url, key_variable) if url else (None, {})
    openai, problem = import_openai(), ""
    try:
        return openai.OpenAI(
            base_url=address,
            api_key=key or "none",
            max_retries=0,
            timeout=timeout,
            default_query=query,
            **options,
        )
    except (ImportError, ValueError, OSError, openai.OpenAIError, *_invalid_url()) as error:
        problem = " ".join(str(error).split())
    raise BackendError(f"`base_url` {address}: the client cannot use it ({problem}){proxies()}")


def _invalid_url() -> list[type[Exception]]:
    """Return what the official client's own client raises of an address or a proxy.

    That is httpx or, from 3.x on, httpx2.
    """
    return [sys.modules[name].InvalidURL for name in ("httpx", "httpx2") if name in sys.modules]


def proxies() -> str:
    """Return a note on the proxies that the environment names; empty where it names none."""
    named = [(name, os.environ.get(name) or os.environ.get(name.lower())) for name in _PROXIES]
    for _, value in named:
        hide_in_url(value)
    values = ", ".join(f"{name}={value.strip()}" for name, value in named if value)
    return mask(f"; the environment sets {values}") if values else ""


def _header(name: str, *, secret: bool = False) -> str:
    """Return what the environment has for a header, without white space around it."""
    value = os.environ.get(name, "")
    if secret and not _STAND_IN.fullmatch(value):
        hide(value)
    value = value.strip()
    for i, char in enumerate(value, 1):
        if not (char.isascii() and char.isprintable()):
            raise BackendError(
                f"{name}: expected printable ASCII characters, found another "
                f"(number {i} of {len(value)}); copy the value again"
            )
    return value


def _checked(url: str, key_variable: str) -> tuple[str, dict[str, str]]:
    """Return an address without its query, and the query."""
    hide_in_url(url, longest_shown=_LONGEST_SHOWN)
    problem = ""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
        query = dict(parse_qsl(parts.query))
    except ValueError as error:
        problem = str(error)
    if problem:
        raise BackendError(
            f"`base_url`: expected an address such as http://127.0.0.1:8000/v1 ({problem})"
        )
    if parts.username or parts.password:
        raise BackendError(
            f"`base_url`: expected an address without a password; set {key_variable} to the key"
        )
    if (
        parts.scheme not in ("http", "https")
        or not host
        or port == 0
        or any(map(str.isspace, parts.netloc))
    ):
        raise BackendError(
            f"`base_url`: expected an address such as http://127.0.0.1:8000/v1, found {url}"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}", query
