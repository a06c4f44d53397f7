"""What follows a search, on a made-up model: each piece once, within its evaluations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.budget import Ledger
from promptfront.search.contracts import Prompt, Task
from promptfront.search.ending import Ending
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.full import score_in_full
from promptfront.search.options import Limits
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import FIRST, Study, batch_name
from tests.records import config
from tests.search.evaluation.test_simplify import DEV, ROWS, START, Worth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from promptfront.search.contracts import LikelihoodRequest, Text
    from promptfront.search.records.results import Frontier

TRAIN, TEST = ROWS[100:170], ROWS[170:]
TASK = Task("made-up", "here", START, ("text",), "mark", ("a", "b"), TRAIN, DEV, TEST)
BEST = Prompt("State the mark with care. Bananas are yellow.", START.structure, TRAIN[:1])
WORTH = {"with_care": 20}


class Stopped(Exception):  # noqa: N818 (a process that is killed)
    """The process is killed."""


class Killed(Worth):
    """A model whose process is killed before it answers for the last time."""

    left: int | None = None

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Answer as long as the process lives."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Stopped
        return super().loglikelihoods(requests)

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
        """Write a label."""
        return ["a"] * len(prompts)


def ended(
    folder: Path, *prompts: Prompt, model: Killed, limits: Limits | None = None
) -> tuple[Frontier, int]:
    """Return what a study of the start and these prompts ends with, and its number of trials."""
    store = Store(f"sqlite:///{folder}/a.db")
    study = Study(store, "s", config(len(DEV), len(TEST)))
    evaluator = Evaluator(TASK, model, LabelScorer(), store)
    for i, prompt in enumerate([START, *prompts]):
        batch = batch_name(i)
        if not study.told(batch):
            study.add(batch, 0, score_in_full(evaluator, prompt, "it"), None)
    ledger = Ledger(limits or Limits(), DEV, 23, study, evaluator.tokens.of_examples)
    ending = Ending(evaluator, study, ledger, lambda _: None)
    with study.batches.heartbeat():
        ending.look_ahead()
        ending.run()
    return study.frontier(), len(study.trials())


def test_the_best_is_made_simpler_and_is_a_trial_of_its_own(tmp_path: Path) -> None:
    """It says what it comes from, is scored on all rows and is what is picked."""
    found, trials = ended(tmp_path, BEST, model=Killed(**WORTH))
    best = found.best
    assert replace(START, instruction="State the mark with care.") == best.prompt
    assert (3, 2, (1,), ("simplify",)) == (
        trials,
        found.trials,
        best.trial.parents,
        best.trial.mutators,
    )
    assert found.pick("best") == found.pick(str(best.number)) == best
    assert best.test is not None
    assert best.confirmation is not None
    assert best.confirmation.gain is not None
    assert best.confirmation.gain > 0
    assert (len(DEV), 20) == (best.trial.rows, best.test.n)
    assert found.headroom is not None
    assert found.headroom.seen


@pytest.mark.parametrize("answers", [3, 5, 6, 7, 9, 12])
def test_a_killed_ending_goes_on_as_if_nothing_had_happened(tmp_path: Path, answers: int) -> None:
    """Wherever it is killed, the result and the evaluations are those of an undisturbed run."""
    (tmp_path / "calm").mkdir()
    (tmp_path / "wild").mkdir()
    calm = ended(tmp_path / "calm", BEST, model=Killed(**WORTH))
    killed = Killed(**WORTH)
    killed.left = answers
    with pytest.raises(Stopped):
        ended(tmp_path / "wild", BEST, model=killed)
    assert calm[1] == ended(tmp_path / "wild", BEST, model=Killed(**WORTH))[1]
    again = ended(tmp_path / "wild", BEST, model=Killed(**WORTH))
    assert calm[0].to_dict() == again[0].to_dict()
    assert calm[1] == again[1]


def test_limited_evaluations_are_not_passed(tmp_path: Path) -> None:
    """What confirms, looks ahead and makes simpler is counted, and ends in time."""
    for most in (200, 210, 260, 330, 500):
        folder = tmp_path / str(most)
        folder.mkdir()
        limits = Limits(max_evaluations=most)
        found, _ = ended(folder, BEST, model=Killed(**WORTH), limits=limits)
        assert 200 <= found.evaluations <= most


def test_the_start_stays_as_the_user_wrote_it(tmp_path: Path) -> None:
    """Where nothing is better there is nothing to make simpler."""
    found, trials = ended(tmp_path, replace(START, instruction="Bad."), model=Killed(Bad=-20))
    assert (2, START) == (trials, found.best.prompt)
    assert found.headroom is not None
    assert not found.headroom.seen
    assert FIRST == batch_name(0)


class Unlucky(Killed):
    """A model that does worse with the best prompt on some rows, and better on all others."""

    def __init__(self, rows: int) -> None:
        super().__init__(with_care=20)
        self._wrong = {dict(row.inputs)["text"] for row in TRAIN[-23:][:rows]}

    def points(self, text: str) -> int:
        """Return 100 for the best prompt, 0 on rows of bad luck."""
        if "with care" not in text:
            return super().points(text)
        return (
            0
            if any(text.split("Text: ")[-1].startswith(f"{row}\n") for row in self._wrong)
            else 100
        )


@pytest.mark.parametrize("rows", [6, 23])
def test_few_rows_alone_refute_nothing(tmp_path: Path, rows: int) -> None:
    """What evaluations are left look at more of them; a prompt that is worse stays refuted."""
    limits = Limits(max_evaluations=280)
    found, _ = ended(tmp_path, BEST, model=Unlucky(rows), limits=limits)
    assert (rows == 6) == (found.best.number != found.start.number)
    assert found.evaluations <= 280
    assert found.start.confirmation is not None
    assert found.start.confirmation.n > rows if rows == 6 else found.start.confirmation.n > 6
