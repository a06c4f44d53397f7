"""What no sampler has to find: instructions that are given, twins, and second looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..contracts import usage_of
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
        Whole prompts to try.
    """

    mutators: Mapping[str, Mutator]
    first: Sequence[str]
    starts: Sequence[Prompt]

    def candidates(
        self, context: MutationContext, start: Prompt, seen: Collection[Prompt], history: History
    ) -> list[Trial]:
        """Return those that wait to be tried; ``seen`` was tried."""
        prompts = [*(replace(start, instruction=text) for text in self.first), *self.starts]
        others = [Trial(prompt) for prompt in prompts if prompt not in seen]
        others += self._twins(context, seen, history)
        return others + self._at_first(context, start, history) + second_looks(history)

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
    # By prompt the latest counts: what is stopped in its second race gets no third.
    latest = {trial.prompt: trial for trial in history.latest if trial.prompt}
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
