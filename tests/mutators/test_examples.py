"""What demonstrations are drawn from."""

from __future__ import annotations

from tests.mutators.any_task import context, make, make_task


def test_long_examples_are_not_shown_while_short_ones_exist() -> None:
    """A demonstration is paid for with every prompt, so the short ones are used."""
    task = make_task(
        ["word " * 200 + str(i) for i in range(20)] + [f"short {i}" for i in range(20)],
        ("a", "b"),
        "",
    )
    for seed in range(5):
        for name in ("random-demonstrations", "balanced-demonstrations", "diverse-demonstrations"):
            shown = make(name).mutate(task.start, context(task, seed)).demonstrations
            assert max(len(e.inputs[0][1]) for e in shown) < 20
