"""What parts of a prompt are worth, on a made-up model that is told so."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.contracts import Constraint, Prompt
from promptfront.search.evaluation.effects import Effects
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.statistics import difference_interval
from promptfront.search.prompts.parts import PromptParts
from tests.search.evaluation.test_racing import KnownModel
from tests.search.evaluation.test_simplify import ROWS, START, TASK, Worth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import LikelihoodRequest

PROMPT = Prompt(
    "State the mark with care. Bananas are yellow. Apples are red. Look at the number.",
    replace(START.structure, block_separator="\n###\n"),
    ROWS[150:156],
    tuple(Constraint(name, f"Be {name}.") for name in ("calm", "kind", "short", "polite")),
)
MATTER = ("Apples", "row 152", "Be kind")
TEXTS = (
    *("care", "Bananas", "Apples", "Look", "###"),
    *(f"row {i}" for i in range(150, 156)),
    *(f"Be {constraint.name}" for constraint in PROMPT.constraints),
)
WORTH = 0.6
"""Of what matters, in standard deviations of how hard rows are: some 15 points."""
DRAWS = 1000


def effects_of(
    model: KnownModel, prompt: Prompt = PROMPT, rows: int = 140
) -> tuple[Effects, PromptParts]:
    """Return what scores the parts of a prompt on some rows."""
    parts = PromptParts(prompt, START.structure, TASK.input_fields)
    return Effects(Evaluator(TASK, model, LabelScorer()), parts, ROWS[:rows]), parts


class Planted(KnownModel):
    """A model to which one sentence, one demonstration and one constraint matter.

    Each other part is luck: a row here and there is right with it alone, another one without it.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self._hardness = rng.normal(0, 1, len(ROWS))
        self._chance = {text: rng.normal(0, 0.2, len(ROWS)) for text in TEXTS}

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Score by the sum of what the texts in the prompt do to the row."""
        self.calls.append(len(requests))
        return [self._by_texts(str(request.prompt)) for request in requests]

    def _by_texts(self, prompt: str) -> tuple[float, float]:
        number = prompt.split("row ")[-1].split("\n")[0]
        texts = [text for text in TEXTS if text in prompt]
        worth = sum(WORTH for text in texts if text in MATTER) - WORTH
        row = int(number)
        right = worth + self._hardness[row] + sum(self._chance[text][row] for text in texts) > 0
        return (-0.3, -1.4) if (row % 2 == 0) == right else (-1.4, -0.3)


def test_finds_what_is_planted_and_little_else() -> None:
    """In 20 tasks: the three in 19 or more, and at most one in twenty of the others."""
    found, claimed, others = 0, 0, 0
    for seed in range(20):
        effects, parts = effects_of(Planted(seed))
        each = zip(parts.all(), effects.of_each(parts.all()), strict=True)
        clear = {part.text: one is not None and one.clear for part, one in each}
        mine = [text for text in clear if text.startswith(MATTER)]
        found += all(clear[text] for text in mine)
        claimed += sum(clear.values()) - sum(clear[text] for text in mine)
        others += len(clear) - len(mine)
        assert len(mine) == 3
    assert found >= 19
    assert claimed <= 0.05 * others


def test_asks_for_each_prompt_once() -> None:
    """The prompt and what is left of it, each on each row: no more."""
    effects, parts = effects_of(model := Planted(0), rows=30)
    effects.of_each(parts.all())
    effects.of_each(parts.all())
    assert sum(model.calls) == 30 * (1 + len(parts.all()))


def test_shapley_values_share_what_two_parts_say_alike() -> None:
    """Each alone can go, for the other says the same; by Shapley both are worth half."""
    prompt = replace(PROMPT, demonstrations=(), constraints=PROMPT.constraints[:2])

    class Either(Worth):
        def points(self, text: str) -> int:
            """Give as many for either as for both."""
            return 80 if "Apples" in text or "Bananas" in text else 50

    effects, parts = effects_of(Either(), prompt, 60)
    names = [part.text for part in parts.all()]
    alone = [one and one.mean for one in effects.of_each(parts.all())]
    shapley = effects.shapley(parts.all(), 256, random.Random(0))
    values = dict(zip(names, shapley.effects, strict=True))
    apples, bananas, calm = "Apples are red.", "Bananas are yellow.", "Be calm."
    assert [alone[names.index(name)] for name in (apples, bananas)] == [0, 0]
    assert values[apples].mean == pytest.approx(values[bananas].mean)
    assert values[apples].mean > 0.1
    assert values[calm].mean == pytest.approx(0)
    total = sum(one.mean for one in values.values())
    assert total == pytest.approx(effects.score - shapley.bare)


def test_sampled_shapley_values_are_near_the_exact_ones() -> None:
    """Of eight parts from a quarter of the subsets; they still add up."""
    some = PROMPT.constraints[:2]
    prompt = replace(PROMPT, demonstrations=PROMPT.demonstrations[:1], constraints=some)
    effects, parts = effects_of(Worth(Apples=15, Be_kind=12, row_150=20), prompt, 60)
    exact = effects.shapley(parts.all(), 2**8, random.Random(0))
    sampled = effects.shapley(parts.all(), 64, random.Random(0))
    gaps = [a.mean - b.mean for a, b in zip(exact.effects, sampled.effects, strict=True)]
    assert max(map(abs, gaps)) < 0.03
    assert sum(gaps) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("wins", "losses"), [(0.1, 0.05), (0.25, 0.02), (0.06, 0.06)])
def test_intervals_of_right_and_wrong_cover(wins: float, losses: float) -> None:
    """Of 1,000 draws with a known effect 93 to 97 in a hundred intervals hold it."""
    rng = np.random.default_rng(0)
    chances = [wins, losses, 1 - wins - losses]
    draws = rng.choice([1.0, -1.0, 0.0], (DRAWS, 300), p=chances)
    assert 0.93 <= share_covered(draws, wins - losses) <= 0.97


@pytest.mark.parametrize("skew", [1, 5])
def test_intervals_of_other_scores_cover(skew: int) -> None:
    """The same of differences of any size."""
    rng = np.random.default_rng(0)
    draws = rng.beta(1, skew, (DRAWS, 150)) - 0.2
    assert 0.93 <= share_covered(draws, 1 / (1 + skew) - 0.2) <= 0.97


def share_covered(draws: np.ndarray, effect: float) -> float:
    """Return how many of the draws' intervals hold the effect."""
    intervals = [difference_interval([*draw]) for draw in draws]
    return sum(low <= effect <= high for low, high in intervals) / len(intervals)
