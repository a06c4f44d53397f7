"""Dividing rows: what no split may share, and what is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promptfront.search.contracts import Example
from promptfront.search.data.duplicates import deduplicate
from promptfront.search.data.splits import Sizes, given_splits, split_rows
from promptfront.search.errors import InputError

_EXAMPLES = st.lists(
    st.builds(
        lambda text, label: Example((("text", text),), label),
        st.text("aA b", max_size=5),
        st.sampled_from("xy"),
    ),
    max_size=60,
)


@given(_EXAMPLES, st.integers(0, 5))
def test_no_input_is_in_two_splits(examples: list[Example], seed: int) -> None:
    """Splits are disjoint up to case and white space, complete, and the seed's alone."""
    kept, _ = deduplicate(examples)
    if len(kept) < 8:
        return
    splits = split_rows(examples, Sizes(), seed, "here")
    assert splits == split_rows(examples, Sizes(), seed, "here")
    everything = [*splits.train, *splits.dev, *splits.test]
    assert sorted(everything, key=str) == sorted(kept, key=str)
    folded = [" ".join(e.inputs[0][1].split()).casefold() for e in everything]
    assert len(set(folded)) == len(folded)
    assert "" not in folded


@given(
    st.integers(0, 9), st.integers(2, 5), st.lists(st.sampled_from("abc"), min_size=8, max_size=40)
)
def test_train_has_every_label_it_has_room_for(seed: int, size: int, labels: list[str]) -> None:
    """A rare label is in train, so that demonstrations can show it; what is not used is counted."""
    made = [Example((("text", str(i)),), label) for i, label in enumerate(labels)]
    splits = split_rows(made, Sizes(train=size), seed, "here")
    assert len({e.target for e in splits.train}) == min(len(set(labels)), len(splits.train))
    unused = len(made) - len(splits.train) - len(splits.dev) - len(splits.test)
    assert splits.notes == (
        (f"{unused} rows not used: train has at most {size}",) if unused else ()
    )


def test_given_splits_over_their_sizes_are_told() -> None:
    """Rows that a user gave and that are not used are counted."""
    train, dev, test = (
        [Example((("text", f"{part} {i}"),), "xy"[i % 2]) for i in range(10)] for part in range(3)
    )
    splits = given_splits(train, dev, test, Sizes(train=9, dev=8, test=10), 0, "here")
    assert (9, 8, 10) == (len(splits.train), len(splits.dev), len(splits.test))
    assert (
        "1 rows not used: train has at most 9",
        "2 rows not used: dev has at most 8",
    ) == splits.notes


@given(_EXAMPLES, _EXAMPLES, _EXAMPLES)
def test_given_splits_share_nothing(
    train: list[Example], dev: list[Example], test: list[Example]
) -> None:
    """Whatever the files repeat, each input is used in one role, test before dev before train."""
    try:
        splits = given_splits(train, dev, test, Sizes(), 0, "here")
    except InputError:
        return
    ids = [
        {" ".join(e.inputs[0][1].split()).casefold() for e in s}
        for s in (splits.train, splits.dev, splits.test)
    ]
    assert len(ids[0] | ids[1] | ids[2]) == len(ids[0]) + len(ids[1]) + len(ids[2])


def test_dropped_rows_are_counted() -> None:
    """Duplicates, contradictions and empty inputs are each said."""
    made = [
        Example((("text", t),), label)
        for t, label in (("a", "x"), ("A ", "x"), ("b", "x"), ("b", "y"), (" ", "x"))
    ]
    kept, notes = deduplicate(made)
    assert (made[0],) == kept
    assert {
        "1 rows without input dropped",
        "2 rows dropped because their input has different targets",
        "1 duplicate rows dropped",
    } == set(notes)
