"""Batches of work: each is one worker's, and a dead worker's is the next one's."""

from __future__ import annotations

import subprocess
import sys

from promptfront.search.storage.batches import Batch, Batches
from promptfront.search.storage.database import Store


def batches(url: str) -> Batches:
    """Return a study's batches as a worker of its own sees them."""
    return Batches(Store(url), "s")


def added(ours: Batches) -> Batch:
    """Return a new batch."""
    batch = ours.add("search", "0", {"work": 1})
    assert batch is not None
    return batch


def test_a_name_is_given_once_for_each_kind(url: str) -> None:
    """Two workers that compose the same batch end up with one.

    Another kind has names of its own.
    """
    assert batches(url).add("search", "0", [1]) is not None
    assert batches(url).add("search", "0", [2]) is None
    assert batches(url).add("test", "0", [3]) is not None
    assert [[1]] == [batch.payload for batch in batches(url).of("search")]


def test_a_living_workers_batch_is_left_alone(url: str) -> None:
    """Another worker of this machine keeps its batch as long as its process lives."""
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    store = Store(url)
    store.owner = f"{store.owner.rsplit(':', 2)[0]}:{sleeper.pid}:1"
    other, ours = Batches(store, "s"), batches(url)
    other.add("search", "0", {"work": 1})
    assert ours.claim_abandoned("search") is None
    sleeper.kill()
    sleeper.communicate()
    assert ours.claim_abandoned("test") is None
    assert ours.claim_abandoned("search", "1") is None
    claimed = ours.claim_abandoned("search")
    assert claimed is not None
    assert claimed.payload == {"work": 1}
    assert ours.owns(claimed)
    assert not other.owns(claimed)


def test_a_finished_batch_is_nobodys(url: str) -> None:
    """What is done is not done again."""
    ours = batches(url)
    ours.finish(added(ours), 2)
    assert ours.claim_abandoned("search") is None
    assert [(batch.payload, batch.done) for batch in ours.of("search")] == [(2, True)]


def test_half_a_character_is_kept(url: str) -> None:
    """A lone surrogate, which no database takes as text, is stored and read back."""
    half = {"instruction": "half \ud83d"}
    batches(url).add("search", "0", half)
    assert [half] == [batch.payload for batch in batches(url).of("search")]


def test_a_run_that_has_ended_leaves_its_batches_to_others(url: str) -> None:
    """A run that failed and is repeated in the same process goes on at once."""
    ended, ours = batches(url), batches(url)
    with ended.heartbeat():
        batch = added(ended)
        assert ours.claim_abandoned("search") is None
    assert batch == ours.claim_abandoned("search")
