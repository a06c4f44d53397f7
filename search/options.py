"""The options of a search, in small frozen groups. Each is also a command-line option."""

from __future__ import annotations

import math
import numbers
from dataclasses import asdict, dataclass
from typing import Any

from .errors import InputError

SHAPLEY_SAMPLES = 64
"""Subsets of a prompt's parts that ``--shapley`` scores where no number is given."""
DEFAULT_STORAGE = "sqlite:///promptfront.db"
"""A file in the working folder."""
MARGIN = 0.01
"""The loss of score that a gate accepts where nobody says another: one point."""
_TOO_LARGE = 2**63


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Where the rows come from, and which columns are inputs and answer.

    Parameters
    ----------
    data
        A CSV, TSV, JSONL, JSON or Parquet file, or a Hugging Face data set id. promptfront splits
        it.
    train, dev, test
        Files of data that is already split; demonstrations come from ``train``.
    input_columns, target_column
        Column names; by default promptfront looks for usual names.
    instructions
        The starting instruction, and others to try first.
    choices
        The labels; by default those in the data. There, spellings that differ only in case, white
        space, invisible characters, Unicode form or number format are one label.
    scorer
        Name of an installed scorer or ``path/to/file.py:name``; by default the task's scorer, which
        is the accuracy of labels if only data is given.
    prompts
        Files with your own prompts: the search starts from the first and tries the others first.
    keep
        Parts of the starting prompt that every candidate keeps unchanged.
    """

    data: str | None = None
    train: str | None = None
    dev: str | None = None
    test: str | None = None
    input_columns: tuple[str, ...] = ()
    target_column: str | None = None
    instructions: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    scorer: str | None = None
    prompts: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How candidates are made.

    Parameters
    ----------
    seed, sampler
        The random seed, and the name of the sampler that recombines alleles.
    mutators, without
        Your own mutators, as ``path/to/file.py:Name``, and names of installed ones to leave out.
    max_demonstrations
        Maximum number of demonstrations in a prompt; None for the default.
    max_instruction_tokens
        Maximum tokens of an instruction that a mutator writes.
    """

    seed: int
    sampler: str
    mutators: tuple[str, ...]
    without: tuple[str, ...]
    max_demonstrations: int | None
    max_instruction_tokens: int

    def __post_init__(self) -> None:
        above_zero("max_instruction_tokens", self.max_instruction_tokens, whole=True)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends: after ``budget`` candidates, or sooner.

    Parameters
    ----------
    budget
        Maximum number of candidate prompts, over all runs of the study.
    max_evaluations
        Maximum number of evaluations (a prompt on an example) in the search, over all runs of the
        study; the final test is not counted.
    max_tokens
        Maximum tokens of those evaluations, counted as if no computation were shared.
    timeout
        Maximum seconds of search in this run.
    max_prompt_tokens
        Maximum tokens that a prompt adds to an input, with its demonstrations and chat turns. It
        applies to every candidate and, unlike the other limits, belongs to the study.
    patience
        The search ends after a batch if this many candidates in a row were no better on all dev
        rows than the best one before them.
    """

    budget: int = 200
    max_evaluations: int | None = None
    max_tokens: int | None = None
    timeout: float | None = None
    max_prompt_tokens: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None or name == "budget":
                above_zero(name, value, whole=name != "timeout")

    def noted(self) -> dict[str, float]:
        """Return what a study notes of its first run's limits: nothing of a budget alone."""
        names = ("max_evaluations", "max_tokens", "timeout", "patience")
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        return {"budget": self.budget, **given} if given else {}


def above_zero(name: str, value: Any, *, whole: bool = False) -> None:  # noqa: ANN401 (whatever a user may give)
    """Refuse what is not a number above 0.

    Raises
    ------
    InputError
        If it is none, is not finite, or has a fraction where a whole number is needed.
    """
    kind: Any = numbers.Integral if whole else numbers.Real
    if not isinstance(value, kind) or not 0 < value < (_TOO_LARGE if whole else math.inf):
        expected = "a whole number" if whole and isinstance(value, float) else "a number"
        raise InputError(f"`{name}`: expected {expected} above 0, found {value}")
