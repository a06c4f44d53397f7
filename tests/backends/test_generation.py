"""How prompts are put together to be answered: what they share is read once, and little is padding."""

from __future__ import annotations

from promptfront.backends.generation import batches, grouped

LONG, OTHER = tuple(range(600)), tuple(range(1000, 1500))


def test_what_is_shared_is_read_once() -> None:
    """Neighbours with a long beginning in common are one group, others are apart unless they are short."""
    first, second = [(*LONG, 1), (*LONG, 2, 3)], [(*OTHER, 1), (*OTHER, 2)]
    assert grouped([*first, *second]) == [first, second]
    short = [(1, 2, 3), (4, 5), (6,)]
    assert grouped(short) == [short]
    assert grouped([]) == []


def test_a_batch_is_of_about_the_same_length() -> None:
    """Every prompt is in one batch, groups stay together, and no batch is mostly padding or too large."""
    prompts = [(*LONG, i) for i in range(10)] + [(i, i) for i in range(10)] + [(*OTHER, i) for i in range(10)]
    found = batches(prompts, 16, 0.5)
    assert sorted(i for batch in found for i in batch) == list(range(30))
    assert max(map(len, found)) <= 16
    assert {*range(10, 20)} == {*found[0]}
    for batch in found:
        lengths = [len(prompts[i]) for i in batch]
        assert sum(lengths) >= 0.5 * len(lengths) * max(lengths)
    assert batches([], 16, 0.5) == []
