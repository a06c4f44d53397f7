"""The likelihood of the gold answer itself: P(target | prompt), without writing a reply."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..search.contracts import LikelihoodScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Example, Prompt, Task


class TargetLikelihood(LikelihoodScorer):
    """How likely the model finds each byte of the gold answer, as a geometric mean in (0, 1].

    Per byte and not per token, so that models with other tokenizers compare; for one example
    prompts are ranked the same either way. Scored like labels, it costs a small part of what
    writing replies does.
    """

    labelled = False

    def answers(
        self,
        prompt: Prompt,
        task: Task,  # noqa: ARG002
        example: Example,
    ) -> tuple[str, ...]:
        """Return the gold answer."""
        return (prompt.structure.verbalize(example.target),)

    def fit(
        self,
        prompt: Prompt,  # noqa: ARG002
        outputs: Sequence[tuple[float, ...]],  # noqa: ARG002
    ) -> tuple[float, ...]:
        """Return nothing: there is nothing to calibrate."""
        return ()

    def score(
        self,
        task: Task,  # noqa: ARG002
        examples: Sequence[Example],
        outputs: Sequence[tuple[float, ...]],
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[float]:
        """Return the likelihood of each answer, by its bytes."""
        return [
            math.exp(output[0] / len(example.target.encode("utf-8", "surrogatepass")))
            for example, output in zip(examples, outputs, strict=True)
        ]
