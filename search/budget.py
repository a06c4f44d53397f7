"""One ledger: who may ask for how many evaluations, who spends them, and what is left."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_BLOCK = 10
"""The dev examples that every candidate is scored on."""


@dataclass
class Allowance:
    """Evaluations that mutators may ask for: ``limit`` in all, any number where there is none."""

    spent: int = 0
    limit: int | None = None

    def take(self, evaluations: int) -> bool:
        """Count evaluations, unless there are not so many left."""
        if self.limit is not None and self.spent + evaluations > self.limit:
            return False
        self.spent += evaluations
        return True
