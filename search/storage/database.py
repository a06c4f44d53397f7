"""What outlives the process, in one database: the Optuna study, per-example scores, and the batches of candidates.

Optuna's tables hold the finished trials. Two tables of our own stand beside them: ``promptfront_scores`` (model x
rendered request -> log-likelihoods or reply) and ``promptfront_batches`` (candidates written down before they are scored, with
the worker that scores them). A worker that dies leaves its batch to the next one, which finds there exactly what was
to be done.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import sqlalchemy as sa
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SAWarning,
    SQLAlchemyError,
)

from ..contracts import Unscored
from ..errors import InputError, StorageError
from ..secrets import hide, hide_in_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import URL, Connection, Engine

    from ..contracts import Outputs

_METADATA = sa.MetaData()
_SCORES = sa.Table(
    "promptfront_scores",
    _METADATA,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("outputs", sa.Text, nullable=False),
)
_BATCHES = sa.Table(
    "promptfront_batches",
    _METADATA,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)

_BEAT_SECONDS = 10.0
_DEAD_AFTER_SECONDS = 60.0
_LOCK_TIMEOUT_SECONDS = 120.0
_CREATE_ATTEMPTS = 8
_OURS = frozenset({"version_info", *_METADATA.tables})
"""Tables of which a database that two workers begin together may hold the first alone; `studies` is looked at closer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A unit of work: written down with its owner before it is begun.

    ``name`` orders the batches of a study; ``payload`` is what the worker needs to do the work again from nothing.
    """

    name: str
    payload: Any
    done: bool


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
        If the URL is not one, its driver is not installed, or the database cannot be opened or written.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        parsed = _parse(url)
        self.url = _shown(url)
        """The URL as it may be shown: without its password."""
        self._done: dict[tuple[str, str], Batch] = {}
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        sqlite = parsed.get_backend_name() == "sqlite"
        self._path = _sqlite_path(parsed, url) if sqlite else None
        with clear_errors(self.url):
            if self._path and not create and not self._path.is_file():
                raise StorageError(
                    f"`storage` {self.url}: there is no such file; run `optimize --task sentiment` first or name another `storage`"
                )
            options: dict[str, Any] = (
                {"connect_args": {"timeout": _LOCK_TIMEOUT_SECONDS}} if sqlite else {}
            )
            with warnings.catch_warnings():
                warnings.simplefilter("error", SAWarning)  # an option that would be ignored
                self._engine = sa.create_engine(parsed, **options)
            if sqlite:
                _refuse_foreign(self._engine, self.url)
                _prepare_sqlite(self._engine)
            self.optuna = self._create_tables(url, options)
        self._file = _identity(self._path)

    def _create_tables(self, url: str, options: dict[str, Any]) -> RDBStorage:
        braces = url.replace("{", "{{").replace("}", "}}")  # Optuna formats it
        for attempt in range(_CREATE_ATTEMPTS):
            try:
                storage = RDBStorage(braces, engine_kwargs=options)
                _METADATA.create_all(self._engine)
            except (OperationalError, ProgrammingError, IntegrityError) as error:
                # Two workers that start together on a new database both find no tables; the slower one looks again.
                if attempt + 1 == _CREATE_ATTEMPTS or (
                    "exist" not in str(error) and "UNIQUE" not in str(error)
                ):
                    raise
                time.sleep(0.2 * (attempt + 1))
            else:
                return storage
        raise AssertionError("the last attempt returns or raises")

    def check(self) -> None:
        """Raise `StorageError` if the file was deleted or replaced: what SQLite writes from then on is lost."""
        if self._path and _identity(self._path) != self._file:
            raise StorageError(
                f"`storage` {self.url}: the database was deleted or replaced during the run, so nothing can be saved; "
                "put it back and run the same command, or name another `storage`"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let the block write; a database that cannot be written, or is no longer there, is a `StorageError`."""
        self.check()
        with clear_errors(self.url):
            yield
        self.check()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self.writing(), self._engine.begin() as connection:
            yield connection

    def read_scores(self, fingerprint: str, keys: Sequence[str]) -> dict[str, Outputs]:
        """Return the stored log-likelihoods or replies of those keys that have any."""
        found: dict[str, Outputs] = {}
        with clear_errors(self.url), self._engine.connect() as connection:
            for start in range(0, len(keys), 500):
                query = sa.select(_SCORES.c.key, _SCORES.c.outputs).where(
                    _SCORES.c.fingerprint == fingerprint,
                    _SCORES.c.key.in_(keys[start : start + 500]),
                )
                found.update(
                    (row.key, _outputs(json.loads(row.outputs)))
                    for row in connection.execute(query)
                )
        return found

    def write_scores(self, fingerprint: str, outputs: Mapping[str, Outputs]) -> None:
        """Store log-likelihoods or replies in one transaction. What another worker stored meanwhile is kept."""
        with self._transaction() as connection:
            rows = [
                {"fingerprint": fingerprint, "key": k, "outputs": _text(v)}
                for k, v in outputs.items()
            ]
            connection.execute(_insert_or_keep(self._engine), rows)

    def claim_abandoned(self, study: str, prefix: str) -> Batch | None:
        """Take over the oldest unfinished batch of that kind whose worker is gone, if there is one."""
        for row in self._rows(study, _BATCHES.c.done.is_(False)):
            if not row.name.startswith(prefix) or (
                row.owner != self.owner and _alive(row.owner, row.heartbeat)
            ):
                continue
            claim = (
                sa.update(_BATCHES)
                .where(_BATCHES.c.study == study, _BATCHES.c.name == row.name)
                .where(_BATCHES.c.owner == row.owner, _BATCHES.c.done.is_(False))
                .values(owner=self.owner, heartbeat=time.time())
            )
            with self._transaction() as connection:
                taken = connection.execute(claim).rowcount
            if taken:
                return self._batch(row)
        return None

    def add_batch(self, study: str, name: str, payload: Any) -> Batch | None:  # noqa: ANN401 (any JSON value)
        """Write down a new batch as this worker's; nothing if another worker has just taken its name."""
        row = {"study": study, "name": name, "payload": _json(payload), "done": False}
        try:
            with self._transaction() as connection:
                connection.execute(
                    sa.insert(_BATCHES), row | {"owner": self.owner, "heartbeat": time.time()}
                )
        except IntegrityError:
            return None
        return Batch(name, payload, done=False)

    def finish_batch(self, study: str, name: str, payload: Any = None) -> None:  # noqa: ANN401 (any JSON value)
        """Mark a batch as done; ``payload``, where given, replaces what was to be done by what came of it."""
        values: dict[str, Any] = {"done": True}
        if payload is not None:
            values["payload"] = _json(payload)
        with self._transaction() as connection:
            connection.execute(
                sa.update(_BATCHES)
                .where(_BATCHES.c.study == study, _BATCHES.c.name == name)
                .values(**values)
            )

    def owns(self, study: str, name: str) -> bool:
        """Whether the batch is still this worker's: a worker that slept too long finds it taken over."""
        return any(row.owner == self.owner for row in self._rows(study, _BATCHES.c.name == name))

    def batches(self, study: str) -> list[Batch]:
        """Return the study's batches in order of name."""
        # What is done never changes: it is read once.
        known = self._done
        names = [row.name for row in self._rows(study, columns=(_BATCHES.c.name,))]
        new = [name for name in names if (study, name) not in known]
        found: dict[str, Batch] = {}
        for start in range(0, len(new), 500):
            for row in self._rows(study, _BATCHES.c.name.in_(new[start : start + 500])):
                found[row.name] = self._batch(row)
        known.update(((study, name), batch) for name, batch in found.items() if batch.done)
        return [known.get((study, name)) or found[name] for name in names]

    @contextmanager
    def heartbeat(self, study: str) -> Iterator[None]:
        """Keep this worker's batches marked as alive while the block runs."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(_BEAT_SECONDS):
                with (
                    suppress(StorageError),
                    self._transaction() as connection,
                ):  # the next beat tries again
                    mine = (
                        _BATCHES.c.study == study,
                        _BATCHES.c.owner == self.owner,
                        _BATCHES.c.done.is_(False),
                    )
                    connection.execute(
                        sa.update(_BATCHES).where(*mine).values(heartbeat=time.time())
                    )

        thread = threading.Thread(target=beat, name="promptfront-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_BEAT_SECONDS)  # a beat may wait for another worker's lock

    def _rows(self, study: str, *where: Any, columns: Sequence[Any] = (_BATCHES,)) -> list[Any]:  # noqa: ANN401 (SQL terms)
        query = (
            sa.select(*columns).where(_BATCHES.c.study == study, *where).order_by(_BATCHES.c.name)
        )
        with clear_errors(self.url), self._engine.connect() as connection:
            return list(connection.execute(query))

    def _batch(self, row: Any) -> Batch:  # noqa: ANN401 (a row of the table)
        with clear_errors(self.url):
            return Batch(row.name, json.loads(row.payload), row.done)


def _text(outputs: Outputs) -> str:
    return json.dumps({"unscored": outputs.reason} if isinstance(outputs, Unscored) else outputs)


def _outputs(value: Any) -> Outputs:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        return Unscored(value["unscored"])
    return value if isinstance(value, str) else tuple(value)


def _json(payload: Any) -> str:  # noqa: ANN401 (any JSON value)
    text = json.dumps(payload, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character: no database takes it as it is
        return json.dumps(payload)
    return text


def _parse(url: str) -> URL:
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
            "`storage`: expected a database URL such as sqlite:///promptfront.db or postgresql://user@host/name, "
            f"found {re.sub(':.*@', ':***@', url)!r}"
        ) from None
    hide(parsed.password)
    return parsed


def _shown(url: str) -> str:
    """Return the URL without what may be secret in it: the password, and for a server its options."""
    shown = re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)
    return shown if url.startswith("sqlite") else shown.partition("?")[0]


def _sqlite_path(parsed: URL, url: str) -> Path | None:
    """Return the file of an SQLite URL; nothing for a `file:` URI, which is SQLite's own to read."""
    if "?" in url and not parsed.query:
        raise StorageError(
            f"`storage` {url}: what follows ? are options of SQLite, not a name; name a file without ?"
        )
    name = parsed.database or ""
    if name in ("", ":memory:"):
        raise StorageError(
            f"`storage` {url}: this database is gone with the process; name a file, such as sqlite:///promptfront.db"
        )
    return None if name.startswith("file:") else Path(name).absolute()


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name; nothing where there is none, or it was emptied."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found and found.st_size else None


def _refuse_foreign(engine: Engine, url: str) -> None:
    """Leave another program's database as it is."""
    found = sa.inspect(engine)
    tables = set(found.get_table_names())
    studies = "studies" in tables and any(
        column["name"] == "study_name" for column in found.get_columns("studies")
    )
    if tables and not studies and not tables & _OURS:
        names = ", ".join(sorted(tables)[:3])
        raise StorageError(
            f"`storage` {url}: this is another program's database (it holds {names}); name another file"
        )


def _prepare_sqlite(engine: Engine) -> None:
    # Write-ahead logging lets a reader and a writer work at once, so that two workers do not lock each other out.
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")


def _insert_or_keep(engine: Engine) -> Any:  # noqa: ANN401 (each dialect has a class of its own)
    insert = sa.insert(_SCORES)
    if engine.dialect.name in {"mysql", "mariadb"}:
        return insert.prefix_with("IGNORE")
    if engine.dialect.name == "sqlite":
        return insert.prefix_with("OR IGNORE")
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(_SCORES).on_conflict_do_nothing()


def _alive(owner: str, heartbeat: float) -> bool:
    host, pid, _ = owner.rsplit(":", 2)
    if host == socket.gethostname() and not _process_exists(int(pid)):
        return False
    return time.time() - heartbeat < _DEAD_AFTER_SECONDS


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def clear_errors(url: str) -> Iterator[None]:
    """Turn what a database driver raises into one sentence."""
    try:
        yield
    except NoSuchModuleError as error:
        raise StorageError(
            f"`storage` {url}: no driver for this kind of database is installed ({error})"
        ) from None
    except ImportError as error:
        raise StorageError(
            f"`storage` {url}: its driver is not installed ({error}); install it with pip"
        ) from None
    except (IntegrityError, InputError):  # the second is one sentence already
        raise
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"`storage` {url}: the database holds a damaged value ({error}); restore it from a copy, or name another"
        ) from error
    except (
        SQLAlchemyError,
        SAWarning,
        OptunaError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        cause = (error.__cause__ if isinstance(error, OptunaError) else error) or error
        reason = str(getattr(cause, "orig", None) or cause) or type(cause).__name__
        raise StorageError(
            f"`storage` {url}: the database cannot be opened or written ({reason.splitlines()[0]}); "
            "check that the folder exists, is writable and has free space"
        ) from error
