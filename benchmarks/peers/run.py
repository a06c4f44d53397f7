"""One peer's run in the arena, with the limits that every peer has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from search_arena import BudgetSpentError

from promptfront.search.contracts import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search_arena import Arena

    from promptfront.search.contracts import Example, Prompt

STALLED_CALLS = 60
"""Calls in a row that score nothing new, after which a run ends; set by hand."""
INSTRUCTION_TOKENS = 256
"""The longest instruction: what a reply can hold."""
DEMONSTRATION_TOKENS = 100
"""The longest train row that is shown; set by hand, for a small model's context."""
ASKED_TOKENS = 2000
"""What the proposer reads of a request; set by hand, for a small model's context."""
REPLY_TOKENS = 256
"""The longest reply that the proposer writes: what promptolution's models write."""
SHOTS = 4
"""Demonstrations of a prompt: MIPROv2's default."""
MANY = 1_000_000
"""Steps to ask for where the budget is what ends a run."""


class RunEnded(BaseException):
    """The budget, the time or the peer's ideas are used up.

    Not an `Exception`: the peers catch those and go on.
    """


class Run:
    """One peer's run: the arena with the limits above, and the prompt the peer would return.

    That is the first instruction at first.

    Attributes
    ----------
    train
        The rows for demonstrations.
    rows
        Every train and dev row by its text, for packages that know texts only.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.dev = arena.task.dev
        tokens = arena.evaluator.tokens.of_examples(arena.task.train)
        self.train = [
            e for e, n in zip(arena.task.train, tokens, strict=True) if n <= DEMONSTRATION_TOKENS
        ]
        self.rows = {text_of(example): example for example in (*self.train, *self.dev)}
        self._stalled = 0
        self._end = time.perf_counter() + arena.seconds
        self.hold(arena.prompt(arena.instructions[0]), 0.0)

    def prompt(self, instruction: str, demonstrations: Sequence[Example] = ()) -> Prompt:
        """Return the arena's prompt, with an instruction that fits."""
        short = self.arena.evaluator.backend.truncate(instruction.strip(), INSTRUCTION_TOKENS)
        prompt: Prompt = self.arena.prompt(short, demonstrations)
        return prompt

    def score(self, prompt: Prompt, examples: Sequence[Example]) -> list[float]:
        """Return 1.0 or 0.0 for each example: whether the answer is the right label, if any."""
        before = self.arena.spent
        self._check()
        try:
            scores = self.arena.score([prompt], examples)[0]
        except BudgetSpentError:
            raise RunEnded from None
        self._stalled = 0 if self.arena.spent > before else self._stalled + 1
        return [float(score == 1.0) for score in scores]

    def write(self, requests: Sequence[str], system: str = "") -> list[str]:
        """Return the proposer's reply to each request."""
        self._check()
        self._stalled += 1
        lead = (Message("system", system),) if system else ()
        short = [
            self.arena.evaluator.backend.truncate(request, ASKED_TOKENS) for request in requests
        ]
        replies: list[str] = self.arena.generate(
            [(*lead, Message("user", text)) for text in short], max_tokens=REPLY_TOKENS
        )
        return replies

    def hold(self, prompt: Prompt, quality: float) -> None:
        """Take the prompt as the one to return."""
        self.quality = quality
        self.arena.hold(prompt, quality)

    def offer(self, prompt: Prompt, quality: float) -> None:
        """Hold the prompt if it is better than the one held."""
        if quality > self.quality:
            self.hold(prompt, quality)

    def _check(self) -> None:
        if self._stalled >= STALLED_CALLS or time.perf_counter() > self._end:
            raise RunEnded


def text_of(example: Example) -> str:
    """Return an example's input as the packages see it."""
    return "\n".join(text for _, text in example.inputs)
