"""The scoring engine for causal models: each distinct token of a call is computed once, without padding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .attention import KeyValues, PackedChunk, PackedPart, Pass, packed, running
from .reading import LogProbs, Wanted, chain, output_head, read
from .trie import BLOCK, Path, Row, plan, rows

if TYPE_CHECKING:
    from .tokenization import Encoded

_READ_TOGETHER = 128


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

    def __init__(self, model: Any, max_batch_tokens: int, max_cached_tokens: int = 32_768) -> None:  # noqa: ANN401 (transformers publishes no types)
        self._model = model
        self._head = output_head(model)
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
        groups = plan(list(wanted), self.max_batch_tokens)
        with packed(self._model):
            for row in rows(groups, self.max_batch_tokens):
                found |= self._read(row, self._hidden(row), wanted)
                self._evict()
        return found

    def forget(self) -> None:
        """Give back the memory of all kept stems."""
        self._cache.clear()

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

    def _hidden(self, row: Row) -> torch.Tensor:
        """Return the last hidden state of each token of a row."""
        parts: list[PackedPart] = []
        start = 0
        for part in row:
            chunks = []
            for chunk in part.chunks:
                sees = torch.from_numpy(chunk.ancestors).to(self._model.device)
                chunks.append(PackedChunk(start, start + len(chunk.tokens), sees))
                start = chunks[-1].stop
            parts.append(PackedPart(self._stem(part.stem), sum(map(len, part.stem)), chunks))
        tokens = [token for part in row for chunk in part.chunks for token in chunk.tokens]
        positions = [position for part in row for chunk in part.chunks for position in chunk.positions]
        return self._forward(tokens, Pass(torch.tensor(positions, device=self._model.device), parts))

    def _stem(self, path: Path) -> KeyValues:
        """Return the keys and values of a whole stem."""
        segments = [self._segment(path[:end]) for end in range(1, len(path) + 1)]
        if len(segments) < 2:
            return segments[0] if segments else {}
        return {
            layer: (torch.cat([s[layer][0] for s in segments], 2), torch.cat([s[layer][1] for s in segments], 2))
            for layer in segments[0]
        }

    def _segment(self, path: Path) -> KeyValues:
        """Return the keys and values of a stem's last segment.

        One segment is always one pass on top of the segments before it, so that it comes out the same bit for bit
        whatever else is in the call or in the cache.
        """
        if path not in self._cache:
            before, depth = self._stem(path[:-1]), BLOCK * (len(path) - 1)
            length = len(path[-1])
            sees = torch.ones(length, length, dtype=torch.bool, device=self._model.device).tril()
            part = PackedPart(before, depth, [PackedChunk(0, length, sees)])
            row = Pass(torch.arange(depth, depth + length, device=self._model.device), [part], {})
            self._forward(path[-1], row)
            self._cache[path] = row.computed or {}
        self._cache.move_to_end(path)
        return self._cache[path]

    def _forward(self, tokens: Sequence[int], row: Pass) -> torch.Tensor:
        with running(row):
            output = self._model.base_model(
                input_ids=torch.tensor([list(tokens)], device=self._model.device),
                position_ids=row.positions[None],
                use_cache=False,
            )
        self.computed_tokens += len(tokens)
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _evict(self) -> None:
        total = sum(len(path[-1]) for path in self._cache)
        while total > self._max_cached_tokens and self._cache:
            total -= len(self._cache.popitem(last=False)[0][-1])
