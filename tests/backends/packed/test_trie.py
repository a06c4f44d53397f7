"""The plan of a call: every sequence is in it once, next to nothing is computed twice, and each token sees its own past."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.backends.packed.trie import (
    BLOCK,
    Row,
    Tokens,
    common_length,
    distinct_tokens,
    plan,
    rows,
)

_SEQUENCES = st.lists(
    st.tuples(
        st.sampled_from([(), tuple(range(40)), tuple(range(300)), (7,) * 150]),
        st.lists(st.integers(0, 2), min_size=1, max_size=90).map(tuple),
    ).map(lambda halves: halves[0] + halves[1]),
    min_size=1,
    max_size=40,
)


def computed(packed: Sequence[Row]) -> int:
    """Return the tokens of all rows and of the stems they stand on, each stem segment once."""
    stems = {
        part.stem[:end] for row in packed for part in row for end in range(1, len(part.stem) + 1)
    }
    branches = sum(len(chunk.tokens) for row in packed for part in row for chunk in part.chunks)
    return branches + sum(len(stem[-1]) for stem in stems)


@settings(deadline=None)
@given(_SEQUENCES, st.sampled_from([1, 64, 200, 1024]), st.sampled_from([BLOCK, 512]))
def test_each_sequence_is_computed_once_and_sees_its_own_past(
    sequences: list[Tokens], max_tokens: int, block: int
) -> None:
    """What a sequence's last token sees, read through stem and ancestors, is the sequence itself."""
    found: list[Tokens] = []
    for row in rows(plan(sequences, max_tokens, block), max_tokens):
        for part in row:
            stem = tuple(token for segment in part.stem for token in segment)
            assert all(len(segment) == block for segment in part.stem[:-1])
            laid_out: list[tuple[int, int]] = []
            for chunk in part.chunks:
                visible = [laid_out[i] for i in chunk.before]
                laid_out += zip(chunk.positions, chunk.tokens, strict=True)
                visible += zip(chunk.positions, chunk.tokens, strict=True)
                for sequence, end in chunk.ends.items():
                    seen = sorted(
                        token for token, sees in zip(visible, chunk.sees[end], strict=True) if sees
                    )
                    assert [position for position, _ in seen] == list(
                        range(len(stem), len(sequence))
                    )
                    found.append(stem + tuple(token for _, token in seen))
    assert sorted(found) == sorted(set(sequences))


def candidate(number: int, shared: int, own: int, examples: int) -> list[Tokens]:
    """Return a candidate's sequences: a shared beginning, its own beginning, and an input of 20 tokens each."""
    beginning = tuple(range(shared)) + tuple(1000 + number * own + i for i in range(own))
    return [
        beginning + tuple(50_000 + example * 20 + i for i in range(20))
        for example in range(examples)
    ]


def test_next_to_nothing_is_computed_twice() -> None:
    """16 candidates of 600 tokens, half of which share their first 300, in one call and in racing blocks."""
    everything = [
        s for n in range(16) for s in candidate(n, 300 * (n % 2), 600 - 300 * (n % 2), 64)
    ]
    assert computed(list(rows(plan(everything, 1024), 1024))) <= 1.02 * distinct_tokens(everything)
    stems, total = set[tuple[Tokens, ...]](), 0
    for start in range(0, 64, 16):
        block = [s for s in everything if (s[-1] - 50_000) // 20 in range(start, start + 16)]
        for row in rows(plan(block, 1024), 1024):
            for part in row:
                stems |= {part.stem[:end] for end in range(1, len(part.stem) + 1)}
                total += sum(len(chunk.tokens) for chunk in part.chunks)
    assert total + sum(len(stem[-1]) for stem in stems) <= 1.02 * distinct_tokens(everything)


def test_rows_are_full_and_even() -> None:
    """Candidates whose branches are few share a row, and the last row is no short rest."""
    sequences = [s for n in range(10) for s in candidate(n, 0, 200, 14)]
    sizes = [
        sum(len(chunk.tokens) for part in row for chunk in part.chunks)
        for row in rows(plan(sequences, 1024), 1024)
    ]
    assert len(sizes) == 3
    assert max(sizes) <= 1024
    assert min(sizes) > 800


def test_long_inputs_are_cut_into_stems() -> None:
    """No row has more than the limit where a stem can take the rest, also for a sequence that shares nothing."""
    sequences = [tuple(range(5000)), (1, 2, 3)]
    for row in rows(plan(sequences, 512), 512):
        assert sum(len(chunk.tokens) for part in row for chunk in part.chunks) <= 512


def test_common_length() -> None:
    """The first difference, or the shorter one's length."""
    assert [
        common_length((1, 2, 3), other) for other in ((1, 2, 4), (1, 2, 3), (1,), (), (9,))
    ] == [2, 3, 1, 0, 0]
