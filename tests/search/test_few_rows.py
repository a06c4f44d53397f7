"""Few labelled rows in all: each is shown and scored, and the choice is cross-fitted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search import Limits, optimize
from promptfront.search.api import export_prompt
from promptfront.search.cli.tables import result_lines
from promptfront.search.data.load_task import load_task
from promptfront.search.data.splits import FEW_ROWS, MIN_ROWS, shared_rows
from promptfront.search.errors import InputError
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.holdout import confirmation_rows, cross_fit
from promptfront.search.export.verify import verify
from promptfront.search.records.results import Frontier
from tests.records import config, entry
from tests.search.evaluation.test_racing import ROWS, TASK, KnownModel, prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Backend, Task


def cross_fitted(accuracies: Sequence[int], rows: int) -> tuple[float, float]:
    """Return the dev gain and the cross-fitted gain of the best of 50 % prompts over one."""
    task = replace(TASK, train=ROWS[:rows], dev=ROWS[:rows], test=())
    evaluator = Evaluator(task, cast("Backend", KnownModel()), LabelScorer())
    entries = [
        entry(i, p, evaluator.evaluate(p, task.dev).quality, i)
        for i, p in enumerate(
            prompt(accuracy, words=i) for i, accuracy in enumerate((50, *accuracies))
        )
    ]
    frontier = Frontier.of(config(rows, 0), entries, study="s", trials=9, evaluations=9)
    found = cross_fit(evaluator, frontier, entries)[str(frontier.best.number)]
    return frontier.best.quality - frontier.start.quality, found["gain"]


def test_rows_are_shared_when_they_are_few() -> None:
    """All of them, in an order of the seed; more are divided, and fewer are none at all."""
    few = shared_rows(ROWS[:30], 0)
    assert few is not None
    assert (few.train, few.test, len(few.train)) == (few.dev, (), 30)
    assert {row.id for row in few.train} == {row.id for row in ROWS[:30]}
    assert few != shared_rows(ROWS[:30], 1)
    assert shared_rows(ROWS[: FEW_ROWS + 1], 0) is None
    assert shared_rows(ROWS[: MIN_ROWS - 1], 0) is None


def test_a_file_of_few_rows_is_shared_unless_it_says_how_to_divide_it(tmp_path: Path) -> None:
    """Sizes in a task file are obeyed."""
    lines = "".join(f"row {i},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "a.csv").write_text(f"text,label\n{lines}")
    (tmp_path / "t.yaml").write_text("data: a.csv\nsizes: {dev: 10, test: 10}\n")
    task, divided = load_task(data=str(tmp_path / "a.csv")), load_task(str(tmp_path / "t.yaml"))
    assert (len(task.dev), task.shared, confirmation_rows(task)) == (40, True, ())
    assert (len(divided.dev), len(divided.test), divided.shared) == (10, 10, False)


def test_a_prompt_is_not_judged_by_what_it_shows() -> None:
    """Rows that it shows have no value and do not count in its mean."""
    task = replace(TASK, train=ROWS[:20], dev=ROWS[:20], test=())
    evaluator = Evaluator(task, cast("Backend", KnownModel()), LabelScorer())
    showing = replace(prompt(70), demonstrations=ROWS[:5])
    values = evaluator.evaluate(showing, task.dev).values
    assert [math.isnan(value) for value in values] == [True] * 5 + [False] * 15
    assert 0 <= evaluator.mean(values, task.dev) <= 1
    estimates = evaluator.log_odds.estimates(
        {prompt(50): 20, showing: 10, replace(showing, demonstrations=ROWS[:10]): 10}
    )
    assert all(0 <= estimate.quality <= 1 for estimate in estimates.values())


def test_luck_is_not_a_gain() -> None:
    """The best of thirty equal prompts gains on dev, and not when cross-fitted."""
    dev, gain = cross_fitted([50] * 30, 30)
    assert dev > 0.1
    assert gain < dev / 2


def test_a_gain_is_found() -> None:
    """A prompt that is right nearly always is chosen by any of the rows."""
    dev, gain = cross_fitted([50] * 10 + [98], 30)
    assert gain == pytest.approx(dev, abs=0.05)
    assert gain > 0.25


def test_a_search_on_few_rows(reviews: Task, tiny: Callable[..., str], tmp_path: Path) -> None:
    """It ends with a front and its cross-fitted gain; the exported dev score is found again."""
    few = replace(reviews, train=reviews.train[:14], dev=reviews.train[:14], test=())
    storage = f"sqlite:///{tmp_path}/few.db"
    front = optimize(few, budget=9, model=tiny(), storage=storage, limits=Limits())
    assert front.best.test is not None
    assert (front.best.test.n, front.held_out) == (14, False)
    assert all(len(entry.prompt.demonstrations) <= 7 for entry in front.front)
    assert "cross-fitted (95 % interval)" in "\n".join(result_lines(front))
    document, _ = export_prompt(storage)
    (tmp_path / "best.json").write_text(json.dumps(document))
    assert verify(tmp_path / "best.json", few).split == "dev"


def test_dev_and_test_alone_need_no_training_rows(backend: HFBackend, tmp_path: Path) -> None:
    """Then there is no train, and nothing to show; one of the two is not enough."""
    for name, rows in (("dev", ROWS[:10]), ("test", ROWS[10:20])):
        lines = "".join(f"{row.inputs[0][1]},{row.target}\n" for row in rows)
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{lines}")
    task = load_task(dev=str(tmp_path / "dev.csv"), test=str(tmp_path / "test.csv"))
    assert (len(task.train), len(task.dev), len(task.test)) == (0, 10, 10)
    front = optimize(
        task, budget=9, max_demonstrations=0, backend=backend, storage=f"sqlite:///{tmp_path}/s.db"
    )
    assert not any(entry.prompt.demonstrations for entry in front.front)
    with pytest.raises(InputError, match="expected `dev` and `test` together"):
        load_task(dev=str(tmp_path / "dev.csv"))
