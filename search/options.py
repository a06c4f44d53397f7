"""What a user may choose, in small frozen groups. Each has its twin on the command line."""

from __future__ import annotations

import math
import numbers
from dataclasses import asdict, dataclass
from typing import Any

from .errors import InputError

SHAPLEY_SAMPLES = 64
"""Subsets of a prompt's parts that are scored for Shapley values, where they are asked for."""
DEFAULT_STORAGE = "sqlite:///promptfront.db"
"""A file in the working folder."""
MARGIN = 0.01
"""The loss of score that a gate accepts where nobody says another: one point."""
_TOO_LARGE = 2**63


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Where the rows come from, and what in them is input and answer.

    Parameters
    ----------
    data
        A CSV, TSV, JSONL or Parquet file or a Hugging Face data set id, to be split by promptfront.
    train, dev, test
        Files that are already split; ``train`` are the rows that demonstrations come from.
    input_columns, target_column
        Column names; found by their usual names where they are not given.
    instructions
        The instruction the search starts from, and others to try first.
    choices
        The labels; by default those seen in the data, where spellings that differ only in case,
        white space, invisible characters, Unicode form or the form of a number are one label.
    scorer
        An installed scorer's name or ``path/to/file.py:name``; by default the task's, which for
        data alone is the accuracy of labels.
    prompts
        Files with prompts of the user's own: the first is what the search starts from, the others
        are tried first.
    keep
        Texts that stand in every candidate as they stand in the starting prompt.
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
        What decides everything random, and the name of the sampler that recombines alleles.
    mutators, without
        More mutators, as ``path/to/file.py:Name``, and names of installed ones not to use.
    max_demonstrations
        Demonstrations a prompt may show at most, where that is limited.
    max_instruction_tokens
        Tokens of an instruction that a mutator writes at most.
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
        Candidate prompts tried, over all runs of the study.
    max_evaluations
        Prompt x example evaluations evaluated in the search, over all runs of the study; the final
        test is not counted.
    max_tokens
        Tokens of those evaluations, counted as if nothing were shared.
    timeout
        Seconds of this run's search.
    max_prompt_tokens
        Tokens that a prompt, its demonstrations and chat turns included, may add to an input: no
        candidate has more. Unlike the others it decides what is tried: a study keeps it.
    patience
        So many candidates in a row, of which none was better on all dev rows than the best before
        them, end the search with their batch.
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
