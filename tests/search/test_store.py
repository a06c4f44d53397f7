"""The database: scores, batches and their owners."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from promptfront.search.errors import InputError
from promptfront.search.store import Store


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
