"""What benchmarks/engine.py scores: requests made of real reviews, and the least that they cost."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

from promptfront.backends.packed.trie import common_length
from promptfront.backends.tokenization import Encoder
from promptfront.search import load_task
from promptfront.search.contracts import LikelihoodRequest as Asked

Request = dict[str, Any]
"""What `engine_peers.py` reads: text and answers, the same as token ids, and the length of the
candidate's prefix."""
INSTRUCTION = "Classify the sentiment of the movie review as positive or negative.\n\n"
LABELS = [" positive", " negative"]
GRADES = [
    f" {degree} {label}"
    for label in ("negative", "positive")
    for degree in ("extremely", "very", "slightly")
]
PREFIX, SHARED = 600, 300


class Workloads:
    """Requests made of real reviews, as text and as the token ids the backend would read."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        task = load_task("sentiment")
        self._encoder = Encoder(AutoTokenizer.from_pretrained(folder), str(folder))
        self._pool = [
            f"Review: {row.inputs[0][1]}\nSentiment: {row.target}\n\n" for row in task.train
        ]
        self._reviews = [row.inputs[0][1] for row in (*task.test, *task.dev)]

    def requests(self, prefix: str, examples: int, answers: list[str]) -> list[Request]:
        """Return the first reviews after a prefix."""
        texts = [f"{prefix}Review: {review}\nSentiment:" for review in self._reviews[:examples]]
        encoded = self._encoder.encode([Asked(text, tuple(answers)) for text in texts])
        shared = len(self._encoder.encode_prompts([prefix.rstrip("\n")])[0]) if prefix else 0
        return [
            {
                "text": t,
                "answers": answers,
                "prompt": e.prompt,
                "continuations": e.continuations,
                "prefix": shared,
            }
            for t, e in zip(texts, encoded, strict=True)
        ]

    def prefixes(self, count: int) -> list[str]:
        """Return few-shot prefixes of about 600 tokens.

        Every second one begins with the same demonstrations.
        """
        rng = random.Random(0)
        start = self._grown(INSTRUCTION, SHARED, rng)
        return [self._grown(INSTRUCTION if i % 2 else start, PREFIX, rng) for i in range(count)]

    def _grown(self, prefix: str, tokens: int, rng: random.Random) -> str:
        while len(self._encoder.encode_prompts([prefix])[0]) < tokens:
            prefix += rng.choice(self._pool)
        return prefix


def distinct_tokens(sequences: list[tuple[int, ...]]) -> int:
    """Return the number of nodes of the sequences' trie: the fewest tokens that can be computed."""
    ordered = sorted(set(sequences))
    shared = (common_length(a, b) for a, b in pairwise(ordered))
    return sum(map(len, ordered)) - sum(shared)


def flops(sequences: list[tuple[int, ...]], computed: int, config: Any) -> float:  # noqa: ANN401 (transformers publishes no types)
    """Return the floating-point operations of all matrix products.

    Each token computed, and each pair of tokens that must attend.
    """
    width, inner, head = config.hidden_size, config.intermediate_size, config.head_dim
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    ordered = sorted(set(sequences))
    shared = [0, *(common_length(a, b) for a, b in pairwise(ordered))]
    pairs = sum(sum(range(start + 1, len(s) + 1)) for start, s in zip(shared, ordered, strict=True))
    linear = computed * (width * head * (2 * heads + 2 * groups) + 3 * width * inner)
    layers = config.num_hidden_layers * (linear + pairs * heads * head * 2)
    return float(2 * (layers + len(ordered) * width * config.vocab_size))
