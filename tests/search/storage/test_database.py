"""The database: scores, batches and their owners."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from promptfront.search.errors import InputError, StorageError
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study, latest_study


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/a.db"


def test_scores_come_back_bit_for_bit(url: str) -> None:
    """What was stored is read back exactly, by model and request."""
    outputs = {"a": (-0.1, -1e-17, -123.456789012345678), "b": (-2.0,)}
    Store(url).write_scores("model", outputs)
    assert outputs == Store(url).read_scores("model", ["a", "b", "c"])
    assert Store(url).read_scores("other", ["a", "b"]) == {}


def test_what_is_stored_first_is_kept(url: str) -> None:
    """A second worker that scored the same pair changes nothing and fails nothing."""
    store = Store(url)
    store.write_scores("model", {"a": (-1.0,)})
    store.write_scores("model", {"a": (-9.0,), "b": (-2.0,)})
    assert store.read_scores("model", ["a", "b"]) == {"a": (-1.0,), "b": (-2.0,)}


def test_a_batch_name_is_given_once(url: str) -> None:
    """Two workers that compose the same batch end up with one."""
    assert Store(url).add_batch("s", "search-0", [1]) is not None
    assert Store(url).add_batch("s", "search-0", [2]) is None


def test_a_living_workers_batch_is_left_alone(url: str) -> None:
    """Another worker of this machine keeps its batch as long as its process lives; its own batch is its own."""
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other, store = Store(url), Store(url)
    other.owner = f"{other.owner.rsplit(':', 2)[0]}:{sleeper.pid}:1"
    other.add_batch("s", "search-0", {"work": 1})
    assert store.claim_abandoned("s", "search") is None
    sleeper.kill()
    sleeper.communicate()
    claimed = store.claim_abandoned("s", "search")
    assert claimed is not None
    assert claimed.payload == {"work": 1}
    assert store.owns("s", "search-0")
    assert not other.owns("s", "search-0")
    assert store.claim_abandoned("s", "test") is None


def test_a_finished_batch_is_nobodys(url: str) -> None:
    """What is done is not done again."""
    store = Store(url)
    store.add_batch("s", "search-0", 1)
    store.finish_batch("s", "search-0", 2)
    assert store.claim_abandoned("s", "search") is None
    assert [(b.payload, b.done) for b in store.batches("s")] == [(2, True)]


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
    Store(f"sqlite:///{tmp_path}/{name}").add_batch("s", "search-0", 1)
    assert [name] == sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db")
    assert [1] == [
        batch.payload for batch in Store(f"sqlite:///{tmp_path}/{name}", create=False).batches("s")
    ]


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?b.db", "sqlite:///a?b=c.db"],
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A database in memory would lose what is found, and what follows a question mark is no name."""
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
    """Whatever the URL is and wherever its password stands, the sentence names the database without it."""
    with pytest.raises(StorageError, match="`storage`") as caught:
        Store(url)
    assert "RET-" not in str(caught.value)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    """A file that holds other tables is refused, and stays as it was byte for byte."""
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
        connection.execute("create table books (title text)")
    before = (tmp_path / "books.db").read_bytes()
    with pytest.raises(StorageError, match=r"another program's database \(it holds books\)"):
        Store(f"sqlite:///{tmp_path}/books.db")
    assert before == (tmp_path / "books.db").read_bytes()


@pytest.mark.parametrize("how", ["deleted", "replaced", "emptied"])
def test_a_database_that_is_gone_is_noticed_at_the_next_write(
    url: str, tmp_path: Path, how: str
) -> None:
    """SQLite would go on writing into a file that nobody finds again."""
    store = Store(url)
    store.write_scores("model", {"a": (-1.0,)})
    (tmp_path / "a.db").write_bytes(b"") if how == "emptied" else (tmp_path / "a.db").unlink()
    if how == "replaced":
        Store(url)
    writes: list[Callable[[], object]] = [
        lambda: store.write_scores("model", {"b": (-1.0,)}),
        lambda: store.add_batch("s", "search-0", 1),
        lambda: store.finish_batch("s", "search-0"),
        store.check,
    ]
    for write in writes:
        with pytest.raises(StorageError, match="deleted or replaced during the run"):
            write()


@pytest.mark.parametrize("table", ["promptfront_scores", "promptfront_batches"])
def test_a_fault_of_the_driver_is_one_sentence(url: str, table: str) -> None:
    """Whether it is read or written: what the driver says is told in one line, as an error of the database."""
    store = Store(url)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(f"drop table {table}")
    uses: dict[str, list[Callable[[], object]]] = {
        "promptfront_scores": [
            lambda: store.read_scores("m", ["a"]),
            lambda: store.write_scores("m", {"a": (-1.0,)}),
        ],
        "promptfront_batches": [
            lambda: store.claim_abandoned("s", "x"),
            lambda: store.add_batch("s", "x", 1),
        ],
    }
    for use in uses[table]:
        with pytest.raises(StorageError, match="no such table") as caught:
            use()
        assert "\n" not in str(caught.value)


def test_half_a_character_is_kept(url: str) -> None:
    """A lone surrogate, which no database takes as text, is stored and read back."""
    store = Store(url)
    store.add_batch("s", "search-0", {"instruction": "half \ud83d"})
    assert [{"instruction": "half \ud83d"}] == [batch.payload for batch in store.batches("s")]


def test_another_programs_study_is_left_alone(url: str) -> None:
    """Of other directions, with trials or attributes: refused in one sentence, and nothing is written into it."""
    store = Store(url)
    made = {
        "one": optuna.create_study(storage=store.optuna, study_name="one"),
        "other": optuna.create_study(
            storage=store.optuna, study_name="other", directions=["minimize", "minimize"]
        ),
        "named": optuna.create_study(
            storage=store.optuna, study_name="named", directions=["maximize", "minimize"]
        ),
    }
    made["named"].set_user_attr("owner", "me")
    for name, study in made.items():
        before = dict(study.user_attrs)
        with pytest.raises(InputError, match=f"study '{name}' was not started by promptfront"):
            Study(store, name, {"identity": {}})
        assert (before, study.metric_names) == (study.user_attrs, None)
    with pytest.raises(InputError, match="holds no study 'one', only none at all"):
        Study(store, "one")
    with pytest.raises(InputError, match="holds no promptfront study yet"):
        latest_study(store)


@pytest.mark.parametrize("config", ["text", {}, {"identity": {}}, ["a"]])
def test_damaged_settings_are_told(url: str, config: object) -> None:
    """Settings that lack something are one sentence, to read and to continue, and are left as they are."""
    store = Store(url)
    study = optuna.create_study(
        storage=store.optuna, study_name="s", directions=["maximize", "minimize"]
    )
    study.set_user_attr("promptfront", config)
    assert "s" == latest_study(store)
    uses: list[Callable[[], object]] = [
        lambda: Study(store, "s"),
        lambda: Study(store, "s", {"identity": {}}),
    ]
    for use in uses:
        with pytest.raises(InputError, match="settings that are damaged or of another version"):
            use()
    assert config == study.user_attrs["promptfront"]


@pytest.mark.parametrize("name", ["x" * 201, "two\nlines", " a", "half \ud83d", "nul\0"])
def test_a_name_that_no_database_holds_is_refused(url: str, name: str) -> None:
    """A study's name is one line of at most 200 characters."""
    with pytest.raises(InputError, match="`study`: expected a name of 1 to 200 characters"):
        Study(Store(url), name, {"identity": {}})
