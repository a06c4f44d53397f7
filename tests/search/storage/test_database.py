"""The database: scores, batches and their owners."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from promptfront.search.errors import InputError, StorageError
from promptfront.search.storage.batches import Batches
from promptfront.search.storage.database import Store
from promptfront.search.storage.schema import SCHEMA_VERSION


def test_scores_come_back_bit_for_bit(url: str) -> None:
    """What was stored is read back exactly, by model and request."""
    outputs = {"a": (-0.1, -1e-17, -123.456789012345678), "b": (-2.0,)}
    Store(url).write_scores("model", outputs)
    assert outputs == Store(url).read_scores("model", ["a", "b", "c"])
    assert Store(url).read_scores("other", ["a", "b"]) == {}


def test_what_is_stored_first_is_kept(url: str) -> None:
    """A second worker that made the same evaluation changes nothing and fails nothing."""
    store = Store(url)
    store.write_scores("model", {"a": (-1.0,)})
    store.write_scores("model", {"a": (-9.0,), "b": (-2.0,)})
    assert store.read_scores("model", ["a", "b"]) == {"a": (-1.0,), "b": (-2.0,)}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("promptfront.db", "expected a database URL such as sqlite:///promptfront.db"),
        ("nonsense://x/y", "no driver for this kind of database"),
        ("sqlite:////no/such/folder/a.db", "check that the folder exists"),
    ],
)
def test_bad_urls_are_told(bad: str, says: str) -> None:
    """A storage that cannot be used is one sentence that names it."""
    with pytest.raises(InputError, match=says) as caught:
        Store(bad)
    assert bad in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """An existing file of another kind is refused and left as it was."""
    path = tmp_path / "notes.db"
    path.write_text("these are notes, not a database. " * 40)
    with pytest.raises(InputError, match="file is not a database"):
        Store(f"sqlite:///{path}")
    assert path.read_text().startswith("these are notes")


def test_reading_does_not_create(tmp_path: Path) -> None:
    """Showing a front where there is none leaves no file behind."""
    with pytest.raises(InputError, match="there is no such file"):
        Store(f"sqlite:///{tmp_path}/none.db", create=False)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("name", ["a b.db", "中文.db", "a#b.db", "{x}.db", "100%.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The database is where it was asked for, Optuna's tables and ours in one file."""
    url = f"sqlite:///{tmp_path}/{name}"
    Store(url).write_scores("model", {"a": (-1.0,)})
    assert [name] == sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db")
    assert {"a": (-1.0,)} == Store(url, create=False).read_scores("model", ["a"])


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?b.db", "sqlite:///a?b=c.db"],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A database in memory would lose all, and what follows a question mark is no name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"name a file|are not accepted"):
        Store(url)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:SECRET-1@h/x",
        "postgresql+none://h/x?password=SECRET-2",
        "mysql://u:SE%43RET-3@h/x",
        "mysql://root:#SECRET-4/a?b@c@h/x",
        "mssql+none:///?odbc_connect=DRIVER%3Dx%3BPWD%3DSECRET-5",
        "postgres:/u:SECRET-6@h",
        "postgresql://u:SECRET-7@h:port/x",
        "root:SECRET-8@h/x",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    """Wherever a URL's password stands, the sentence names the database without it."""
    with pytest.raises(StorageError, match="`storage`") as caught:
        Store(url)
    assert "RET-" not in str(caught.value)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    """A file that holds other tables is refused, and stays as it was byte for byte."""
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
        connection.execute("create table books (title text)")
    before = (tmp_path / "books.db").read_bytes()
    with pytest.raises(StorageError, match=r"found another program's \(with books\)"):
        Store(f"sqlite:///{tmp_path}/books.db")
    assert before == (tmp_path / "books.db").read_bytes()


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied"])
def test_a_database_that_is_gone_is_noticed_at_the_next_write(
    url: str, tmp_path: Path, how: str
) -> None:
    """SQLite would go on writing into a file that nobody finds again."""
    store = Store(url)
    store.write_scores("model", {"a": (-1.0,)})
    batches = Batches(store, "s")
    batch = batches.add("search", "0", 1)
    assert batch is not None
    (tmp_path / "a.db").write_bytes(b"") if how == "emptied" else (tmp_path / "a.db").unlink()
    if how == "replaced":
        Store(url)
    writes: list[Callable[[], object]] = [
        lambda: store.write_scores("model", {"b": (-1.0,)}),
        lambda: batches.add("search", "1", 1),
        lambda: batches.finish(batch),
        store.check,
    ]
    for write in writes:
        with pytest.raises(StorageError, match="deleted or replaced during the run"):
            write()


@pytest.mark.parametrize("table", ["promptfront_scores", "promptfront_batches"])
def test_a_fault_of_the_driver_is_one_sentence(url: str, table: str) -> None:
    """Whether it is read or written.

    What the driver says is told in one line, as an error of the database.
    """
    store = Store(url)
    batches = Batches(store, "s")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(f"drop table {table}")
    uses: dict[str, list[Callable[[], object]]] = {
        "promptfront_scores": [
            lambda: store.read_scores("m", ["a"]),
            lambda: store.write_scores("m", {"a": (-1.0,)}),
        ],
        "promptfront_batches": [
            lambda: batches.claim_abandoned("search"),
            lambda: batches.add("search", "1", 1),
        ],
    }
    for use in uses[table]:
        with pytest.raises(StorageError, match="no such table") as caught:
            use()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (
            None,
            f"expected schema version {SCHEMA_VERSION}, found 1, written by an older promptfront",
        ),
        (1, "written by an older promptfront; .*: name another `storage`"),
        (
            SCHEMA_VERSION + 1,
            "written by a newer promptfront; .*: upgrade promptfront, or name another `storage`",
        ),
    ],
)
def test_another_versions_database_is_left_as_it_is(
    url: str, tmp_path: Path, version: int | None, says: str
) -> None:
    """One sentence says what to do, to read and to continue, and not a byte is changed."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("create table promptfront_scores (key text)")
        connection.execute("create table studies (study_name text)")
        if version is not None:
            connection.execute("create table promptfront_schema (version integer)")
            connection.execute("insert into promptfront_schema values (?)", [version])
        connection.commit()
    before = (tmp_path / "a.db").read_bytes()
    for create in (True, False):
        with pytest.raises(StorageError, match=says):
            Store(url, create=create)
    assert before == (tmp_path / "a.db").read_bytes()


def test_optunas_own_database_is_taken(url: str) -> None:
    """A database with no tables but Optuna's gets ours beside them."""
    optuna.create_study(storage=url, study_name="mine")
    Store(url).write_scores("model", {"a": (-1.0,)})
    assert {"a": (-1.0,)} == Store(url).read_scores("model", ["a"])
