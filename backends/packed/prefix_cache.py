"""Keys and values of prefixes, kept between calls."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .layout import KeyValues
    from .trie import Prefix


class PrefixCache:
    """The last blocks of prefixes, by prefix; the least recently used go first.

    Parameters
    ----------
    compute
        Computes the last block of a prefix, given those before.
    max_tokens
        Tokens that are kept.
    """

    def __init__(self, compute: Callable[[Prefix], KeyValues], max_tokens: int) -> None:
        self._compute = compute
        self._max_tokens = max_tokens
        self._blocks: OrderedDict[Prefix, KeyValues] = OrderedDict()

    def block(self, prefix: Prefix) -> KeyValues:
        """Return the keys and values of a prefix's last block."""
        if prefix not in self._blocks:
            self._blocks[prefix] = self._compute(prefix)
        self._blocks.move_to_end(prefix)
        return self._blocks[prefix]

    def evict(self) -> None:
        """Let go of what is too much."""
        total = sum(len(prefix[-1]) for prefix in self._blocks)
        while total > self._max_tokens and self._blocks:
            prefix, _ = self._blocks.popitem(last=False)
            total -= len(prefix[-1])

    def clear(self) -> None:
        """Let go of everything."""
        self._blocks.clear()
