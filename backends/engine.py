"""The scoring engine for causal models: each distinct token of a call is computed once, without padding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .attention import packed, running
from .packing import KeyValues, Pass, joined, lay_out
from .reading import LogProbs, Wanted, chain, output_head, read
from .trie import BLOCK, Chunk, Part, Path, Row, plan, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .tokenization import Encoded, Tokens

_READ_TOGETHER = 128
_GPU_BLOCK = 512
"""A pass of a GPU takes about as long for 512 tokens as for 128, so its stems have fewer and longer segments."""


class PackedEngine:
    """Runs a causal decoder over a call's token trie.

    Parameters
    ----------
    model
        A transformers causal language model whose layers use the attention interface.
    max_batch_tokens
        Tokens in one pass.
    max_cached_tokens
        Stem tokens whose keys and values are kept for later calls; the least recently used go first.
    """

    description = "packed token trie"

    def __init__(self, model: Any, max_batch_tokens: int, max_cached_tokens: int = 32_768) -> None:  # noqa: ANN401 (transformers publishes no types)
        self._model = model
        self._head = output_head(model)
        self._block = BLOCK if model.device.type == "cpu" else _GPU_BLOCK
        self.max_batch_tokens = max_batch_tokens
        self._max_cached_tokens = max_cached_tokens
        self._cache: OrderedDict[Path, KeyValues] = OrderedDict()
        self.computed_tokens = 0
        """Tokens passed through the model so far."""

    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        return chain(requests, self.compute)

    @torch.inference_mode()
    def compute(self, wanted: Wanted) -> LogProbs:
        """Return the log-probabilities of the wanted next tokens after each context."""
        found: LogProbs = {}
        with packed(self._model):
            for row in self._rows(list(wanted)):
                found |= self._read(row, self._forward(self._lay_out(row)), wanted)
                self._evict()
        return found

    @torch.inference_mode()
    def keys_and_values(self, sequences: Sequence[Tokens]) -> dict[Tokens, KeyValues]:
        """Return the keys and values of all tokens of each sequence."""
        found: dict[Tokens, KeyValues] = {}
        with packed(self._model):
            for row in self._rows(sequences):
                run = self._lay_out(row)
                run.computed = {}
                self._forward(run)
                found |= self._gather(row, run.computed)
                self._evict()
        return found

    def forget(self) -> None:
        """Give back the memory of all kept stems."""
        self._cache.clear()

    def _rows(self, sequences: Sequence[Tokens]) -> Iterator[Row]:
        return rows(plan(sequences, self.max_batch_tokens, self._block), self.max_batch_tokens)

    def _gather(self, row: Row, computed: KeyValues) -> dict[Tokens, KeyValues]:
        """Return what is known of the sequences that end in a row: their stems', and of the row what their last tokens see."""
        found: dict[Tokens, KeyValues] = {}
        first = 0
        for part in row:
            stem, start = self._stem(part.stem), first
            for chunk in part.chunks:
                before = [first + token for token in chunk.before]
                places = np.array([*before, *range(start, start + len(chunk.tokens))])
                for sequence, end in chunk.ends.items():
                    branch = _selected(computed, places[chunk.sees[end]])
                    found[sequence] = joined([stem, branch] if stem else [branch])
                start += len(chunk.tokens)
            first = start
        return found

    def _read(self, row: Row, hidden: torch.Tensor, wanted: Wanted) -> LogProbs:
        places: list[int] = []
        contexts = []
        start = 0
        for chunk in (chunk for part in row for chunk in part.chunks):
            places += [start + end for end in chunk.ends.values()]
            contexts += [(sequence, wanted[sequence]) for sequence in chunk.ends]
            start += len(chunk.tokens)
        found: LogProbs = {}
        for first in range(0, len(places), _READ_TOGETHER):  # a row of logits is as wide as the vocabulary
            some = slice(first, first + _READ_TOGETHER)
            found |= read(self._head(hidden[places[some]]), contexts[some])
        return found

    def _lay_out(self, row: Row) -> Pass:
        return lay_out(row, [self._stem(part.stem) for part in row], self._model.device)

    def _stem(self, path: Path) -> KeyValues:
        """Return the keys and values of a whole stem."""
        return joined([self._segment(path[:end]) for end in range(1, len(path) + 1)])

    def _segment(self, path: Path) -> KeyValues:
        """Return the keys and values of a stem's last segment.

        One segment is always one pass on top of the segments before it, so that it comes out the same bit for bit
        whatever else is in the call or in the cache.
        """
        if path not in self._cache:
            depth, tokens = sum(map(len, path[:-1])), list(path[-1])
            sees = np.tri(len(tokens), dtype=np.bool_)
            chunk = Chunk(tokens, list(range(depth, depth + len(tokens))), [], sees, {})
            run = self._lay_out([Part(path[:-1], [chunk])])
            run.computed = {}
            self._forward(run)
            self._cache[path] = run.computed
        self._cache.move_to_end(path)
        return self._cache[path]

    def _forward(self, run: Pass) -> torch.Tensor:
        """Return the last hidden state of each token of a pass."""
        with running(run):
            output = self._model.base_model(
                input_ids=run.tokens[None], position_ids=run.positions[None], use_cache=False
            )
        self.computed_tokens += len(run.tokens)
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _evict(self) -> None:
        total = sum(len(path[-1]) for path in self._cache)
        while total > self._max_cached_tokens and self._cache:
            total -= len(self._cache.popitem(last=False)[0][-1])


def _selected(known: KeyValues, tokens: NDArray[np.int64]) -> KeyValues:
    return {layer: (keys[:, :, tokens], values[:, :, tokens]) for layer, (keys, values) in known.items()}
