"""Which words a model would write next: those of its vocabulary, and the likely ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..search.contracts import LikelihoodRequest, NextTokens

if TYPE_CHECKING:
    from .logprobs import LogProbs, Wanted
    from .tokenization import Encoder, Tokens

_LEAST_LETTERS = 2
_PROBE = "Text:"
_SAMPLE = 8
"""Prompts on which all words are read, to know which are likely."""


def vocabulary(encoder: Encoder, lead: str) -> dict[int, str]:
    """Return the words that are one token when they follow ``lead``, by token."""
    texts = {encoder.decode(token).strip() for token in range(len(encoder))}
    words = sorted(
        w for w in texts if w.isalpha() and (len(w) >= _LEAST_LETTERS or not w.isascii())
    )
    encoded = encoder.encode([LikelihoodRequest(_PROBE, tuple(lead + word for word in words))])[
        0
    ].continuations
    return {
        tokens[0]: word for word, tokens in zip(words, encoded, strict=True) if len(tokens) == 1
    }


def likely_next_tokens(
    prompts: Sequence[Tokens],
    words: dict[int, str],
    most: int,
    compute: Callable[[Wanted], LogProbs],
) -> NextTokens:
    """Return the ``most`` words that are likely after the first prompts.

    They have the largest mean log-probability there; theirs after all prompts is returned.
    """
    sample = dict.fromkeys(prompts[:_SAMPLE])
    logprobs = compute({tokens: set(words) for tokens in sample})
    order = sorted(words)
    means = np.mean([[logprobs[tokens][token] for token in order] for tokens in sample], axis=0)
    kept = [order[i] for i in np.argsort(-means, kind="stable")[:most]]
    logprobs |= compute({tokens: set(kept) for tokens in prompts if tokens not in sample})
    outputs = [tuple(logprobs[tokens][token] for token in kept) for tokens in prompts]
    return NextTokens(tuple(words[token] for token in kept), outputs)
