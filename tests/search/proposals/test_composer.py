"""What is proposed next: new, and from the history alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import pytest

from promptfront.search.contracts import (
    Gene,
    MutationContext,
    Prompt,
    Text,
    Usage,
)
from promptfront.search.proposals.composer import Composer
from promptfront.search.records.trials import SLOTS, Trial, Tried
from tests.records import trial
from tests.search.proposals.made_up import (
    START,
    TRAIN,
    Bad,
    built_in,
    context,
    outcomes,
    told,
    tried,
)


def test_alleles_are_numbered_in_the_order_found() -> None:
    """A prompt is one number per gene and back; a full gene takes no more."""
    alleles = Tried()
    for i in range(SLOTS + 1):
        alleles.add(replace(START, instruction=str(i)))
    last, first = replace(START, instruction=str(SLOTS)), replace(START, instruction="0")
    assert alleles.numbers(last) is None
    assert {
        "instruction": 0,
        "demonstrations": 0,
        "constraints": 0,
        "structure": 0,
    } == alleles.numbers(first)
    assert first == alleles.prompt(alleles.numbers(first) or {})


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
def test_same_history_same_proposals(sampler: str) -> None:
    """A batch follows from seed, number and history, and is new but for second looks."""
    make: Callable[[], Composer] = lambda: Composer(built_in(), sampler, 3, context)  # noqa: E731
    first = make().compose(1, 20, tried(START), told())
    written = [START, *(p.prompt for p in first if p.prompt)]
    second = make().compose(2, 8, tried(*written), outcomes(first))
    assert second == make().compose(2, 8, tried(*written), outcomes(first))
    assert second != make().compose(3, 8, tried(*written), outcomes(first))
    again = [p.prompt for p in second if p.parents and not p.mutators]
    new = [p.prompt for p in second if p.prompt not in again]
    assert len(again) <= 2
    assert set(again) <= set(written)
    assert len({*written, *new}) == len(written) + len(new) == 29 - len(again)


def test_the_proposer_is_called_twice_a_batch() -> None:
    """However many mutators want to ask the model, a batch costs two calls of it."""
    calls: list[int] = []

    def propose(prompts: Sequence[Text], _: int) -> list[str]:
        calls.append(len(prompts))
        return [f"Say a or b, number {len(calls)}."] * len(prompts)

    names = ("paraphrase", "induce", "random-demonstrations")
    mutators = {name: mutator for name, mutator in built_in().items() if name in names}
    composer = Composer(mutators, "random", 0, lambda rng: replace(context(rng), propose=propose))
    proposals = composer.compose(1, 16, tried(START), told())
    assert [4, 4] == calls
    assert len({p.prompt for p in proposals}) == 16


def test_a_fully_evaluated_prompt_is_read_both_ways() -> None:
    """What was scored without calibration is tried with it, which costs no new score.

    Free text has no labels to calibrate.
    """
    history = [trial(0, START, 0.5, 10)]
    first = Composer(built_in(), "random", 0, context).compose(1, 4, tried(START), told(*history))[
        0
    ]
    calibrated = replace(START, structure=replace(START.structure, calibration="batch"))
    assert Trial(calibrated, (0,), ("calibration",)) == first
    made = context(random.Random(0))
    free = replace(made, task=replace(made.task, labels=()))
    proposals = Composer(built_in(), "random", 0, lambda rng: replace(free, rng=rng)).compose(
        1, 8, tried(START), told(*history)
    )
    assert {"none"} == {p.prompt.structure.calibration for p in proposals if p.prompt}


def test_what_was_stopped_but_looks_best_races_again() -> None:
    """Its estimate is above that of all that were evaluated in full.

    Once it is among them it is left alone.
    """
    other = replace(START, instruction="A or b?")
    stopped = [
        trial(0, START, 0.5, 10, rows=100),
        trial(1, other, 0.8, 6, rows=10, stopped="early"),
        trial(2, replace(START, instruction="Which?"), 0.4, 6, rows=10, stopped="early"),
    ]
    composer = Composer({}, "random", 0, context)
    written = tried(*(o.prompt for o in stopped if o.prompt))
    assert Trial(other, (1,), rows=10) == composer.compose(2, 1, written, told(*stopped))[0]
    whole = trial(3, other, 0.7, 6, rows=100)
    bad = Composer({"x": Bad(lambda p: replace(p, instruction="new"))}, "random", 0, context)
    assert other != bad.compose(3, 1, written, told(*stopped, whole))[0].prompt


def test_changes_of_other_genes_that_gain_are_combined() -> None:
    """The best pair comes first, then the next; changes of one gene are no pair, nor are losses."""
    best = replace(START, instruction="Which, a or b?")
    good = replace(START, instruction="A or b?")
    shown = replace(START, demonstrations=TRAIN[:2])
    worse = replace(START, structure=replace(START.structure, question="Well?"))
    history = [
        trial(0, START, 0.5, 10),
        trial(1, good, 0.6, 10, stopped="early"),
        trial(2, shown, 0.6, 20),
        trial(3, best, 0.7, 10, stopped="early"),
        trial(4, worse, 0.4, 10, stopped="early"),
    ]
    make = partial(Composer({}, "random", 0, context).compose, 2, 1)
    seen = [one.prompt for one in history if one.prompt]
    both = replace(best, demonstrations=TRAIN[:2])
    assert make(tried(*seen), told(*history)) == [Trial(both, (3, 2))]
    next_best = replace(good, demonstrations=TRAIN[:2])
    assert make(tried(*seen, both), told(*history)) == [Trial(next_best, (1, 2))]
    left = make(tried(*seen, both, next_best), told(*history))[0]
    assert len(left.parents) < 2


def test_the_users_other_instructions_come_first_and_calibration_can_be_left_out() -> None:
    """Whole prompts are the first candidates, and further instructions the next.

    Without the mutator there are no calibrated twins.
    """
    mutators = {name: mutator for name, mutator in built_in().items() if name != "calibration"}
    history = [trial(0, START, 0.5, 10)]
    own = replace(START, instruction="Say it.", demonstrations=TRAIN[:2])
    first = ("A or b?", "Which?")
    composer = Composer(mutators, "random", 0, context, first=first, starts=(own,))
    found = composer.compose(1, 12, tried(START), told(*history))
    assert found[0].prompt == own
    assert [*first] == [p.prompt.instruction for p in found[1:3] if p.prompt]
    assert {"none"} == {p.prompt.structure.calibration for p in found if p.prompt}


@dataclass
class Reread:
    """A plugin that only changes how outputs are read."""

    do: Callable[[Prompt], object]
    gene: Gene = "structure"
    usage = Usage(rereads=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Change it."""
        return cast("Prompt", self.do(prompt))


def test_a_plugin_that_rereads_is_tried_with_what_was_evaluated_in_full() -> None:
    """As the built-in one that switches calibration; where it fails, one candidate says so."""
    complete = [trial(i, replace(START, instruction=str(i)), 0.5, 10) for i in range(9)]
    written = tried(*(outcome.prompt for outcome in complete if outcome.prompt))
    reread = Reread(lambda p: replace(p, structure=replace(p.structure, layout="chat")))
    made = Composer({"r": reread}, "random", 0, context).compose(1, 10, written, told(*complete))
    assert [((i,), ("r",)) for i in range(4)] == [(p.parents, p.mutators) for p in made[:4]]
    broken = Composer({"r": Reread(lambda _: None)}, "random", 0, context)
    first = broken.compose(1, 10, written, told(*complete))[0]
    assert (None, ("r",)) == (first.prompt, first.mutators)
    assert "must return a Prompt" in first.error
