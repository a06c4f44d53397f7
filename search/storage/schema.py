"""The tables beside Optuna's, and which version of them a database holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from ..errors import StorageError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

SCHEMA_VERSION = 3
"""Raised whenever what a database holds is written in another way; version 1 did not say so."""
_METADATA = sa.MetaData()
SCHEMA = sa.Table(
    "promptfront_schema",
    _METADATA,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)
SCORES = sa.Table(
    "promptfront_scores",
    _METADATA,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("outputs", sa.Text, nullable=False),
)
BATCHES = sa.Table(
    "promptfront_batches",
    _METADATA,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)
_KNOWN = frozenset({"version_info", *_METADATA.tables})
"""Tables of which a database that two workers begin together may hold the first alone.

Optuna's `studies` is looked at closer.
"""
_CREATE_ATTEMPTS = 8
"""How often a worker looks whether another has created the tables."""


def refuse_foreign(engine: Engine, url: str) -> None:
    """Leave another program's database as it is.

    Raises
    ------
    StorageError
        If it is one.
    """
    inspector = sa.inspect(engine)
    tables = set(inspector.get_table_names())
    studies = "studies" in tables and any(
        column["name"] == "study_name" for column in inspector.get_columns("studies")
    )
    if tables and not studies and not tables & _KNOWN:
        names = ", ".join(sorted(tables)[:3])
        raise StorageError(
            f"`storage` {url}: expected a promptfront database, found another program's "
            f"(with {names}); name another file"
        )


def refuse_other_version(engine: Engine, url: str) -> None:
    """Leave a database that another version of promptfront wrote as it is.

    Raises
    ------
    StorageError
        If it is one.
    """
    version = _version(engine)
    if version is None or version == SCHEMA_VERSION:
        return
    who, do = "a newer", "upgrade promptfront, or name another `storage`"
    if version < SCHEMA_VERSION:
        who = "an older"
        do = "name another `storage`, or read it with the promptfront that wrote it"
    raise StorageError(
        f"`storage` {url}: expected schema version {SCHEMA_VERSION}, found {version}, written by "
        f"{who} promptfront; the database is left unchanged: {do}"
    )


def _version(engine: Engine) -> int | None:
    """Return the version of a database's tables; nothing where it has none of ours yet."""
    tables = set(sa.inspect(engine).get_table_names())
    if SCHEMA.name in tables:
        with engine.connect() as connection:
            return connection.execute(sa.select(sa.func.max(SCHEMA.c.version))).scalar()
    return 1 if tables & set(_METADATA.tables) else None


def create_tables(engine: Engine, url: str, options: dict[str, Any]) -> RDBStorage:
    """Create Optuna's tables and ours where they are missing, and return Optuna's storage."""
    braces = url.replace("{", "{{").replace("}", "}}")  # Optuna formats it
    for attempt in range(_CREATE_ATTEMPTS):
        try:
            storage = RDBStorage(braces, engine_kwargs=options)
            _create_ours(engine)
        except (OperationalError, ProgrammingError, IntegrityError) as error:
            # Two workers that start together both find no tables; the slower one looks again.
            if attempt + 1 == _CREATE_ATTEMPTS or (
                "exist" not in str(error) and "UNIQUE" not in str(error)
            ):
                raise
            time.sleep(0.2 * (attempt + 1))
        else:
            return storage
    raise AssertionError("the last attempt returns or raises")


def _create_ours(engine: Engine) -> None:
    # The version comes first: a database with other tables of ours and without it is an older one.
    SCHEMA.create(engine, checkfirst=True)
    with engine.begin() as connection:
        connection.execute(insert_or_keep(engine, SCHEMA), {"version": SCHEMA_VERSION})
    _METADATA.create_all(engine)


def insert_or_keep(engine: Engine, table: sa.Table) -> Any:  # noqa: ANN401 (one class a dialect)
    """Return an insert that keeps the row that is there."""
    insert = sa.insert(table)
    if engine.dialect.name in {"mysql", "mariadb"}:
        return insert.prefix_with("IGNORE")
    if engine.dialect.name == "sqlite":
        return insert.prefix_with("OR IGNORE")
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert(table).on_conflict_do_nothing()
