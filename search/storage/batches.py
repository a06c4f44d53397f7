"""A study's units of work, each written down with its worker before it is begun.

A worker that dies leaves its batch to the next one, which finds there exactly what was to be done.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ..errors import StorageError
from .errors import clear_errors
from .schema import BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .database import Store

Kind = Literal["search", "headroom", "confirm", "simplify", "test", "answered", "explain", "cross"]
"""What a batch is: candidates to race, what there is to gain, finalists to confirm, the best prompt
to make simpler, a front to test, what it answered then, a prompt to explain, or other studies'
prompts to score."""
_BEAT_SECONDS = 10.0
"""How often a worker says that it lives."""
_DEAD_AFTER_SECONDS = 60.0
"""A worker of another machine that was silent for so long is taken for dead."""
WAIT_SECONDS = 1.0
"""How often a worker looks whether another has finished."""
_KEYS = 500
"""Keys in one query: SQLite takes 999 at least."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A unit of work: written down with its owner before it is begun.

    ``name`` orders a study's batches of one kind; ``payload`` is what the worker needs to do the
    work again from nothing.
    """

    kind: Kind
    name: str
    payload: Any
    done: bool


class Batches:
    """The batches of one study.

    Parameters
    ----------
    store
        The database.
    study
        The study's name.
    """

    def __init__(self, store: Store, study: str) -> None:
        self._store = store
        self._study = study
        self._done: dict[Kind, dict[str, Batch]] = {}

    def claim_abandoned(self, kind: Kind, name: str | None = None) -> Batch | None:
        """Take over the oldest unfinished batch of that kind (and name) whose worker is gone."""
        for row in self._rows(kind, BATCHES.c.done.is_(False)):
            if name not in (None, row.name):
                continue
            if row.owner != self._store.owner and _alive(row.owner, row.heartbeat):
                continue
            claim = (
                sa.update(BATCHES)
                .where(*self._is(kind, row.name))
                .where(BATCHES.c.owner == row.owner, BATCHES.c.done.is_(False))
                .values(owner=self._store.owner, heartbeat=time.time())
            )
            with self._store.transaction() as connection:
                taken = connection.execute(claim).rowcount
            if taken:
                return self._batch(row)
        return None

    def add(
        self,
        kind: Kind,
        name: str,
        payload: Any,  # noqa: ANN401 (any JSON value)
    ) -> Batch | None:
        """Write down a new batch as this worker's; nothing if another has just taken its name."""
        row: dict[str, Any] = {"study": self._study, "kind": kind, "name": name}
        row |= {"payload": _json(payload), "done": False}
        row |= {"owner": self._store.owner, "heartbeat": time.time()}
        try:
            with self._store.transaction() as connection:
                connection.execute(sa.insert(BATCHES), row)
        except IntegrityError:
            return None
        return Batch(kind, name, payload, done=False)

    def finish(self, batch: Batch, payload: Any = None) -> None:  # noqa: ANN401 (any JSON value)
        """Mark a batch as done; ``payload``, where given, replaces the work by what came of it."""
        values: dict[str, Any] = {"done": True}
        if payload is not None:
            values["payload"] = _json(payload)
        done = sa.update(BATCHES).where(*self._is(batch.kind, batch.name)).values(**values)
        with self._store.transaction() as connection:
            connection.execute(done)

    def once(self, kind: Kind, name: str, work: Callable[[], dict[str, Any]]) -> None:
        """Do work once and keep what comes of it; another worker's result is waited for."""
        while not any(batch.name == name and batch.done for batch in self.of(kind)):
            batch = self.claim_abandoned(kind, name) or self.add(kind, name, {})
            if batch:
                self.finish(batch, work())
            else:
                time.sleep(WAIT_SECONDS)

    def owns(self, batch: Batch) -> bool:
        """Whether the batch is still this worker's: who slept too long finds it taken over."""
        rows = self._rows(batch.kind, BATCHES.c.name == batch.name)
        return any(row.owner == self._store.owner for row in rows)

    def of(self, kind: Kind) -> list[Batch]:
        """Return the study's batches of that kind in order of name."""
        # What is done never changes: it is read once.
        known = self._done.setdefault(kind, {})
        names = [row.name for row in self._rows(kind, columns=(BATCHES.c.name,))]
        new = [name for name in names if name not in known]
        batches = dict[str, Batch]()
        for start in range(0, len(new), _KEYS):
            some = BATCHES.c.name.in_(new[start : start + _KEYS])
            batches |= {row.name: self._batch(row) for row in self._rows(kind, some)}
        known |= {name: batch for name, batch in batches.items() if batch.done}
        return [known.get(name) or batches[name] for name in names]

    @contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Keep this worker's batches marked as alive while the block runs; free them after it."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(_BEAT_SECONDS):
                self._mark(time.time())  # what fails is tried again with the next beat

        thread = threading.Thread(target=beat, name="promptfront-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_BEAT_SECONDS)  # a beat may wait for another worker's lock
            self._mark(0.0)  # nobody waits for a run that has ended, though its process lives

    def _mark(self, heartbeat: float) -> None:
        mine = (BATCHES.c.study == self._study, BATCHES.c.owner == self._store.owner)
        unfinished = sa.update(BATCHES).where(*mine, BATCHES.c.done.is_(False))
        with suppress(StorageError), self._store.transaction() as connection:
            connection.execute(unfinished.values(heartbeat=heartbeat))

    def _rows(
        self,
        kind: Kind,
        *where: Any,  # noqa: ANN401 (SQL terms)
        columns: Sequence[Any] = (BATCHES,),
    ) -> list[Any]:
        query = sa.select(*columns).where(*self._is(kind), *where).order_by(BATCHES.c.name)
        with self._store.reading() as connection:
            return list(connection.execute(query))

    def _batch(self, row: Any) -> Batch:  # noqa: ANN401 (a row of the table)
        with clear_errors(self._store.url):
            return Batch(row.kind, row.name, json.loads(row.payload), row.done)

    def _is(self, kind: Kind, name: str | None = None) -> list[Any]:
        """Return the terms that choose a study's batches of one kind, or the one of that name."""
        terms = [BATCHES.c.study == self._study, BATCHES.c.kind == kind]
        return terms if name is None else [*terms, BATCHES.c.name == name]


def _json(payload: Any) -> str:  # noqa: ANN401 (any JSON value)
    text = json.dumps(payload, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character: no database takes it as it is
        return json.dumps(payload)
    return text


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
