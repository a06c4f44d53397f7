"""How prompts are put together to be answered: little is padding."""

from __future__ import annotations

from promptfront.backends.generation import batches

LONG, OTHER = tuple(range(600)), tuple(range(1000, 1500))


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
