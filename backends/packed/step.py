"""What texts attend to that grow by a token at a time: long stems, each read once for all rows that share it, and a branch each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from .layout import KeyValues, Stem
from .trie import Path


@dataclass(slots=True)
class Step:
    """One pass of the model over the last token of each row, and what it needs of the tokens before.

    Parameters
    ----------
    tokens, positions
        Shape ``(rows,)``; positions count from the sequence's start.
    paths
        The stem of each row; rows next to each other with the same stem attend to it in one product.
    known
        Keys and values of each stem.
    branches
        Keys and values of each layer, of shape ``(rows, heads, columns, width)``: each row's after its stem, up to column
        ``length`` and padded on the left, with room for what is to come.
    starts
        Shape ``(rows,)``: the first column of each branch.
    length, room
        Columns in use, and those that may follow.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    paths: Sequence[Path]
    known: Mapping[Path, KeyValues]
    branches: KeyValues
    starts: torch.Tensor
    length: int
    room: int
    stems: list[Stem] = field(init=False)
    masks: dict[int | None, torch.Tensor | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the rows of each stem."""
        self.stems = []
        start = 0
        for path, rows in groupby(self.paths):
            stop = start + len(list(rows))
            if path:
                self.stems.append(Stem(self.known[path], sum(map(len, path)), start, stop))
            start = stop

    def append(
        self, layer: int, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take up a layer's keys and values of the tokens, ``(1, heads, rows, width)``, and return those of the branches so far."""
        if layer not in self.branches:  # prompts of one token: nothing came before
            self.branches[layer] = (
                empty(key, len(self.paths), self.room),
                empty(value, len(self.paths), self.room),
            )
        found = []
        for kept, new in zip(self.branches[layer], (key, value), strict=True):
            kept[:, :, self.length] = new[0].transpose(0, 1)
            found.append(kept[:, :, : self.length + 1])
        return found[0], found[1]

    def sees(self, window: int | None) -> torch.Tensor | None:
        """Return which columns a row's token sees, ``(rows, 1, columns)``; nothing where that is all of them."""
        columns = torch.arange(self.length + 1)
        first = self.starts if window is None else self.starts.clamp(min=self.length + 1 - window)
        return (columns >= first[:, None])[:, None] if first.max() > 0 else None

    def grow(self, tokens: torch.Tensor) -> None:
        """Go on to the next token of each row."""
        self.tokens, self.positions, self.length = tokens, self.positions + 1, self.length + 1
        self.masks = {}
        for stem in self.stems:
            stem.masks = {}

    def only(self, rows: Sequence[int]) -> Step:
        """Return the step of some of the rows."""
        index = torch.tensor(rows)
        branches = {
            layer: (keys[index.to(keys.device)], values[index.to(values.device)])
            for layer, (keys, values) in self.branches.items()
        }
        here = index.to(self.tokens.device)
        paths = [self.paths[row] for row in rows]
        tokens, positions, starts = self.tokens[here], self.positions[here], self.starts[index]
        return Step(tokens, positions, paths, self.known, branches, starts, self.length, self.room)


def empty(like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return room for the keys or values of rows, like those of shape ``(1, heads, tokens, width)``."""
    return like.new_zeros(rows, like.shape[1], columns, like.shape[3])
