"""Mutators whose efforts are taken down: what asking each takes, and what it brings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..records.efforts import Effort
from .wrapped import Wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contracts import MutationContext, Prompt


@dataclass(frozen=True, slots=True)
class Metered(Wrapped):
    """A mutator that reports each time it was asked.

    Parameters
    ----------
    mutator
        The mutator.
    spent
        Returns what mutators have spent so far, and the time.
    report
        Is given what asking it took.
    """

    spent: Callable[[], Effort]
    report: Callable[[Effort], None]

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return what the mutator makes of a prompt."""
        # It may wait for a reply until the next batch: that it was asked counts in this one.
        self.report(Effort(asked=1))
        before, changed = self.spent(), False
        try:
            result = self.mutator.mutate(prompt, context)
            changed = result != prompt
        finally:
            took = self.spent() - before
            wasted = not changed and took.calls + took.evaluations > 0
            self.report(replace(took, brought=int(changed), wasted=int(wasted)))
        return result
