"""What no sampler has to find: given instructions, twins, second looks, and combined changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from ..contracts import GENES, usage_of
from ..records.trials import Trial
from .apply import Mutation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..contracts import MutationContext, Mutator, Prompt
    from ..records.trials import History

_TWINS = 4
"""Candidates of a batch that only read scored outputs in another way; set by hand."""
_SECOND_LOOKS = 2
"""Candidates of a batch that race again; set by hand."""
_COMBINED = 16
"""The best prompts that pairs are made of; set by hand."""


@dataclass(frozen=True, slots=True)
class Given:
    """Makes the candidates that are tried before anything that is drawn.

    Parameters
    ----------
    mutators
        Name to mutator.
    first
        Instructions to try.
    starts
        Whole prompts to try before those: they are the user's.
    """

    mutators: Mapping[str, Mutator]
    first: Sequence[str]
    starts: Sequence[Prompt]

    def candidates(
        self, context: MutationContext, start: Prompt, seen: Collection[Prompt], history: History
    ) -> list[Trial]:
        """Return those that wait to be tried; ``seen`` was tried."""
        prompts = [*self.starts, *(replace(start, instruction=text) for text in self.first)]
        others = [Trial(prompt) for prompt in prompts if prompt not in seen]
        others += self._twins(context, seen, history)
        others += self._at_first(context, start, history) + second_looks(history)
        return combined(context, start, seen, history) + others

    def _at_first(self, context: MutationContext, start: Prompt, history: History) -> list[Trial]:
        """Return what the start is made to before anything else is known."""
        if len(history.latest) > 1:
            return []
        names = [name for name, one in self.mutators.items() if usage_of(one).at_first]
        made = [(name, Mutation(start)) for name in names]
        changed = [one for name, one in made if one.by(name, self.mutators, context)]
        return [one.proposal(history.parents(start)) for one in changed if one.applied]

    def _twins(
        self, context: MutationContext, seen: Collection[Prompt], history: History
    ) -> list[Trial]:
        """Return fully evaluated prompts whose scored outputs are only read in another way."""
        twins: list[Trial] = []
        rereading = [name for name, one in self.mutators.items() if usage_of(one).rereads]
        trials = [trial for trial in history.latest if trial.complete]
        complete = {trial.number: trial.prompt for trial in trials if trial.prompt}
        for name in rereading:
            for number, prompt in complete.items():
                mutation = Mutation(prompt)
                unbroken = mutation.by(name, self.mutators, context)
                if mutation.prompt not in seen or not unbroken:
                    twins.append(mutation.proposal((number,)))
                if not unbroken or len(twins) == _TWINS:
                    break
        return twins[:_TWINS]


def second_looks(history: History) -> list[Trial]:
    """Return prompts that were stopped early, but are estimated better than any evaluated in full.

    They race again with the next batch; only examples that they have not seen cost anything.
    """
    # What is stopped in its second race gets no third.
    latest = _latest(history)
    estimates = [trial.estimate or 0.0 for trial in latest.values() if trial.complete]
    best = max(estimates, default=1.0)
    waiting = [
        trial
        for trial in latest.values()
        if not trial.complete and trial.estimate is not None and trial.estimate > best
    ]
    waiting.sort(key=lambda trial: -(trial.estimate or 0.0))
    return [
        Trial(trial.prompt, (trial.number,), rows=trial.rows) for trial in waiting[:_SECOND_LOOKS]
    ]


def combined(
    context: MutationContext, start: Prompt, seen: Collection[Prompt], history: History
) -> list[Trial]:
    """Return a new prompt with the changes of two that are better than the start, if there is one.

    The two changed other genes of the start; of all such pairs it is the one whose gains are
    together the largest. Definitions that gain and demonstrations that gain may gain more together,
    and a sampler needs many trials to see that.
    """
    first = history.first
    better = [
        (trial.estimate - first, prompt, trial.number)
        for prompt, trial in _latest(history).items()
        if trial.estimate is not None and first is not None and trial.estimate > first
    ]
    better.sort(key=lambda one: -one[0])
    pairs = sorted(combinations(better[:_COMBINED], 2), key=lambda two: -two[0][0] - two[1][0])
    for (_, one, number), (_, other, its_number) in pairs:
        ours, theirs = _changes(start, one), _changes(start, other)
        if ours.keys() & theirs.keys():
            continue
        prompt = context.fit(replace(start, **ours, **theirs))
        if prompt and prompt not in seen:
            return [Trial(prompt, (number, its_number))]
    return []


def _latest(history: History) -> dict[Prompt, Trial]:
    """Return the latest trial of each prompt."""
    return {trial.prompt: trial for trial in history.latest if trial.prompt}


def _changes(start: Prompt, prompt: Prompt) -> dict[str, Any]:
    """Return the genes of a prompt that are not the start's."""
    alleles = {gene: getattr(prompt, gene) for gene in GENES}
    return {gene: allele for gene, allele in alleles.items() if allele != getattr(start, gene)}
