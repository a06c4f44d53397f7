"""Scorers by name or file: a class, or a plain function of a reply and its example."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .contracts import ReplyScorer
from .errors import InputError
from .plugins import from_file, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .contracts import Example, Scorer


@dataclass(frozen=True, slots=True)
class Metric:
    """A function ``(reply, example) -> float or None`` as a scorer of replies."""

    name: str
    function: Callable[[str, Example], float | None]

    def score_replies(self, examples: Sequence[Example], replies: Sequence[str]) -> list[float | None]:
        """Return the function's value of each reply.

        Raises
        ------
        InputError
            If the function raises, or returns something else than a number in [0, 1] or None.
        """
        return [self._score(example, reply) for example, reply in zip(examples, replies, strict=True)]

    def _score(self, example: Example, reply: str) -> float | None:
        where = f"the scorer {self.name!r}, on the row {dict(example.inputs)!r:.120} and the reply {reply!r:.60}"
        try:
            value = self.function(reply, example)
            found = None if value is None else float(value)
        except Exception as error:  # (a user's own code)
            raise InputError(f"{where}: {type(error).__name__}: {error}") from error
        if found is not None and not 0 <= found <= 1:
            raise InputError(f"{where}: expected a number from 0 to 1 or None, found {value!r}")
        return found


def asks_for_labels(scorer: Scorer | ReplyScorer) -> bool:
    """Whether the answers a scorer wants are a task's labels and not free text."""
    return bool(getattr(scorer, "labelled", not isinstance(scorer, ReplyScorer)))


def load_scorer(name: str) -> Scorer | ReplyScorer:
    """Return the scorer of that name, or the one in ``path/to/file.py:name``.

    Raises
    ------
    InputError
        If there is none or it cannot be loaded.
    """
    found: Any = from_file("--scorer", name) if ".py:" in name else load("promptfront.scorers", name)
    try:
        made: Any = found() if inspect.isclass(found) else found
    except Exception as error:  # (a user's own code)
        raise InputError(f"--scorer {name}: {type(error).__name__}: {error}") from error
    if isinstance(made, ReplyScorer) or all(hasattr(made, method) for method in ("answers", "fit", "score")):
        return cast("Scorer | ReplyScorer", made)
    if callable(made) and len(inspect.signature(made).parameters) == 2:
        return Metric(name, made)
    raise InputError(f"--scorer {name}: expected a function of a reply and an example, or a class with score_replies")
