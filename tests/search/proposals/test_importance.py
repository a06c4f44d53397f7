"""Which choices the scores of a search went with."""

from __future__ import annotations

from dataclasses import replace

from promptfront.search.contracts import Constraint, Prompt, Structure
from promptfront.search.proposals.importance import importances
from promptfront.search.records.trials import Trial
from tests.records import trial

START = Prompt("Say it.", Structure(("Text",), "Mood"))
OTHER = replace(START, instruction="Say it at once.")


def searched(count: int) -> list[Trial]:
    """Return candidates of which those with another instruction score higher, whatever else."""
    trials = []
    for i in range(count):
        rule = (Constraint("short", f"Use {i} words."),) if i % 3 else ()
        prompt = replace(OTHER if i % 2 else START, constraints=rule)
        names = ("rewrite",) if i % 2 else ("add-constraint",)
        made = trial(i, prompt, 0.5 + 0.2 * (i % 2) + 0.01 * (i % 5), 10 + i, mutators=names)
        trials.append(made)
    return trials


def test_names_the_gene_and_the_mutators_that_scores_went_with() -> None:
    """What never changed is not named."""
    found = importances(searched(40), START)
    assert found is not None
    assert found.trials == 40
    assert found.genes["instruction"] > 0.8 > 0.2 > found.genes["constraints"]
    assert "demonstrations" not in found.genes
    assert {"rewrite", "add-constraint"} == found.mutators.keys()


def test_says_nothing_of_few_or_equal_candidates() -> None:
    """There is nothing to tell from them."""
    assert importances(searched(7), START) is None
    alike = [replace(one, prompt=OTHER, mutators=()) for one in searched(40)]
    found = importances(alike, START)
    assert found is not None
    assert ({}, {}) == (found.genes, found.mutators)
    equal = [replace(one, estimate=0.5) for one in searched(40)]
    assert importances(equal, START) is None
