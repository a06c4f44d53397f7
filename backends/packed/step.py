"""What texts attend to that grow by a token at a time: shared prefixes, and a branch each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from .layout import KeyValues, SharedPrefix
from .trie import Prefix, depth_of


@dataclass(slots=True)
class Step:
    """One pass of the model over the last token of each text, and what it needs of those before.

    Parameters
    ----------
    tokens, positions
        Shape ``(texts,)``; positions count from the text's start.
    prefixes
        The prefix of each text; texts next to each other with the same one attend to it in one
        product.
    known
        Keys and values of each prefix.
    branches
        Keys and values of each layer, of shape ``(texts, heads, columns, width)``: each text's
        after its prefix, up to column ``length`` and padded on the left, with room for what is to
        come.
    starts
        Shape ``(texts,)``: the first column of each branch.
    length, room
        Columns in use, and those that may follow.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    prefixes: Sequence[Prefix]
    known: Mapping[Prefix, KeyValues]
    branches: KeyValues
    starts: torch.Tensor
    length: int
    room: int
    shared: list[SharedPrefix] = field(init=False)
    additive: dict[int | None, torch.Tensor | None] = field(default_factory=dict)
    """What is added to the scores, by the width of the layer's window."""

    def __post_init__(self) -> None:
        """Find the texts of each prefix."""
        self.shared = []
        start = 0
        for prefix, texts in groupby(self.prefixes):
            stop = start + len(list(texts))
            if prefix:
                keys = self.known[prefix]
                self.shared.append(SharedPrefix(keys, depth_of(prefix), start, stop))
            start = stop

    def append(
        self, layer: int, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take up a layer's keys and values of the tokens; return those of the branches so far.

        The tokens' have shape ``(1, heads, texts, width)``.
        """
        if layer not in self.branches:  # prompts of one token: nothing came before
            self.branches[layer] = (
                empty(key, len(self.prefixes), self.room),
                empty(value, len(self.prefixes), self.room),
            )
        keys, values = self.branches[layer]
        keys[:, :, self.length] = key[0].transpose(0, 1)
        values[:, :, self.length] = value[0].transpose(0, 1)
        return keys[:, :, : self.length + 1], values[:, :, : self.length + 1]

    def mask(self, window: int | None) -> torch.Tensor | None:
        """Return which columns a text's token sees, ``(texts, 1, columns)``; nothing for all."""
        columns = torch.arange(self.length + 1)
        first = self.starts if window is None else self.starts.clamp(min=self.length + 1 - window)
        return (columns >= first[:, None])[:, None] if first.max() > 0 else None

    def grow(self, tokens: torch.Tensor) -> None:
        """Go on to the next token of each text."""
        self.tokens, self.positions, self.length = tokens, self.positions + 1, self.length + 1
        self.additive = {}
        for prefix in self.shared:
            prefix.additive = {}

    def only(self, texts: Sequence[int]) -> Step:
        """Return the step of some of the texts."""
        index = torch.tensor(texts)
        branches = {
            layer: (keys[index.to(keys.device)], values[index.to(values.device)])
            for layer, (keys, values) in self.branches.items()
        }
        here = index.to(self.tokens.device)
        return Step(
            self.tokens[here],
            self.positions[here],
            [self.prefixes[text] for text in texts],
            self.known,
            branches,
            self.starts[index],
            self.length,
            self.room,
        )


def empty(like: torch.Tensor, texts: int, columns: int) -> torch.Tensor:
    """Return room for keys or values, like those of shape ``(1, heads, tokens, width)``."""
    return like.new_zeros(texts, like.shape[1], columns, like.shape[3])
