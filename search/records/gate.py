"""Whether a new prompt may take an old one's place, on rows that neither has seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True, slots=True)
class GatedPrompt:
    """One of the two prompts: its file and trial, its tokens, and its score on the rows.

    ``score`` is the plain mean over the rows that have a score of both prompts, with its 95 %
    interval from ``low`` to ``high``.
    """

    file: str
    trial: int
    tokens: int
    score: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LostRow:
    """A row that scores less with the new prompt, and what each prompt's answer is."""

    inputs: tuple[tuple[str, str], ...]
    target: str
    new: str
    old: str
    must_pass: bool


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the rows say of a new prompt against an old one.

    Parameters
    ----------
    verdict
        ``"pass"``: the new prompt is not worse by more than the margin, with 95 % certainty, and
        loses no row that must pass. ``"fail"``: with the same certainty it is worse by more than
        the margin, or it loses a row that must pass. ``"undecided"``: the rows cannot tell.
    reason
        The same in a sentence.
    needed
        About how many rows would tell where these cannot, if the difference stays as it is; missing
        where more than a million would be needed.
    new, old
        The prompts.
    difference, low, high
        The mean difference on rows that have a score of both, and how low and how high it may be;
        each of the two bounds is wrong at most 5 times in 100.
    margin
        The loss that is accepted.
    n, unscored
        How many rows have a score of both prompts, and how many have not.
    lost, won
        The rows that score less with the new prompt, those that must pass first; and how many
        score more.
    model
        The model that answered.
    notes
        What was left out or taken for granted.
    """

    verdict: Verdict
    reason: str
    needed: int | None
    new: GatedPrompt
    old: GatedPrompt
    difference: float
    low: float
    high: float
    margin: float
    n: int
    unscored: int
    lost: tuple[LostRow, ...]
    won: int
    model: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)
