"""What prompts answered to the rows that they were tested on, for people to look at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Answers:
    """A prompt's answers to the first rows, one of each.

    Parameters
    ----------
    values
        The scores; missing where there is none.
    texts
        What was answered.
    labels
        The label that this says, empty where it says none; nothing at all in free text.
    """

    values: tuple[float | None, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """The rows that prompts were tested on, and what each answered.

    Parameters
    ----------
    split
        ``"test"``, or ``"dev"`` where no rows were held out.
    inputs, targets
        Each row's ``(field, text)`` pairs and its gold answer.
    answers
        By trial; of some only the first rows.
    """

    split: str
    inputs: tuple[tuple[tuple[str, str], ...], ...]
    targets: tuple[str, ...]
    answers: dict[int, Answers]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AnsweredRows:
        """Return what `to_dict` described, from JSON."""
        return cls(
            values["split"],
            tuple(_pairs(row) for row in values["inputs"]),
            tuple(values["targets"]),
            {
                int(trial): Answers(*(tuple(one[key]) for key in ("values", "texts", "labels")))
                for trial, one in values["answers"].items()
            },
        )


def _pairs(row: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in row)
