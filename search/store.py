"""What outlives the process, in one database: the Optuna study, per-example scores, and the batches of candidates.

Optuna's tables hold the finished trials. Two tables of our own stand beside them: ``promptfront_scores`` (model x
rendered request -> log-likelihoods or reply) and ``promptfront_batches`` (candidates written down before they are scored, with
the worker that scores them). A worker that dies leaves its batch to the next one, which finds there exactly what was
to be done.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from .errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.engine import URL, Engine

    from .contracts import Outputs

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
        self.url = url
        self._done: dict[tuple[str, str], Batch] = {}
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        parsed = _parse(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite and not create and not Path(parsed.database or "").is_file():
            raise StorageError(
                f"--storage {url}: there is no such file; run `optimize --task sentiment` first or name another --storage"
            )
        options: dict[str, Any] = {"connect_args": {"timeout": _LOCK_TIMEOUT_SECONDS}} if sqlite else {}
        with clear_errors(url):
            self._engine = sa.create_engine(parsed, **options)
            if sqlite:
                _prepare_sqlite(self._engine)
            self.optuna = self._create_tables(url, options)

    def _create_tables(self, url: str, options: dict[str, Any]) -> RDBStorage:
        for attempt in range(_CREATE_ATTEMPTS):
            try:
                storage = RDBStorage(url, engine_kwargs=options)
                _METADATA.create_all(self._engine)
            except (OperationalError, ProgrammingError, IntegrityError) as error:
                # Two workers that start together on a new database both find no tables; the slower one looks again.
                if attempt + 1 == _CREATE_ATTEMPTS or ("exist" not in str(error) and "UNIQUE" not in str(error)):
                    raise
                time.sleep(0.2 * (attempt + 1))
            else:
                return storage
        raise AssertionError("the last attempt returns or raises")

    def read_scores(self, fingerprint: str, keys: Sequence[str]) -> dict[str, Outputs]:
        """Return the stored log-likelihoods or replies of those keys that have any."""
        found: dict[str, Outputs] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(keys), 500):
                query = sa.select(_SCORES.c.key, _SCORES.c.outputs).where(
                    _SCORES.c.fingerprint == fingerprint, _SCORES.c.key.in_(keys[start : start + 500])
                )
                found.update((row.key, _outputs(json.loads(row.outputs))) for row in connection.execute(query))
        return found

    def write_scores(self, fingerprint: str, outputs: Mapping[str, Outputs]) -> None:
        """Store log-likelihoods or replies in one transaction. What another worker stored meanwhile is kept."""
        with clear_errors(self.url), self._engine.begin() as connection:
            rows = [{"fingerprint": fingerprint, "key": k, "outputs": json.dumps(v)} for k, v in outputs.items()]
            connection.execute(_insert_or_keep(self._engine), rows)

    def claim_abandoned(self, study: str, prefix: str) -> Batch | None:
        """Take over the oldest unfinished batch of that kind whose worker is gone, if there is one."""
        for row in self._rows(study, _BATCHES.c.done.is_(False)):
            if not row.name.startswith(prefix) or (row.owner != self.owner and _alive(row.owner, row.heartbeat)):
                continue
            claim = (
                sa.update(_BATCHES)
                .where(_BATCHES.c.study == study, _BATCHES.c.name == row.name)
                .where(_BATCHES.c.owner == row.owner, _BATCHES.c.done.is_(False))
                .values(owner=self.owner, heartbeat=time.time())
            )
            with self._engine.begin() as connection:
                if connection.execute(claim).rowcount:
                    return Batch(row.name, json.loads(row.payload), done=False)
        return None

    def add_batch(self, study: str, name: str, payload: Any) -> Batch | None:  # noqa: ANN401 (any JSON value)
        """Write down a new batch as this worker's; nothing if another worker has just taken its name."""
        row = {"study": study, "name": name, "payload": json.dumps(payload, ensure_ascii=False), "done": False}
        try:
            with clear_errors(self.url), self._engine.begin() as connection:
                connection.execute(sa.insert(_BATCHES), row | {"owner": self.owner, "heartbeat": time.time()})
        except IntegrityError:
            return None
        return Batch(name, payload, done=False)

    def finish_batch(self, study: str, name: str, payload: Any = None) -> None:  # noqa: ANN401 (any JSON value)
        """Mark a batch as done; ``payload``, where given, replaces what was to be done by what came of it."""
        values: dict[str, Any] = {"done": True}
        if payload is not None:
            values["payload"] = json.dumps(payload, ensure_ascii=False)
        with clear_errors(self.url), self._engine.begin() as connection:
            connection.execute(
                sa.update(_BATCHES).where(_BATCHES.c.study == study, _BATCHES.c.name == name).values(**values)
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
                found[row.name] = Batch(row.name, json.loads(row.payload), row.done)
        known.update(((study, name), batch) for name, batch in found.items() if batch.done)
        return [known.get((study, name)) or found[name] for name in names]

    @contextmanager
    def heartbeat(self, study: str) -> Iterator[None]:
        """Keep this worker's batches marked as alive while the block runs."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(_BEAT_SECONDS):
                with suppress(SQLAlchemyError), self._engine.begin() as connection:  # the next beat tries again
                    mine = (_BATCHES.c.study == study, _BATCHES.c.owner == self.owner, _BATCHES.c.done.is_(False))
                    connection.execute(sa.update(_BATCHES).where(*mine).values(heartbeat=time.time()))

        thread = threading.Thread(target=beat, name="promptfront-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _rows(self, study: str, *where: Any, columns: Sequence[Any] = (_BATCHES,)) -> list[Any]:  # noqa: ANN401 (SQL terms)
        query = sa.select(*columns).where(_BATCHES.c.study == study, *where).order_by(_BATCHES.c.name)
        with clear_errors(self.url), self._engine.connect() as connection:
            return list(connection.execute(query))


def _outputs(value: Any) -> Outputs:  # noqa: ANN401 (any JSON value)
    return value if isinstance(value, str) else tuple(value)


def _parse(url: str) -> URL:
    try:
        return sa.engine.make_url(url)
    except ArgumentError:
        raise StorageError(
            f"--storage: expected a database URL such as sqlite:///promptfront.db or postgresql://user@host/name, found {url!r}"
        ) from None


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
        raise StorageError(f"--storage {url}: no driver for this kind of database is installed ({error})") from None
    except ImportError as error:
        raise StorageError(f"--storage {url}: its driver is not installed ({error}); install it with pip") from None
    except IntegrityError:
        raise
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = str(getattr(cause, "orig", None) or cause or error).splitlines()[0]
        raise StorageError(
            f"--storage {url}: the database cannot be opened or written ({reason}); "
            "check that the folder exists, is writable and has free space"
        ) from error
