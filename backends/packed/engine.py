"""The scoring engine for causal models: each distinct token of a call is computed once, without padding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..logprobs import LogProbs, Wanted, chain, output_head, read
from .attention import packed, running
from .layout import SHORT_STEM, KeyValues, Pass, joined, lay_out
from .step import Step, empty
from .trie import BLOCK, Chunk, Group, Part, Path, Row, plan, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..tokenization import Encoded, Tokens

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
        self.model = model
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
        with packed(self.model):
            for row in rows(self.groups(list(wanted)), self.max_batch_tokens):
                found |= self._read(row, self._forward(self._lay_out(row)), wanted)
                self._evict()
        return found

    def groups(self, sequences: Sequence[Tokens]) -> list[Group]:
        """Return the sequences by the stems that they share."""
        return plan(sequences, self.max_batch_tokens, self._block)

    def begin(self, prompts: Sequence[Tokens], room: int) -> Step:
        """Return what it takes to write ``room`` tokens after prompts, best in the order of `groups`; within `packed`."""
        known: dict[Tokens, tuple[Path, KeyValues]] = {(): ((), {})}
        stems: dict[Path, KeyValues] = {}
        for row in rows(
            self.groups([prompt[:-1] for prompt in prompts if len(prompt) > 1]),
            self.max_batch_tokens,
        ):
            run = self._lay_out(row)
            run.computed = {}
            self._forward(run)
            stems |= {part.stem: self._stem(part.stem) for part in row}
            for sequence, path, places in _ends(row):
                branch = _selected(run.computed, places)
                # A product of its own pays for a long stem on a CPU; on a GPU its launch costs more than reading a stem often.
                apart = sum(map(len, path)) > SHORT_STEM and self.model.device.type == "cpu"
                known[sequence] = (
                    (path, branch)
                    if apart
                    else ((), joined([stems[path], branch] if path else [branch]))
                )
            self._evict()
        return _step(
            prompts, [known[prompt[:-1]] for prompt in prompts], stems, room, self.model.device
        )

    def advance(self, step: Step) -> torch.Tensor:
        """Return the logits after a step's tokens, ``(rows, vocabulary)``; within `packed`."""
        return self._head(self._forward(step))

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
        for first in range(
            0, len(places), _READ_TOGETHER
        ):  # a row of logits is as wide as the vocabulary
            some = slice(first, first + _READ_TOGETHER)
            found |= read(self._head(hidden[places[some]]), contexts[some])
        return found

    def _lay_out(self, row: Row) -> Pass:
        return lay_out(row, [self._stem(part.stem) for part in row], self.model.device)

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

    def _forward(self, run: Pass | Step) -> torch.Tensor:
        """Return the last hidden state of each token of a pass."""
        with running(run):
            output = self.model.base_model(
                input_ids=run.tokens[None], position_ids=run.positions[None], use_cache=False
            )
        self.computed_tokens += len(run.tokens)
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def _evict(self) -> None:
        total = sum(len(path[-1]) for path in self._cache)
        while total > self._max_cached_tokens and self._cache:
            total -= len(self._cache.popitem(last=False)[0][-1])


def _ends(row: Row) -> Iterator[tuple[Tokens, Path, NDArray[np.int64]]]:
    """Yield the sequences that end in a row, each with its stem and the tokens of the row that its last one sees."""
    first = 0
    for part in row:
        start = first
        for chunk in part.chunks:
            before = [first + token for token in chunk.before]
            places = np.array([*before, *range(start, start + len(chunk.tokens))])
            for sequence, end in chunk.ends.items():
                yield sequence, part.stem, places[chunk.sees[end]]
            start += len(chunk.tokens)
        first = start


def _selected(known: KeyValues, tokens: NDArray[np.int64]) -> KeyValues:
    return {
        layer: (keys[:, :, tokens], values[:, :, tokens]) for layer, (keys, values) in known.items()
    }


def _step(
    prompts: Sequence[Tokens],
    known: Sequence[tuple[Path, KeyValues]],
    stems: dict[Path, KeyValues],
    room: int,
    device: torch.device,
) -> Step:
    """Return the step over the last tokens of prompts, given the stem of each and its branch, without the last token."""
    sizes = [
        len(prompt) - 1 - sum(map(len, path))
        for prompt, (path, _) in zip(prompts, known, strict=True)
    ]
    length, branches = max(sizes), {}
    for layer, pair in max((branch for _, branch in known), key=len).items():
        kept = tuple(empty(like, len(prompts), length + room) for like in pair)
        for i, (_, branch) in enumerate(known):
            for whole, own in zip(kept, branch.get(layer, ()), strict=False):
                whole[i, :, length - sizes[i] : length] = own[0]
        branches[layer] = (kept[0], kept[1])
    return Step(
        torch.tensor([prompt[-1] for prompt in prompts], device=device),
        torch.tensor([len(prompt) - 1 for prompt in prompts], device=device),
        [path for path, _ in known],
        stems,
        branches,
        length - torch.tensor(sizes),
        length,
        room,
    )
