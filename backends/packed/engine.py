"""The scoring engine for causal models: each distinct token of a call is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..logits import output_head, read
from ..logprobs import LogProbs, Wanted, chain
from .attention import packed, running
from .layout import SHORT_PREFIX, KeyValues, Pass, joined, lay_out
from .prefix_cache import PrefixCache
from .step import Step, empty
from .trie import BLOCK, Group, Node, Pack, Prefix, Segment, depth_of, packs, plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..tokenization import Encoded, Tokens

_READ_TOGETHER = 128
"""Rows of logits at once: each is as wide as the vocabulary."""
_KEPT = 8192
"""Tokens of the latest texts whose keys and values are kept for the replies to them."""
_GPU_BLOCK = 512
"""Tokens of a prefix's blocks on a GPU, where a pass takes about as long for 512 tokens as for 128
(benchmarks/RESULTS.md, blocks of 128 to 1024)."""


class PackedEngine:
    """Runs a causal decoder over a call's token trie.

    Parameters
    ----------
    model
        A transformers causal language model whose layers use the attention interface.
    max_batch_tokens
        Tokens in one pass.
    max_cached_tokens
        Prefix tokens whose keys and values are kept for later calls.
    """

    description = "packed token trie"

    def __init__(
        self,
        model: Any,  # noqa: ANN401 (transformers publishes no types)
        max_batch_tokens: int,
        max_cached_tokens: int = 32_768,
    ) -> None:
        self.model = model
        self._head = output_head(model)
        self._block = BLOCK if model.device.type == "cpu" else _GPU_BLOCK
        self.max_batch_tokens = max_batch_tokens
        self._prefixes = PrefixCache(self._compute_block, max_cached_tokens)
        self._kept: dict[Tokens, _Ended] = {}
        self.computed_tokens = 0
        """Tokens passed through the model so far."""

    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        return chain(requests, self.compute)

    @torch.inference_mode()
    def compute(self, wanted: Wanted, *, keep: bool = False) -> LogProbs:
        """Return the log-probabilities of the wanted next tokens after each context.

        With ``keep`` replies to the contexts can `begin` without reading them again, until the next
        call.
        """
        logprobs: LogProbs = {}
        self._kept.clear()
        room = _KEPT if keep else 0
        with packed(self.model):
            for pack in packs(self.groups(list(wanted)), self.max_batch_tokens):
                run = self._lay_out(pack)
                room -= len(run.tokens)
                if room >= 0:
                    run.computed = {}
                logprobs |= self._read(pack, self._forward(run), wanted)
                if run.computed:
                    self._kept |= {end.sequence: end for end in _ends(pack, run.computed)}
                self._prefixes.evict()
        return logprobs

    def groups(self, sequences: Sequence[Tokens]) -> list[Group]:
        """Return the sequences by the prefixes that they share."""
        return plan(sequences, self.max_batch_tokens, self._block)

    def begin(self, prompts: Sequence[Tokens], room: int) -> Step:
        """Return what it takes to write ``room`` tokens after prompts; within `packed`.

        Best in the order of `groups`.
        """
        branches: dict[Tokens, tuple[Prefix, KeyValues]] = {(): ((), {})}
        prefixes: dict[Prefix, KeyValues] = {}
        contexts = [prompt[:-1] for prompt in prompts]

        def branch(end: _Ended, size: int) -> None:
            """Take in the first ``size`` tokens of a text that was read."""
            if end.prefix not in prefixes:
                prefixes[end.prefix] = self._prefix(end.prefix)
            own = end.computed(size - depth_of(end.prefix))
            branches[end.sequence[:size]] = self._branch(end.prefix, prefixes[end.prefix], own)

        for prompt in {prompt: None for prompt in prompts if prompt in self._kept}:
            branch(self._kept[prompt], len(prompt) - 1)
        groups = self.groups([context for context in contexts if context not in branches])
        for pack in packs(groups, self.max_batch_tokens):
            run = self._lay_out(pack)
            run.computed = {}
            self._forward(run)
            for end in _ends(pack, run.computed):
                branch(end, len(end.sequence))
            self._prefixes.evict()
        begun = [branches[context] for context in contexts]
        return _step(prompts, begun, prefixes, room, self.model.device)

    def advance(self, step: Step) -> torch.Tensor:
        """Return the logits after a step's tokens, ``(texts, vocabulary)``; within `packed`."""
        return self._head(self._forward(step))

    def forget(self) -> None:
        """Give back the memory of all kept prefixes."""
        self._prefixes.clear()
        self._kept.clear()

    def _read(self, pack: Pack, hidden: torch.Tensor, wanted: Wanted) -> LogProbs:
        ends: list[int] = []
        contexts = []
        start = 0
        for segment in (segment for node in pack for segment in node.segments):
            ends += [start + end for end in segment.ends.values()]
            contexts += [(sequence, wanted[sequence]) for sequence in segment.ends]
            start += len(segment.tokens)
        logprobs: LogProbs = {}
        for first in range(0, len(ends), _READ_TOGETHER):
            some = slice(first, first + _READ_TOGETHER)
            logprobs |= read(self._head(hidden[ends[some]]), contexts[some])
        return logprobs

    def _branch(
        self, prefix: Prefix, keys: KeyValues, branch: KeyValues
    ) -> tuple[Prefix, KeyValues]:
        """Return the prefix that a text attends to in place, and what of its own comes after."""
        # A product of its own pays for a long prefix on a CPU; on a GPU its launch costs more than
        # reading a prefix often.
        if depth_of(prefix) > SHORT_PREFIX and self.model.device.type == "cpu":
            return prefix, branch
        return (), joined([keys, branch] if prefix else [branch])

    def _lay_out(self, pack: Pack) -> Pass:
        return lay_out(pack, [self._prefix(node.prefix) for node in pack], self.model.device)

    def _prefix(self, prefix: Prefix) -> KeyValues:
        """Return the keys and values of a whole prefix."""
        ends = range(1, len(prefix) + 1)
        return joined([self._prefixes.block(prefix[:end]) for end in ends])

    def _compute_block(self, prefix: Prefix) -> KeyValues:
        """Return the keys and values of a prefix's last block.

        A block is always one pass on top of the blocks before it, so that it comes out the same bit
        for bit whatever else is in the call or in the cache.
        """
        *before, block = prefix
        depth = depth_of(tuple(before))
        positions = list(range(depth, depth + len(block)))
        mask = np.tri(len(block), dtype=np.bool_)
        segment = Segment(list(block), positions, [], mask, {})
        run = self._lay_out([Node(tuple(before), [segment])])
        run.computed = {}
        self._forward(run)
        return run.computed

    def _forward(self, run: Pass | Step) -> torch.Tensor:
        """Return the last hidden state of each token of a pass."""
        with running(run):
            output = self.model.base_model(
                input_ids=run.tokens[None], position_ids=run.positions[None], use_cache=False
            )
        self.computed_tokens += len(run.tokens)
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden


@dataclass(frozen=True, slots=True)
class _Ended:
    """A sequence that ends in a pack, the prefix before it, and where its own tokens are."""

    sequence: Tokens
    prefix: Prefix
    pack: KeyValues
    tokens: NDArray[np.int64]

    def computed(self, count: int) -> KeyValues:
        """Return the keys and values of its first tokens after the prefix."""
        own = self.tokens[:count]
        return {
            layer: (keys[:, :, own], values[:, :, own])
            for layer, (keys, values) in self.pack.items()
        }


def _ends(pack: Pack, computed: KeyValues) -> Iterator[_Ended]:
    """Yield the sequences that end in a pack, given the keys and values of its tokens."""
    first = 0
    for node in pack:
        start = first
        for segment in node.segments:
            before = [first + token for token in segment.before]
            tokens = np.array([*before, *range(start, start + len(segment.tokens))])
            for sequence, end in segment.ends.items():
                yield _Ended(sequence, node.prefix, computed, tokens[segment.mask[end]])
            start += len(segment.tokens)
        first = start


def _step(
    prompts: Sequence[Tokens],
    begun: Sequence[tuple[Prefix, KeyValues]],
    prefixes: dict[Prefix, KeyValues],
    room: int,
    device: torch.device,
) -> Step:
    """Return the step over the last tokens of prompts, given the prefix of each and its branch."""
    sizes = [
        len(prompt) - 1 - depth_of(prefix)
        for prompt, (prefix, _) in zip(prompts, begun, strict=True)
    ]
    length = max(sizes)
    branches: KeyValues = {}
    fullest = max((branch for _, branch in begun), key=len)  # empty where nothing came before
    for layer, (keys, values) in fullest.items():
        all_keys = empty(keys, len(prompts), length + room)
        all_values = empty(values, len(prompts), length + room)
        for i, (_, branch) in enumerate(begun):
            if layer in branch:
                columns = slice(length - sizes[i], length)
                own_keys, own_values = branch[layer]
                all_keys[i, :, columns] = own_keys[0]
                all_values[i, :, columns] = own_values[0]
        branches[layer] = (all_keys, all_values)
    return Step(
        torch.tensor([prompt[-1] for prompt in prompts], device=device),
        torch.tensor([len(prompt) - 1 for prompt in prompts], device=device),
        [prefix for prefix, _ in begun],
        prefixes,
        branches,
        length - torch.tensor(sizes),
        length,
        room,
    )
