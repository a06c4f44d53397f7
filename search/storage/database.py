"""What outlives the process, in one database: the Optuna study, scores, and batches of work.

Optuna's tables hold the finished trials; beside them stand our own (`schema.py`):
``promptfront_scores`` (model x rendered request -> log-likelihoods or reply) and
``promptfront_batches`` (`batches.py`).
"""

from __future__ import annotations

import json
import os
import socket
import time
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SAWarning

from ..contracts import Unscored, Written
from ..errors import StorageError
from .errors import clear_errors
from .schema import SCORES, create_tables, insert_or_keep, refuse_foreign, refuse_other_version
from .urls import parse_url, shown_url, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.engine import Connection, Engine

    from ..contracts import Outputs

_LOCK_TIMEOUT_SECONDS = 120.0
"""How long a write waits for another worker's; SQLite's own 5 are too few on a busy disk."""
_KEYS = 500
"""Keys in one query: SQLite takes 999 at least."""


class Store:
    """The database behind a study.

    Parameters
    ----------
    url
        A database URL as Optuna and SQLAlchemy take it, for example ``sqlite:///promptfront.db``.
    create
        Whether an SQLite file that does not exist is created.

    Raises
    ------
    StorageError
        If the URL is none, its driver is not installed, or the database cannot be opened.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        parsed = parse_url(url)
        self.url = shown_url(url)
        """The URL as it may be shown: without its password."""
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        sqlite = parsed.get_backend_name() == "sqlite"
        self._path = sqlite_path(parsed, url) if sqlite else None
        with clear_errors(self.url):
            if self._path and not create and not self._path.is_file():
                raise StorageError(
                    f"`storage` {self.url}: there is no such file; "
                    "run `optimize --task sentiment` first or name another `storage`"
                )
            options: dict[str, Any] = (
                {"connect_args": {"timeout": _LOCK_TIMEOUT_SECONDS}} if sqlite else {}
            )
            with warnings.catch_warnings():
                warnings.simplefilter("error", SAWarning)  # an option that would be ignored
                self._engine = sa.create_engine(parsed, **options)
            if sqlite:
                refuse_foreign(self._engine, self.url)
            refuse_other_version(self._engine, self.url)
            if sqlite:
                _prepare_sqlite(self._engine)
            self.optuna = create_tables(self._engine, url, options)
        self._file = _identity(self._path)

    def check(self) -> None:
        """Raise `StorageError` if the file is another: what SQLite writes from then on is lost."""
        if self._path and _identity(self._path) != self._file:
            raise StorageError(
                f"`storage` {self.url}: the database was deleted or replaced during the run, "
                "so nothing can be saved; put it back and run the same command, "
                "or name another `storage`"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let the block write; a database that cannot be written is a `StorageError`."""
        self.check()
        with clear_errors(self.url):
            yield
        self.check()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give the block a connection to read from."""
        with clear_errors(self.url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give the block a connection whose writes are kept together or not at all."""
        with self.writing(), self._engine.begin() as connection:
            yield connection

    def read_scores(self, fingerprint: str, keys: Sequence[str]) -> dict[str, Outputs]:
        """Return the stored log-likelihoods or replies of those keys that have any."""
        scores: dict[str, Outputs] = {}
        with self.reading() as connection:
            for start in range(0, len(keys), _KEYS):
                some = SCORES.c.key.in_(keys[start : start + _KEYS])
                query = sa.select(SCORES.c.key, SCORES.c.outputs)
                query = query.where(SCORES.c.fingerprint == fingerprint, some)
                for row in connection.execute(query):
                    scores[row.key] = _outputs(json.loads(row.outputs))
        return scores

    def write_scores(self, fingerprint: str, outputs: Mapping[str, Outputs]) -> None:
        """Store log-likelihoods or replies at once; what another worker stored is kept."""
        with self.transaction() as connection:
            rows = [
                {"fingerprint": fingerprint, "key": key, "outputs": _text(one)}
                for key, one in outputs.items()
            ]
            connection.execute(insert_or_keep(self._engine, SCORES), rows)


def _text(outputs: Outputs) -> str:
    if isinstance(outputs, Unscored):
        return json.dumps({"unscored": outputs.reason})
    return json.dumps(asdict(outputs) if isinstance(outputs, Written) else outputs)


def _outputs(value: Any) -> Outputs:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        if "reply" in value:
            return Written(value["reply"], tuple(value["logs"]))
        return Unscored(value["unscored"])
    return value if isinstance(value, str) else tuple(value)


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return what tells a file from another of its name; nothing where it is gone or empty."""
    try:
        file = path.stat() if path else None
    except OSError:
        return None
    return (file.st_dev, file.st_ino) if file and file.st_size else None


def _prepare_sqlite(engine: Engine) -> None:
    # Write-ahead logging lets a reader and a writer work at once, so workers do not wait.
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
