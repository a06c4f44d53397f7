"""Racing, on a made-up model whose accuracy per prompt is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.budget import most_evaluations
from promptfront.search.contracts import (
    Candidate,
    Example,
    LikelihoodRequest,
    Prompt,
    Structure,
    Task,
    Text,
)
from promptfront.search.errors import InputError
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.racing import race
from promptfront.search.scoring import Metric
from promptfront.search.storage.database import Store

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.search.contracts import Backend

ROWS = tuple(Example((("text", f"row {i} is {'ab'[i % 2]}"),), "ab"[i % 2]) for i in range(160))
START = Prompt("50", Structure(("Text",), "Label"))
TASK = Task("made-up", "here", START, ("text",), "label", ("a", "b"), ROWS[:10], ROWS, ())


class KnownModel:
    """A model for pure logic.

    A prompt whose instruction is "70" is right on 70 % of rows, by a hash of both.
    """

    model, fingerprint, revision, scoring, max_context = "known", "known", "", "known", 1000
    writes = True

    def __init__(self) -> None:
        self.calls: list[int] = []

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Score by the instruction's number."""
        self.calls.append(len(requests))
        return [self._score(str(request.prompt)) for request in requests]

    def _score(self, prompt: str) -> tuple[float, float]:
        accuracy = int(prompt.split()[0])
        gold = prompt.split(" is ")[-1][0]
        right = self._luck(prompt) % 100 < accuracy
        return (-0.3, -1.4) if (gold == "a") == right else (-1.4, -0.3)

    def _luck(self, prompt: str) -> int:
        return int(hashlib.sha256(prompt.encode()).hexdigest(), 16)

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
        """Reply how good the reply is.

        "0.70", give or take a tenth, for a prompt whose instruction is "70".
        """
        return [
            f"{(int(p.split()[0]) + self._luck(p) % 21 - 10) / 100:.2f}" for p in map(str, prompts)
        ]

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Count words."""
        return [len(str(text).split()) for text in texts]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Keep the first words."""
        return " ".join(text.split()[:max_tokens])

    def close(self) -> None:
        """Hold nothing."""


def prompt(accuracy: int, words: int = 0) -> Prompt:
    """Return a prompt of that accuracy, longer by some words."""
    return replace(START, instruction=" ".join([str(accuracy), *["pad"] * words]))


def test_pairs_go_to_contenders() -> None:
    """All see the first block, few much more, and one of the best all; the reason is noted."""
    model = KnownModel()
    evaluator = Evaluator(TASK, model, LabelScorer())
    prompts = [prompt(40 + 3 * i) for i in range(16)]
    trials = list(race(evaluator, dict.fromkeys(prompts, 0), [], [], lambda *_: None).values())
    full = [i for i, f in enumerate(trials) if not f.stopped]
    assert 1 == len(full)
    assert full[0] >= 9
    assert 160 == trials[full[0]].rows
    assert all("stopped" in f.stopped for i, f in enumerate(trials) if i not in full)
    assert sum(f.rows == 10 for f in trials) >= 8
    assert sum(model.calls) == sum(f.rows for f in trials) <= most_evaluations(16, 160, 16)


def test_a_second_race_begins_where_the_first_ended() -> None:
    """What was seen before is not shown again, and leaves more of the batch's evaluations."""
    evaluator = Evaluator(TASK, KnownModel(), LabelScorer())
    shown: list[int] = []
    trials = race(
        evaluator,
        {prompt(80): 33, prompt(40): 0},
        [],
        [],
        lambda p, rows: shown.append(len(p) * len(rows)),
    )
    assert [10, 16] == shown[:2]
    assert 160 == trials[prompt(80)].rows


@pytest.mark.parametrize("start", range(40, 46))
def test_graded_scores_are_raced_to_the_end(start: int) -> None:
    """Where candidates differ little and rows are few, one of a batch is evaluated in full."""
    evaluator = Evaluator(
        replace(TASK, labels=(), dev=ROWS[:60]), KnownModel(), Metric("said", lambda r, _: float(r))
    )
    prompts = dict.fromkeys([prompt(start, i) for i in range(1, 9)], 0)
    incumbent = Candidate(prompt(start), evaluator.evaluate(prompt(start), ROWS[:60]).quality, 2)
    trials = race(evaluator, prompts, [incumbent], [], lambda *_: None).values()
    assert any(trial.rows == 60 for trial in trials)
    assert sum(trial.rows for trial in trials) <= most_evaluations(8, 60, 8)


def test_what_is_plainly_worse_is_eliminated() -> None:
    """A much better incumbent of no greater cost ends a candidate, even without competitors."""
    evaluator = Evaluator(TASK, KnownModel(), LabelScorer())
    incumbent = Candidate(prompt(95), 0.95, 3)
    trial = race(evaluator, {prompt(30, 4): 0}, [incumbent], [], lambda *_: None)[prompt(30, 4)]
    assert trial.stopped.startswith("eliminated after 10 rows")
    assert (trial.estimate or 1.0) <= 0.6


def test_a_cheaper_candidate_has_no_incumbent() -> None:
    """Only front members of no greater cost can eliminate.

    A short prompt may be worse than a long one.
    """
    evaluator = Evaluator(TASK, KnownModel(), LabelScorer())
    incumbent = Candidate(prompt(95, 20), 0.95, 23)
    assert (
        "" == race(evaluator, {prompt(70): 0}, [incumbent], [], lambda *_: None)[prompt(70)].stopped
    )


def test_a_few_tokens_less_are_no_merit() -> None:
    """Rows go to who beats what costs little more, not to who beats only the far cheaper."""
    evaluator = Evaluator(TASK, cast("Backend", KnownModel()), LabelScorer())
    front = [Candidate(prompt(50), 0.5, 3), Candidate(prompt(80, 50), 0.8, 53)]
    worse, better = prompt(65, 45), prompt(85, 90)
    trials = race(evaluator, {worse: 0, better: 0}, front, [], lambda *_: None)
    assert trials[worse].rows < trials[better].rows == len(ROWS)


def test_nothing_is_scored_twice(tmp_path: Path) -> None:
    """A second race, in a new process so to say, scores only what is new."""
    url = f"sqlite:///{tmp_path}/a.db"
    first, second = KnownModel(), KnownModel()
    prompts = {prompt(60 + i): 0 for i in range(4)}
    once = race(Evaluator(TASK, first, LabelScorer(), Store(url)), prompts, [], [], lambda *_: None)
    again = race(
        Evaluator(TASK, second, LabelScorer(), Store(url)), prompts, [], [], lambda *_: None
    )
    assert once == again
    assert [] == second.calls
    assert first.calls


def test_a_prompt_over_the_context_is_told() -> None:
    """What would not fit is known before anything is scored."""
    with pytest.raises(InputError, match="the model reads at most 1000"):
        Evaluator(TASK, KnownModel(), LabelScorer()).tokens.of_prompt(prompt(60, 1000))


if TYPE_CHECKING:
    _: Backend = KnownModel()
