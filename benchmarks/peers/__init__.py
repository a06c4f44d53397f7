"""Peer optimizers, each the real package, driven through its extension points in the arena.

Whatever a package would send to its proposer goes to `Arena.generate`, and whatever it would score
to `Arena.score`; what it proposes, keeps and drops stays its own decision. A peer holds the prompt
that it would return itself. Its run ends with the budget, after the arena's ``seconds``, or when
`STALLED_CALLS` calls in a row have scored nothing new. Instructions are cut to
`INSTRUCTION_TOKENS`, and demonstrations come from train rows of up to `DEMONSTRATION_TOKENS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .baselines import hand, initial, random_demonstrations, random_search
from .evolution import capo, evoprompt_ga
from .gepa import gepa
from .mipro import mipro
from .run import DEMONSTRATION_TOKENS, INSTRUCTION_TOKENS, STALLED_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from search_arena import Arena

__all__ = ["DEMONSTRATION_TOKENS", "INSTRUCTION_TOKENS", "PEERS", "STALLED_CALLS"]

PEERS: dict[str, Callable[[Arena], None]] = {
    "hand": hand,
    "random_demonstrations": random_demonstrations,
    "capo": capo,
    "gepa": gepa,
    "mipro": mipro,
    "evoprompt_ga": evoprompt_ga,
    "initial": initial,
    "random_search": random_search,
}
