"""Studies of one task side by side: other models, or other seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import Frontier

_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class CrossScore:
    """What a study's model scores with a prompt on the test rows, with its 95 % interval.

    ``gain`` is the mean difference to the model's own best prompt on rows that both score, and
    ``p_value`` that of the paired test.
    """

    score: float
    low: float
    high: float
    n: int
    gain: float
    p_value: float

    @property
    def worse(self) -> bool:
        """Whether rows show that the prompt is worse than the model's own."""
        return self.gain < 0 and self.p_value < _SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies of the same rows.

    Parameters
    ----------
    frontiers
        What each found.
    crossed
        For each study and each other one, what the first one's model scores with the best prompt
        of the other: ``crossed[i][j]``; missing on the diagonal, and where it cannot be scored.
        Empty where that was not asked for.
    """

    frontiers: tuple[Frontier, ...]
    crossed: tuple[tuple[CrossScore | None, ...], ...] = ()

    def serving_all(self) -> list[int]:
        """Return whose best prompt no other model scores significantly below its own best."""
        studies = range(len(self.frontiers))
        return [
            j
            for j in studies
            if self.crossed
            and all((one := self.crossed[i][j]) and not one.worse for i in studies if i != j)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "studies": [frontier.to_dict() for frontier in self.frontiers],
            "crossed": [[one and asdict(one) for one in row] for row in self.crossed],
        }
