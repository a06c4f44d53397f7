"""What was worth most is changed most."""

from __future__ import annotations

from dataclasses import replace

from promptfront.search.proposals.composer import Composer
from tests.records import trial
from tests.search.proposals.made_up import (
    START,
    built_in,
    context,
    told,
    tried,
)


def test_the_gene_whose_candidates_go_far_is_changed_most() -> None:
    """The bandit learns from what candidates gained over the starting prompt."""
    quality = {"demonstrations": 0.9, "instruction": 0.5, "constraints": 0.4, "structure": 0.5}
    mutators = built_in()
    history = [trial(0, START, 0.5, 10)]
    for i, (name, mutator) in enumerate(list(mutators.items()) * 4, start=1):
        prompt = replace(START, instruction=f"number {i}")
        score = quality[mutator.gene]
        history.append(trial(i, prompt, score, 10, mutators=(name,), stopped="early"))
    proposals = Composer(mutators, "random", 0, context).compose(
        1, 64, tried(START), told(*history)
    )
    used = [
        mutators[name].gene
        for proposal in proposals
        for name in proposal.mutators
        if name != "calibration"
    ]
    assert used.count("demonstrations") > len(used) / 2
