"""What a study writes down about itself when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows each split has."""

    train: int
    dev: int
    test: int


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """Where a reply of free text ends."""

    max_tokens: int
    stop: list[str]


_LATER = frozenset({"max_prompt_tokens", "answers", "max_instruction_tokens"})
"""Keys of an identity that came later: they count only where they are set, so that names stay."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What must be the same for a run to continue another.

    ``data`` is a hash of the rows, ``model`` and ``proposer`` are fingerprints; ``proposer`` is
    missing where the model proposes itself. The three from ``scorer_source`` on identify code that
    promptfront does not bring.
    """

    task: str
    data: str
    starting_prompt: dict[str, Any]
    first_instructions: list[str]
    constraints: list[dict[str, Any]]
    labels: list[str]
    scorer: str
    model: str
    seed: int
    sampler: str
    mutators: list[str]
    without: list[str]
    max_demonstrations: int | None
    reply: ReplyLimits | None
    proposer: str | None = None
    scorer_source: str | None = None
    mutator_source: str | None = None
    scorer_package: str | None = None
    max_prompt_tokens: int | None = None
    answers: str | None = None
    max_instruction_tokens: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; of the last, which came later, what is set."""
        values = asdict(self)
        return {name: value for name, value in values.items() if value or name not in _LATER}

    def differs(self, other: Identity) -> list[str]:
        """Return the names of what is not the same, as a person reads them."""
        names = [one.name for one in fields(self)]
        changed = [name for name in names if getattr(self, name) != getattr(other, name)]
        return [name.replace("_", " ") for name in changed]


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A study's task, data, model and options: all that decides its numbers.

    Parameters
    ----------
    task, model, proposer, backend, seed
        What is searched, with which models, and from which seed.
    source, revision, fingerprint, scoring
        Where the data come from, and which model it is exactly, read how.
    input_fields, target_field, labels, scorer, reply
        The task's fields, labels and metric; ``reply`` for free text alone.
    sizes, data_hash
        The splits.
    load
        What loads task and model again.
    versions
        Of what decides the numbers.
    started
        When it was begun, in seconds since 1970.
    identity
        What must be the same to continue it.
    date
        The day that a chat template writes, where it writes one.
    answers
        How a label is had from the model, as in `Task`; missing for free text.
    sources
        The files of the user's own prompts, to write them back in the same form.
    """

    task: str
    model: str
    proposer: str
    backend: str
    seed: int
    source: str
    revision: str
    fingerprint: str
    scoring: str
    input_fields: list[str]
    target_field: str
    labels: list[str]
    scorer: str
    reply: ReplyLimits | None
    sizes: Sizes
    data_hash: str
    load: dict[str, Any]
    versions: dict[str, str]
    started: float
    identity: Identity
    date: str | None = None
    answers: str | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StudyConfig:
        """Return what `to_dict` described.

        Raises
        ------
        LookupError, TypeError, ValueError
            If the values are not such.
        """
        identity, reply = dict(values["identity"]), values["reply"]
        limits = ReplyLimits(**reply) if reply else None
        parts = {
            "sizes": Sizes(**values["sizes"]),
            "identity": Identity(**identity | {"reply": limits}),
            "reply": limits,
        }
        return cls(**{**values, **parts})

    def as_stored(self) -> StudyConfig:
        """Return it as it is read back from a database: tuples are lists there."""
        return StudyConfig.from_dict(json.loads(json.dumps(self.to_dict())))
