"""The best prompt made simpler, on a made-up model that is told what each part is worth."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.contracts import Constraint, Example, Prompt, Structure, Task
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.simplify import simplify
from tests.search.evaluation.test_racing import KnownModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import LikelihoodRequest

ROWS = tuple(Example((("text", f"row {i}"),), "ab"[i % 2]) for i in range(190))
CONFIRMING, DEV = ROWS[100:140], ROWS[:100]
START = Prompt("State the mark.", Structure(("Text",), "Mark"))
TASK = Task("made-up", "here", START, ("text",), "mark", ("a", "b"), ROWS[150:], DEV, ())


class Worth(KnownModel):
    """A model that is right on as many percent of the rows as a prompt's texts are worth.

    Each text has its own luck, so that what is worth nothing changes no answer.
    """

    def __init__(self, **worth: int) -> None:
        super().__init__()
        self._worth = {name.replace("_", " "): points for name, points in worth.items()}

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Score by the texts that stand in the prompt."""
        self.calls.append(len(requests))
        return [self._by_texts(str(request.prompt)) for request in requests]

    def _by_texts(self, prompt: str) -> tuple[float, float]:
        number = prompt.split("row ")[-1].split("\n")[0]
        luck = int(hashlib.sha256(number.encode()).hexdigest(), 16) % 100
        right = luck < self.points(prompt)
        return (-0.3, -1.4) if (int(number) % 2 == 0) == right else (-1.4, -0.3)

    def points(self, text: str) -> int:
        """Return on how many percent of the rows a prompt of this text is right."""
        return 50 + sum(worth for known, worth in self._worth.items() if known in text)


def simplest(model: Worth, best: Prompt, most: int = 5000) -> Prompt:
    """Return what is left of a prompt."""
    evaluator = Evaluator(TASK, model, LabelScorer())
    return simplify(evaluator, best, CONFIRMING, most, lambda _: True).prompt


def test_what_is_worth_nothing_goes_and_what_is_stays() -> None:
    """A sentence, an example, a constraint and a separator alike; the rest is the start's."""
    best = Prompt(
        "State the mark with care. Bananas are yellow.",
        replace(START.structure, block_separator="\n###\n"),
        ROWS[150:153],
        (Constraint("short", "Use one word."), Constraint("calm", "Be calm.")),
    )
    model = Worth(with_care=20, row_151=20, Be_calm=9)
    found = simplest(model, best)
    assert (
        replace(
            START,
            instruction="State the mark with care.",
            demonstrations=ROWS[151:152],
            constraints=best.constraints[1:],
        )
        == found
    )


def test_wording_that_is_worth_nothing_is_the_start_s() -> None:
    """All of it is tried at once: then few evaluations are enough."""
    best = Prompt("Marks: a, b", Structure(("Words",), "Answer", question="What?"), ROWS[150:151])
    model = Worth(row_150=30)
    evaluator = Evaluator(TASK, model, LabelScorer())
    found = simplify(evaluator, best, CONFIRMING, 200, lambda _: True)
    assert replace(START, demonstrations=best.demonstrations) == found.prompt
    assert 140 <= found.evaluations <= 200


def test_chatter_needs_evidence() -> None:
    """A text without task or labels stays only where it is significantly better."""
    chatter = replace(START, instruction="Bananas are yellow.")
    assert START == simplest(Worth(Bananas=2), chatter)
    assert chatter == simplest(Worth(Bananas=20), chatter)
    told = replace(START, instruction="Say which mark a text has.")
    assert told == simplest(Worth(Say_which=2), told)


@pytest.mark.parametrize("most", [0, 100, 139])
def test_what_cannot_be_confirmed_on_all_rows_is_not_begun(most: int) -> None:
    """Evaluations are never passed; the prompt stays as it is."""
    best = replace(
        START, instruction="State the mark. Bananas are yellow.", demonstrations=ROWS[150:152]
    )
    evaluator = Evaluator(TASK, Worth(row_151=30), LabelScorer())
    found = simplify(evaluator, best, CONFIRMING, most, lambda _: True)
    assert found.evaluations <= most


def test_what_is_not_allowed_is_not_tried() -> None:
    """A guard, such as for texts that must be kept, holds here too."""
    best = replace(START, instruction="State the mark. Bananas are yellow.")
    evaluator = Evaluator(TASK, Worth(), LabelScorer())
    found = simplify(
        evaluator, best, CONFIRMING, 5000, lambda prompt: "Bananas" in prompt.instruction
    )
    assert "Bananas" in found.prompt.instruction


def test_what_keeps_replies_short_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no score needs it: without it the model writes many tokens more."""
    best = replace(START, instruction="State the mark. Bananas are yellow. Use one word.")

    def written(_: Evaluator, prompt: Prompt, __: Sequence[Example]) -> float:
        return 2.0 if "one word" in prompt.instruction else 200.0

    monkeypatch.setattr(Evaluator, "reply_tokens", written)
    assert simplest(Worth(), best).instruction == "State the mark. Use one word."
