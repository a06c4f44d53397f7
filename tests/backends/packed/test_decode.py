"""How prompts are put together to be answered: prefixes side by side, and little padding."""

from __future__ import annotations

from promptfront.backends.packed.decode import batches
from promptfront.backends.packed.trie import plan

LONG, OTHER = tuple(range(600)), tuple(range(1000, 1500))


def test_a_batch_has_little_padding() -> None:
    """Every prompt is in one batch, by prefix; no batch is mostly padding or too large."""
    rest = tuple(range(2000, 2080))
    prompts = (
        [(*LONG, i, *rest) for i in range(10)]
        + [(i, i) for i in range(10)]
        + [(*OTHER, i, *rest) for i in range(10)]
    )
    found = batches(plan(prompts, 1024), prompts, 16, 400)
    assert sorted(i for batch in found for i in batch) == list(range(30))
    assert max(map(len, found)) <= 16
    assert {*range(10, 20)} == {*found[0]}
    assert batches(plan([], 1024), [], 16, 400) == []
    assert [i // 10 for batch in found[1:] for i in batch] in (
        [0] * 10 + [2] * 10,
        [2] * 10 + [0] * 10,
    )


def test_a_prompt_may_be_asked_several_times() -> None:
    """Each time is a reply of its own."""
    found = batches(plan([LONG, OTHER, LONG], 1024), [LONG, OTHER, LONG], 128, 10_000)
    assert sorted(i for batch in found for i in batch) == [0, 1, 2]
