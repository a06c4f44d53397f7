"""The scoring engine: each distinct token of a call is computed once, without padding."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..search.errors import BackendError
from .tokenization import Encoded, Tokens
from .trie import Path, Row, plan, rows

KeyValues = list[tuple[torch.Tensor, torch.Tensor]]
Wanted = dict[Tokens, set[int]]
LogProbs = dict[Tokens, dict[int, float]]


def loglikelihoods(requests: Sequence[Encoded], compute: Callable[[Wanted], LogProbs]) -> list[tuple[float, ...]]:
    """Return log P(continuation | prompt) of each continuation of each request.

    ``compute`` is given the contexts and the next tokens whose log-probabilities are wanted after each.
    """
    wanted: Wanted = {}
    for request in requests:
        for continuation in request.continuations:
            for i, token in enumerate(continuation):
                wanted.setdefault(request.prompt + continuation[:i], set()).add(token)
    found = compute(wanted)
    return [
        tuple(sum(found[r.prompt + c[:i]][token] for i, token in enumerate(c)) for c in r.continuations)
        for r in requests
    ]


class PackedEngine:
    """Runs a causal decoder over a call's token trie.

    Parameters
    ----------
    model
        A transformers causal language model that honours a four-dimensional attention mask.
    max_batch_tokens
        Tokens in one pass.
    max_cached_tokens
        Stem tokens whose keys and values are kept for later calls; the least recently used go first.
    """

    def __init__(self, model: Any, max_batch_tokens: int, max_cached_tokens: int = 32_768) -> None:  # noqa: ANN401 (transformers publishes no types)
        self._model = model
        self._head = model.get_output_embeddings()
        self._max_batch_tokens = max_batch_tokens
        self._max_cached_tokens = max_cached_tokens
        self._cache: OrderedDict[Path, KeyValues] = OrderedDict()
        self.computed_tokens = 0
        """Tokens passed through the model so far."""

    @torch.inference_mode()
    def compute(self, wanted: Wanted) -> LogProbs:
        """Return the log-probabilities of the wanted next tokens after each context."""
        found: LogProbs = {}
        for group in plan(list(wanted)):
            stem = self._stem(group.stem)
            for row in rows(group, self._max_batch_tokens):
                found.update(self._read(row, self._branches(row, stem, group.depth), wanted, found))
            self._evict()
        return found

    def _read(self, row: Row, hidden: torch.Tensor, wanted: Wanted, found: LogProbs) -> LogProbs:
        nodes = [(i, node) for i, node in enumerate(row.nodes) if node in wanted and node not in found]
        return log_probabilities(self._head, hidden[[i for i, _ in nodes]], [(node, wanted[node]) for _, node in nodes])

    def _stem(self, path: Path) -> KeyValues | None:
        if not path:
            return None
        if path not in self._cache:
            before = self._stem(path[:-1])
            depth = sum(map(len, path[:-1]))
            positions = list(range(depth, depth + len(path[-1])))
            # One segment is always one pass on top of the segments before it, so that it comes out the same bit for bit
            # whatever else is in the call or in the cache.
            causal = torch.ones(len(positions), len(positions), dtype=torch.bool).tril()
            self._cache[path] = self._forward(path[-1], positions, causal, before, depth)[1]
        self._cache.move_to_end(path)
        return self._cache[path]

    def _branches(self, row: Row, stem: KeyValues | None, depth: int) -> torch.Tensor:
        return self._forward(row.tokens, row.positions, torch.from_numpy(row.ancestors), stem, depth)[0]

    def _forward(
        self, tokens: Sequence[int], positions: Sequence[int], sees: torch.Tensor, stem: KeyValues | None, depth: int
    ) -> tuple[torch.Tensor, KeyValues]:
        """Run one pass; ``sees`` says which of its tokens see which, and all of them see the stem."""
        from transformers import DynamicCache

        device, dtype = self._model.device, self._model.dtype
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(stem or []):
            cache.update(keys, values, layer)
        mask = torch.zeros(1, 1, len(tokens), depth + len(tokens), dtype=dtype)
        mask[0, 0, :, depth:].masked_fill_(~sees, torch.finfo(dtype).min)
        output = self._model.base_model(
            input_ids=torch.tensor([list(tokens)], device=device),
            position_ids=torch.tensor([list(positions)], device=device),
            attention_mask=mask.to(device),
            past_key_values=cache,
            use_cache=True,
        )
        self.computed_tokens += len(tokens)
        return output.last_hidden_state[0], [(layer.keys, layer.values) for layer in cache.layers]

    def _evict(self) -> None:
        def size(path: Path) -> int:
            return sum(map(len, path))

        total = sum(map(size, self._cache))
        while total > self._max_cached_tokens and self._cache:
            total -= size(self._cache.popitem(last=False)[0])


class PlainEngine:
    """Runs one context after the other: slow, and right for every causal model."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (transformers publishes no types)
        self._model = model

    @torch.inference_mode()
    def compute(self, wanted: Wanted) -> LogProbs:
        """Return the log-probabilities of the wanted next tokens after each context."""
        found: LogProbs = {}
        for context, tokens in wanted.items():
            ids = torch.tensor([list(context)], device=self._model.device)
            hidden = self._model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, -1:]
            found |= log_probabilities(self._model.get_output_embeddings(), hidden, [(context, tokens)])
        return found


def log_probabilities(head: Any, hidden: torch.Tensor, contexts: Sequence[tuple[Tokens, set[int]]]) -> LogProbs:  # noqa: ANN401
    """Return log-probabilities over the whole vocabulary, in float32, at the tokens asked for.

    Parameters
    ----------
    head
        The model's output embedding.
    hidden
        Shape ``(n, width)``: the last hidden state at the end of each context.
    contexts
        ``n`` contexts with the next tokens that are wanted.
    """
    if not contexts:
        return {}
    logs = torch.log_softmax(head(hidden).float(), dim=-1)
    if not bool(torch.isfinite(logs.amax(dim=-1)).all()):
        raise BackendError(f"the model gave NaN log-probabilities in {hidden.dtype}: run it in a wider dtype")
    found: LogProbs = {}
    for row, (context, tokens) in zip(logs, contexts, strict=True):
        order = sorted(tokens)
        found[context] = dict(zip(order, row[order].tolist(), strict=True))
    return found
