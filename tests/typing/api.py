"""The public API as a user calls it: read by type checkers, run by nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import promptfront
from promptfront import DataOptions, Frontier, Limits, gate, load_prompt, optimize

if TYPE_CHECKING:
    from promptfront import Prompt
    from promptfront.search.contracts import Example, Gene, MutationContext


class Polite:
    """A mutator of one's own."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a word before it."""
        word: str = context.rng.choice(["Please", "Kindly"])
        return replace(prompt, instruction=f"{word}: {prompt.instruction}")


def brief(reply: str, example: Example) -> float | None:
    """Return the score of a reply."""
    return float(example.target in reply) if example.target else None


def search() -> tuple[float | None, int, str | list[dict[str, str]], str, str]:
    """Search, look at what was found, and use it."""
    front: Frontier = optimize(
        data=DataOptions(data="reviews.csv", target_column="mood"),
        budget=20,
        limits=Limits(max_evaluations=2000),
    )
    gain: float | None = front.best.gain
    tokens: int = front.best.tokens
    text: str | list[dict[str, str]] = load_prompt("best.json").render(text="A quiet triumph.")
    verdict: str = gate("best.json", against="start.json", data="new.csv").verdict
    version: str = promptfront.__version__
    return gain, tokens, text, verdict, version
