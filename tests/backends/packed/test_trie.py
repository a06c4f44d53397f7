"""The plan of a call: every sequence is in it once, and each token sees its own past."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.backends.packed import trie
from promptfront.backends.packed.trie import BLOCK, Pack, Tokens, common_length, packs, plan

_SEQUENCES = st.lists(
    st.tuples(
        st.sampled_from([(), tuple(range(40)), tuple(range(300)), (7,) * 150]),
        st.lists(st.integers(0, 2), min_size=1, max_size=90).map(tuple),
    ).map(lambda halves: halves[0] + halves[1]),
    min_size=1,
    max_size=40,
)


def distinct_tokens(sequences: Sequence[Tokens]) -> int:
    """Return the nodes of the sequences' trie: the fewest tokens that can be computed."""
    ordered = sorted(set(sequences))
    shared = (common_length(a, b) for a, b in itertools.pairwise(ordered))
    return sum(map(len, ordered)) - sum(shared)


def size(pack: Pack) -> int:
    """Return the tokens of a pack."""
    return sum(len(segment.tokens) for node in pack for segment in node.segments)


def blocks(packed: Iterable[Pack]) -> set[tuple[Tokens, ...]]:
    """Return the prefixes that packs stand on, one for each block."""
    prefixes = {node.prefix for pack in packed for node in pack}
    return {prefix[:end] for prefix in prefixes for end in range(1, len(prefix) + 1)}


def computed(packed: Sequence[Pack]) -> int:
    """Return the tokens of all packs and of the prefixes they stand on, each block once."""
    return sum(map(size, packed)) + sum(len(prefix[-1]) for prefix in blocks(packed))


def test_the_drawing_is_what_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefix, segments, positions and mask of the module's drawing come out of its prompts."""
    monkeypatch.setattr(trie, "_MIN_PREFIX", 3)
    monkeypatch.setattr(trie, "_MIN_FOLLOWING", 6)
    monkeypatch.setattr(trie, "_SEGMENT", 4)
    rate, awful, great, dull, fun, end, label = (1, 2, 3), 4, 5, 6, 7, 8, 9
    ends = [(awful, end, label), (great, dull, end, label), (great, fun, end, label)]
    [[node]] = packs(plan([rate + rest for rest in ends], 1024), 1024)
    assert node.prefix == (rate,)
    first, second, third = node.segments
    assert [first.tokens, second.tokens] == [[awful, end, label], [great, dull, end, label]]
    assert [first.positions, second.positions] == [[3, 4, 5], [3, 4, 5, 6]]
    assert (third.tokens, third.positions, third.before) == ([fun, end, label], [4, 5, 6], [3])
    assert third.mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


@settings(deadline=None)
@given(_SEQUENCES, st.sampled_from([1, 64, 200, 1024]), st.sampled_from([BLOCK, 512]))
def test_each_sequence_is_computed_once_and_sees_its_own_past(
    sequences: list[Tokens], max_tokens: int, block: int
) -> None:
    """What a sequence's last token sees, read through prefix and ancestors, is the sequence."""
    read: list[Tokens] = []
    for pack in packs(plan(sequences, max_tokens, block), max_tokens):
        for node in pack:
            prefix = tuple(token for block_ in node.prefix for token in block_)
            assert all(len(block_) == block for block_ in node.prefix[:-1])
            laid_out: list[tuple[int, int]] = []
            for segment in node.segments:
                visible = [laid_out[i] for i in segment.before]
                own = list(zip(segment.positions, segment.tokens, strict=True))
                laid_out += own
                visible += own
                for sequence, end in segment.ends.items():
                    seen = sorted(itertools.compress(visible, segment.mask[end]))
                    positions = [position for position, _ in seen]
                    assert positions == list(range(len(prefix), len(sequence)))
                    read.append(prefix + tuple(token for _, token in seen))
    assert sorted(read) == sorted(set(sequences))


def candidate(number: int, shared: int, own: int, examples: int) -> list[Tokens]:
    """Return a candidate's sequences.

    A shared beginning, its own beginning, and an input of 20 tokens each.
    """
    beginning = tuple(range(shared)) + tuple(1000 + number * own + i for i in range(own))
    return [
        beginning + tuple(50_000 + example * 20 + i for i in range(20))
        for example in range(examples)
    ]


def test_next_to_nothing_is_computed_twice() -> None:
    """16 candidates of 600 tokens, half of which share their first 300: one call, and races."""
    everything = [
        s for n in range(16) for s in candidate(n, 300 * (n % 2), 600 - 300 * (n % 2), 64)
    ]
    fewest = distinct_tokens(everything)
    assert computed(list(packs(plan(everything, 1024), 1024))) <= 1.02 * fewest
    kept, total = set[tuple[Tokens, ...]](), 0
    for start in range(0, 64, 16):
        block = [s for s in everything if (s[-1] - 50_000) // 20 in range(start, start + 16)]
        packed = list(packs(plan(block, 1024), 1024))
        kept |= blocks(packed)
        total += sum(map(size, packed))
    assert total + sum(len(prefix[-1]) for prefix in kept) <= 1.02 * fewest


def test_packs_are_full_and_even() -> None:
    """Candidates with little after them share a pack, and the last pack is no short rest."""
    sequences = [s for n in range(10) for s in candidate(n, 0, 200, 14)]
    sizes = list(map(size, packs(plan(sequences, 1024), 1024)))
    assert len(sizes) == 3
    assert max(sizes) <= 1024
    assert min(sizes) > 800


def test_long_inputs_are_cut_into_prefixes() -> None:
    """No pack is above the limit where a prefix can take the rest, also of one that shares none."""
    sequences = [tuple(range(5000)), (1, 2, 3)]
    assert all(size(pack) <= 512 for pack in packs(plan(sequences, 512), 512))


def test_common_length() -> None:
    """The first difference, or the shorter one's length."""
    assert [
        common_length((1, 2, 3), other) for other in ((1, 2, 4), (1, 2, 3), (1,), (), (9,))
    ] == [2, 3, 1, 0, 0]
