"""Scorers by name or file: a class, a function of a reply and its example, or several of these."""

from __future__ import annotations

import inspect
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .contracts import LikelihoodScorer, ReplyScorer, Score, feedback_of
from .errors import InputError, PromptfrontError
from .plugins import from_file, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .contracts import Example, Likelihoods, Task


@dataclass(frozen=True, slots=True)
class Metric(ReplyScorer):
    """A function ``(reply, example) -> float or None`` as a scorer of replies."""

    name: str
    function: Callable[[str, Example], float | None]

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the function's value of each reply.

        Raises
        ------
        InputError
            If the function raises, or returns something else than a number in [0, 1] (or a `Score`)
            or None.
        """
        return [
            self._score(example, reply) for example, reply in zip(examples, replies, strict=True)
        ]

    def _score(self, example: Example, reply: str) -> float | None:
        where = (
            f"the scorer {self.name!r}, on the row {dict(example.inputs)!r:.120} "
            f"and the reply {reply!r:.60}"
        )
        try:
            value = self.function(reply, example)
            score = value if value is None or isinstance(value, Score) else float(value)
        except Exception as error:  # (a user's own code)
            raise InputError(f"{where}: {type(error).__name__}: {error}") from error
        if score is not None and not 0 <= score <= 1:
            raise InputError(f"{where}: expected a number from 0 to 1 or None, found {value!r}")
        return score


class Part(NamedTuple):
    """One of several scorers, under the name it was asked for by."""

    weight: float
    name: str
    scorer: ReplyScorer


@dataclass(frozen=True, slots=True)
class Weighted(ReplyScorer):
    """Several scorers of replies, each with its share.

    What one of them cannot score is not scored.
    """

    parts: tuple[Part, ...]

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the weighted mean of each reply."""
        return [self.mean(values) for values in self.score_parts(examples, replies)]

    def score_parts(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[tuple[float | None, ...]]:
        """Return what each scorer gives each reply, shape ``(replies, parts)``."""
        return list(
            zip(*(part.scorer.score_replies(examples, replies) for part in self.parts), strict=True)
        )

    def mean(self, values: Sequence[float | None]) -> float | None:
        """Return the weighted mean of what the scorers give a reply.

        None where one gives no number.
        """
        known = [value for value in values if value is not None and not math.isnan(value)]
        if len(known) < len(self.parts):
            return None
        total = math.fsum(part.weight for part in self.parts)
        terms = list(zip(self.parts, known, strict=True))
        mean = min(1.0, math.fsum(part.weight * value for part, value in terms) / total)
        said = [f"{part.name}: {text}" for part, value in terms if (text := feedback_of(value))]
        return Score(mean, "; ".join(said)) if said else mean

    @property
    def asks_model(self) -> bool:
        """Whether one of them asks a model."""
        return any(part.scorer.asks_model for part in self.parts)

    def prepare(self, task: Task, judge: Likelihoods) -> Weighted:
        """Return the scorer with each of its parts made for a task."""
        parts = [part._replace(scorer=part.scorer.prepare(task, judge)) for part in self.parts]
        return Weighted(tuple(parts))


@contextmanager
def users_code(scorer: str) -> Iterator[None]:
    """Make whatever a scorer of that name raises a sentence."""
    try:
        yield
    except PromptfrontError:
        raise
    except Exception as error:  # (the boundary to scorers that are a user's own class)
        raise InputError(f"the scorer {scorer!r} raised {type(error).__name__}: {error}") from error


def load_scorer(name: str) -> LikelihoodScorer | ReplyScorer:
    """Return a scorer by name, from ``path/to/file.py:name``, or several with weights.

    Several are written as in ``0.7*rouge-l+0.3*chrf``.

    Raises
    ------
    InputError
        If there is none or it cannot be loaded.
    """
    if "*" in name:
        return Weighted(tuple(_weighted(part, name) for part in name.split("+")))
    loaded: Any = from_file("scorer", name) if ".py:" in name else load("promptfront.scorers", name)
    try:
        made: Any = loaded() if inspect.isclass(loaded) else loaded
    except Exception as error:  # (a user's own code)
        raise InputError(f"`scorer` {name}: {type(error).__name__}: {error}") from error
    if isinstance(made, (ReplyScorer, LikelihoodScorer)):
        return made
    if callable(made) and len(inspect.signature(made).parameters) == 2:
        return Metric(name, made)
    raise InputError(
        f"`scorer` {name}: expected a function of a reply and an example, or a class that inherits "
        "from ReplyScorer or LikelihoodScorer of promptfront.search.contracts"
    )


def _weighted(part: str, whole: str) -> Part:
    weight, _, name = part.partition("*")
    try:
        share = float(weight)
    except ValueError:
        share = 0.0
    if not 0 < share < math.inf or not name:
        raise InputError(
            f"`scorer` {whole}: expected weights above 0 as in 0.7*rouge-l+0.3*chrf, found {part!r}"
        )
    name = name.strip()
    scorer = load_scorer(name)
    if not isinstance(scorer, ReplyScorer):
        raise InputError(
            f"`scorer` {whole}: {name!r} does not score replies and cannot be combined with others"
        )
    return Part(share, name, scorer)
