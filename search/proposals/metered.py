"""Mutators whose efforts are taken down: what asking each takes, and what it brings."""

from __future__ import annotations

import time
from dataclasses import dataclass
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
        Returns what all mutators together have spent so far.
    report
        Is given what asking it took.
    """

    spent: Callable[[], Effort]
    report: Callable[[Effort], None]

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return what the mutator makes of a prompt."""
        before, started, changed = self.spent(), time.monotonic(), False
        try:
            result = self.mutator.mutate(prompt, context)
            changed = result != prompt
        finally:
            after = self.spent()
            calls, tokens = after.calls - before.calls, after.tokens - before.tokens
            evaluations = after.evaluations - before.evaluations
            self.report(
                Effort(
                    asked=1,
                    brought=int(changed),
                    wasted=int(not changed and calls + evaluations > 0),
                    calls=calls,
                    tokens=tokens,
                    evaluations=evaluations,
                    seconds=time.monotonic() - started,
                )
            )
        return result
