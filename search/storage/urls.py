"""Database URLs: read, and shown without what is secret in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from ..errors import StorageError
from ..secrets import hide, hide_in_url

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def parse_url(url: str) -> URL:
    """Return the URL in parts, and hide its passwords from here on."""
    hide_in_url(url)
    for secret in re.findall(r"(?i)(?:pwd|passw(?:or)?d)\s*=\s*([^;&]+)", unquote(url)):
        hide(secret)
    for secret in re.findall(r"://[^:/@]*:(.*)@", url):
        hide(secret)
    try:
        parsed = sa.engine.make_url(url)
    except (ArgumentError, ValueError):
        raise StorageError(
            "`storage`: expected a database URL such as sqlite:///promptfront.db "
            "or postgresql://user@host/name, "
            f"found {re.sub(':.*@', ':***@', url)!r}"
        ) from None
    hide(parsed.password)
    return parsed


def shown_url(url: str) -> str:
    """Return the URL without what may be secret: the password, and a server's options."""
    shown = re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)
    return shown if url.startswith("sqlite") else shown.partition("?")[0]


def sqlite_path(parsed: URL, url: str) -> Path | None:
    """Return the file of an SQLite URL; nothing for a `file:` URI, which SQLite reads itself."""
    if "?" in url and not parsed.query:
        raise StorageError(
            f"`storage` {url}: SQLite reads what follows ? as options, not as a name; "
            "name a file without ?"
        )
    name = parsed.database or ""
    if name in ("", ":memory:"):
        raise StorageError(
            f"`storage` {url}: this database is lost when the process ends; "
            "name a file, such as sqlite:///promptfront.db"
        )
    return None if name.startswith("file:") else Path(name).absolute()
