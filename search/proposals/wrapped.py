"""A mutator around another: it changes the same gene and declares the same of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..contracts import usage_of

if TYPE_CHECKING:
    from ..contracts import Gene, Mutator, Usage


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What all mutators around another have in common."""

    mutator: Mutator

    @property
    def gene(self) -> Gene:
        """The gene it changes."""
        return self.mutator.gene

    @property
    def usage(self) -> Usage:
        """What the mutator declares of itself."""
        return usage_of(self.mutator)
