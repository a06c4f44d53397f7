"""The ledger: who may ask for how many evaluations, and what is left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from promptfront.search import optimize
from promptfront.search.budget import (
    Allowance,
    Grant,
    Ledger,
    LimitReached,
    affordable_dev_rows,
    blocks,
    confirming_evaluations,
    most_evaluations,
    planned_evaluations,
    race_budget,
)
from promptfront.search.contracts import Example, Prompt, Structure
from promptfront.search.options import Limits
from promptfront.search.proposals.inventory import load_mutators
from promptfront.search.records.trials import Trial, proposed_from_json
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study
from tests.search.evaluation.test_racing import TASK, KnownModel, prompt

if TYPE_CHECKING:
    from pathlib import Path

DEV = tuple(Example((("text", f"row {i}"),), "a") for i in range(100))
PROMPT = Prompt("Rate.", Structure(("Text",), "Label"))


class Told:
    """What a made-up study holds: scored trials, and what mutators and finalists have used."""

    def __init__(
        self,
        *scored: tuple[Trial, int],
        mutators: int = 0,
        confirmed: int = 0,
        waited: int = 0,
    ) -> None:
        self.trials = list(scored)
        self._mutators, self._confirmed, self._waited = mutators, confirmed, waited

    def waited(self) -> int:
        """Return how many candidates were told since the last that was better."""
        return self._waited

    def scored(self) -> list[tuple[Trial, int]]:
        """Return the scored trials, and what they had seen before."""
        return self.trials

    def front(self) -> list[Prompt]:
        """Return a front of one prompt."""
        return [PROMPT]

    def mutator_evaluations(self) -> int:
        """Return what mutators have used."""
        return self._mutators

    def ending_evaluations(self) -> int:
        """Return what the ending has used."""
        return self._confirmed


def ledger(limits: Limits, told: Told, confirmation: int = 30) -> Ledger:
    """Return the ledger of a study with 100 dev rows of two tokens."""
    study = cast("Study", told)
    return Ledger(limits, DEV, confirmation, study, lambda examples: [2] * len(examples))


def test_blocks_grow_to_all_rows() -> None:
    """Blocks end at 10, 15, 22 …, and the last one ends with the last row however few there are."""
    assert [10, 15, 22, 33, 49, 100] == blocks(100)
    assert [10, 20] == blocks(20)
    assert [14] == blocks(14)
    assert [3] == blocks(3)


def test_a_race_costs_its_first_block_and_a_half_more_than_one_full_evaluation() -> None:
    """All see ten rows, then they share; a rest of a batch is a batch of its own."""
    assert race_budget(8, 100) == 80 + 135
    assert race_budget(1, 100) == 100
    assert most_evaluations(17, 100, 8) == 2 * 215 + 100
    assert most_evaluations(-1, 100, 8) == 0


def test_few_evaluations_are_still_several_full_ones() -> None:
    """A tenth of them are dev rows, but no fewer than 30; a seventh is kept for confirmation."""
    assert [affordable_dev_rows(Limits(max_evaluations=n), 200) for n in (100, 1000, 9000)] == [
        30,
        100,
        200,
    ]
    assert affordable_dev_rows(Limits(), 200) == 200
    assert confirming_evaluations(Limits(max_evaluations=280), 30) == 10
    assert confirming_evaluations(Limits(), 30) == 30
    assert planned_evaluations(Limits(budget=8), 0, 100, 30) == 215 + 120 + 107
    assert planned_evaluations(Limits(budget=8, max_evaluations=50), 0, 100, 30) == 50


def test_a_batch_is_as_large_as_its_race_can_be_paid_for() -> None:
    """What races, what finalists need and what mutators may ask for is taken off first."""
    free = ledger(Limits(budget=20), Told())
    assert free.grant([1, 8, 8], []) == Grant(3, None, last=True)
    assert free.grant([1], []) == Grant(8, None, last=False)
    told = Told((Trial(PROMPT, rows=100, tokens=5, estimate=0.5), 0))
    tight = ledger(Limits(budget=20, max_evaluations=1000), told)
    kept = 3 * 30 + 1000 // 8
    assert tight.grant([1], []) == Grant(8, 1000 - 100 - kept - 215, last=False)
    assert tight.grant([1, 8], [8]) == Grant(8, 1000 - 100 - kept - 2 * 215, last=False)
    small = ledger(Limits(budget=20, max_evaluations=300), told)
    size, for_mutators, _, second_look = small.grant([1], [])
    left = 300 - 100 - 3 * (300 // 28) - 300 // 8
    assert 0 < size < 8
    assert second_look == 0
    assert for_mutators == left - race_budget(size, 100)
    assert race_budget(size + 1, 100) + 15 * (size + 1) > left
    least = ledger(Limits(budget=20, max_evaluations=290), told)
    left = 290 - 100 - 3 * (290 // 28) - 290 // 8
    assert least.grant([1, 1], [1]) == Grant(0, left - 100, last=False, second_look=left - 100)
    assert least.grant([1, 19], []).second_look == 0


def test_patience_ends_a_search_that_stopped_gaining() -> None:
    """As many candidates without a gain as one is patient for are the last."""
    limits = Limits(budget=20, patience=5)
    assert 3 == ledger(limits, Told(waited=4)).grant([1, 8, 8], []).candidates
    assert 0 == ledger(limits, Told(waited=5)).grant([1, 8, 8], []).candidates


@pytest.mark.parametrize(
    "limits", [Limits(max_evaluations=129), Limits(max_tokens=915), Limits(timeout=1e-9)]
)
def test_a_limit_ends_the_search_before_it_is_passed(limits: Limits) -> None:
    """Evaluations, tokens or time: what would pass the limit is not counted."""
    told = Told((Trial(PROMPT, rows=100, tokens=5, estimate=0.5), 0), mutators=10)
    books = ledger(limits, told)
    assert books.spent == (110, 700)
    with pytest.raises(LimitReached):
        books.spend(20, 216)
    assert books.spent == (110, 700)


def test_what_is_in_flight_is_spent_until_the_study_holds_it() -> None:
    """A second race counts only the rows that the first has not shown."""
    told = Told()
    books = ledger(Limits(), told)
    books.spend(20, 140)
    assert books.spent == (20, 140)
    books.settle()
    told.trials += [(Trial(PROMPT, rows=10, tokens=5), 0), (Trial(PROMPT, rows=20, tokens=5), 10)]
    assert books.spent == (20, 140)


def test_finalists_share_what_the_search_left() -> None:
    """Each has all confirmation rows only where evaluations are left for them.

    What makes the best prompt simpler has its part, and at the end what is left.
    """
    told = Told((Trial(PROMPT, rows=100, tokens=5, estimate=0.5), 0))
    for most, rows in ((None, 30), (1100, 30), (150, 10), (100, 0), (1, 0)):
        limits = Limits(budget=1, max_evaluations=most)
        books = ledger(limits, told)
        assert rows == books.for_each_confirmed(3)
        assert books.for_simplifying() == (50 if most is None else max(0, most - 100))


def test_mutators_are_answered_as_far_as_their_allowance_goes() -> None:
    """What is asked beyond the limit is not counted; without a number the limit stays."""
    allowance = Allowance()
    assert allowance.take(1000)
    allowance.grant(10)
    assert not allowance.take(11)
    assert allowance.take(10)
    allowance.grant(None)
    assert not allowance.take(1)
    assert allowance.spent == 1010


def test_evaluations_that_no_new_candidate_can_use_look_again_at_what_was_stopped(
    tmp_path: Path,
) -> None:
    """The last batch is of such prompts alone, and evaluates them within the limit."""
    words = (76, 2), (78, 3), (73, 1), (71, 1), (83, 1), (74, 1), (75, 0), (74, 0), (72, 0), (84, 2)
    given = tuple(prompt(*one).instruction for one in (*words, (81, 1)))
    task = replace(TASK, dev=TASK.dev[:40], instructions=given, answers="likelihood")
    frontier = optimize(
        task,
        backend=KnownModel(),
        budget=60,
        seed=1,
        limits=Limits(max_evaluations=480),
        without=[name for name in load_mutators(()) if name != "random-demonstrations"],
        storage=f"sqlite:///{tmp_path}/s.db",
    )
    study = Study(Store(f"sqlite:///{tmp_path}/s.db"), frontier.study)
    *before, last = [
        proposed_from_json(batch.payload["candidates"]) for batch in study.batches.of("search")
    ]
    assert [len(batch) for batch in before] == [1, 8, 8, 3, 1]
    ended = study.history().latest[-1]
    assert [ended.prompt] == [trial.prompt for trial in last]
    assert 0 < last[0].rows < ended.rows
    assert frontier.evaluations <= 480
