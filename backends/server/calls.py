"""What is sent to a server, what it has cost, and how it may refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ...search.errors import BackendError, InterruptedCallError


class UnsupportedError(BackendError):
    """The server understood the request and refuses it."""


class NoListError(BackendError):
    """The server has no list of models."""


class QuotaError(InterruptedCallError):
    """What was paid for is used up."""


class Call(NamedTuple):
    """A request: to ``chat``, ``completions`` or ``models``, and its body."""

    path: str
    body: dict[str, Any]


@dataclass(slots=True)
class Usage:
    """What a server has answered: each answered request counts once, whatever it took.

    Parameters
    ----------
    requests, prompt_tokens, completion_tokens
        As the server counts them.
    faults
        Attempts that brought no usable answer.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost.

    Parameters
    ----------
    max_cost
        Dollars; nothing for no limit.
    price
        Dollars for a million prompt tokens and for a million completion tokens.
    """

    max_cost: float | None = None
    price: tuple[float, float] = (0.0, 0.0)

    def cost(self, usage: Usage) -> float:
        """Return the dollars of what was used."""
        return (usage.prompt_tokens * self.price[0] + usage.completion_tokens * self.price[1]) / 1e6
