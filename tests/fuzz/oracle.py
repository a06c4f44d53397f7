"""A model that knows every answer: a search with it must find that its start is always right."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from promptfront.search.data.labels import fold
from promptfront.search.prompts.render import literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptfront.search.contracts import LikelihoodRequest, Text

_NUMBERED = re.compile(r"row(\d+)x")


def numbered(number: int, text: str) -> str:
    """Return a text that says which row it is of."""
    return f"row{number}x {text}".strip()


@dataclass(slots=True)
class Oracle:
    """Finds the answer of a row most likely, by the number that its text begins with.

    Parameters
    ----------
    texts, answers
        What each row was written as.
    """

    texts: Mapping[int, str]
    answers: Mapping[int, str]
    misread: list[str] = field(default_factory=list)
    """What was asked about rows that nobody wrote like that."""
    model: str = "oracle"
    fingerprint: str = field(default_factory=lambda: uuid4().hex)
    revision: str = ""
    scoring: str = "known answers"
    max_context: int = 100_000
    writes: bool = True

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Return 0 for the answer of the row that a prompt ends with, and less for the others."""
        return [self._read(request) for request in requests]

    def _read(self, request: LikelihoodRequest) -> tuple[float, ...]:
        text = _plain(request.prompt)
        found = list(_NUMBERED.finditer(text))
        number = int(found[-1].group(1)) if found else -1
        if number not in self.texts or literal(self.texts[number]) not in text[found[-1].start() :]:
            self.misread.append(text)
            return tuple(-1.0 - i for i in range(len(request.continuations)))
        answer = self.answers[number].strip()
        options = [option.strip() for option in request.continuations]
        same = [option == literal(answer) for option in options]
        if not any(same):  # joined with another that means the same
            same = [fold(option) == fold(answer) for option in options]
        return tuple(0.0 if right else -5.0 - i for i, right in enumerate(same))

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
    ) -> list[str]:
        """Return the answer of each row."""
        found = [_NUMBERED.findall(_plain(prompt)) for prompt in prompts]
        return [self.answers.get(int(numbers[-1]) if numbers else -1, "") for numbers in found]

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of words."""
        return [len(_plain(text).split()) for text in texts]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the first words."""
        return " ".join(text.split()[:max_tokens])

    def close(self) -> None:
        """Hold nothing."""


def _plain(text: Text) -> str:
    return text if isinstance(text, str) else "\n".join(turn.content for turn in text)
