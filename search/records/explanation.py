"""What each part of a prompt is worth, and which words of an input decide its answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .notebook import data_frame, html_table, part_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Gene

_KINDS: dict[Gene, str] = {
    "instruction": "sentence",
    "constraints": "constraint",
    "demonstrations": "example",
    "structure": "setting",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """A mean difference of scores on the same rows, with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether it is more than its noise: no difference lies outside the interval."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class PartEffect:
    """What a part of a prompt is worth.

    Parameters
    ----------
    gene, text, place
        The part, as in `prompts.parts.Part`.
    tokens
        What it adds to the prompt.
    effect
        What the score loses without it, all else being there; missing where the prompt cannot be
        scored without it.
    shapley
        Its Shapley value: what the score loses without it on average over which other parts are
        there; missing where that was not asked for.
    """

    gene: Gene
    text: str
    place: int | str
    tokens: int
    effect: Effect | None
    shapley: Effect | None = None

    @property
    def kind(self) -> str:
        """What a person calls such a part."""
        return _KINDS[self.gene]


@dataclass(frozen=True, slots=True)
class Shorter:
    """The prompt without its weakest parts: what it gains, and how many tokens fewer it has.

    It is stored as that ``trial``, to be exported like any other.
    """

    without: tuple[str, ...]
    gain: Effect
    tokens: int
    trial: int


@dataclass(frozen=True, slots=True)
class WordEffect:
    """A word of a row's input, by what changes without it.

    Parameters
    ----------
    field, text
        The input field, and the word in it; of long inputs several words.
    effect
        What the answer's probability among the labels loses; in free text, what the score loses.
        Missing where there is no number.
    answer
        What the model answers without it.
    """

    field: str
    text: str
    effect: float | None
    answer: str


@dataclass(frozen=True, slots=True)
class RowExplanation:
    """Which words of one row's input matter for its answer."""

    row: int
    target: str
    answer: str
    words: tuple[WordEffect, ...]


@dataclass(frozen=True, slots=True)
class Importance:
    """How much of the variance of so many candidates' scores each choice of the search explains.

    A choice is whether a gene is another than the start's, or whether a mutator was applied.
    """

    trials: int
    genes: dict[str, float]
    mutators: dict[str, float]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What each part of a prompt is worth on some rows.

    Parameters
    ----------
    study, trial
        The prompt.
    split, rows
        What it was scored on: ``"test"``, or ``"dev"`` for dev and confirmation rows.
    score, bare
        The mean score of the prompt, and of what is left without all its parts, where that was
        asked for.
    tokens
        What the prompt adds to an input.
    parts
        In the order in which they are read, settings last.
    shorter
        The prompt without its weakest parts, where it has any.
    row
        One of the rows, word by word, where that was asked for.
    importance
        Which choices the scores of the search went with, where it has candidates enough.
    """

    study: str
    trial: int
    split: str
    rows: int
    score: float
    tokens: int
    parts: tuple[PartEffect, ...]
    bare: float | None = None
    shorter: Shorter | None = None
    row: RowExplanation | None = None
    importance: Importance | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:  # noqa: ANN401 (pandas is optional)
        """Return the parts as a pandas DataFrame, a row each.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return data_frame(part_rows(self))

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        where = {"dev": "dev and confirmation", "test": "test"}[self.split]
        caption = f"trial {self.trial}: {self.score:.3f} on {self.rows} {where} rows; points lost"
        return html_table(f"{caption} without each part", part_rows(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Explanation:
        """Return what `to_dict` described."""
        shorter, row, importance = (values[key] for key in ("shorter", "row", "importance"))
        parts = {
            "parts": tuple(_part(part) for part in values["parts"]),
            "shorter": _shorter(shorter) if shorter else None,
            "row": _row(row) if row else None,
            "importance": Importance(**importance) if importance else None,
        }
        return cls(**{**values, **parts})


def _part(values: Mapping[str, Any]) -> PartEffect:
    both = {name: _effect(values[name]) for name in ("effect", "shapley")}
    return PartEffect(**{**values, **both})


def _effect(values: Mapping[str, Any] | None) -> Effect | None:
    return Effect(**values) if values else None


def _shorter(values: Mapping[str, Any]) -> Shorter:
    gain, without = Effect(**values["gain"]), tuple(values["without"])
    return Shorter(**{**values, "gain": gain, "without": without})


def _row(values: Mapping[str, Any]) -> RowExplanation:
    words = tuple(WordEffect(**word) for word in values["words"])
    return RowExplanation(**{**values, "words": words})
