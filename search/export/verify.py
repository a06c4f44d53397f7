"""Score an exported prompt again, from nothing: the same number, or a sentence that says so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, VerificationError
from ..evaluation.holdout import held_out
from ..evaluation.statistics import scored_mean
from ..options import DataOptions
from ..secrets import MASK
from .document import NOT_AN_EXPORT, load_prompt
from .places import Places
from .restored import load_again, restored, secret_left_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Example, Task
    from ..evaluation.evaluator import Evaluator
    from .document import ExportedPrompt

_ROUNDING = 1e-6
"""By how much a mean of likelihoods may differ.

A dev score was computed in blocks beside other candidates, and float32 sums depend on what else is
in a pass. One answer more or less in a mean of 0/1 scores is far more than that.
"""
_MOST_ROWS = 10**9


@dataclass(frozen=True, slots=True)
class Verification:
    """The numbers of an exported file and those of its prompt scored again on the same rows."""

    split: str
    n: int
    exported: float
    found: float
    exported_fingerprint: str
    found_fingerprint: str


def verify(path: str | Path, task: Task | None = None) -> Verification:
    """Score an exported prompt again, from nothing.

    The held-out score is checked, or the dev score where no rows were held out.

    Parameters
    ----------
    path
        The exported file.
    task
        The task, where the search was given a `Task` rather than a name or files.

    Raises
    ------
    VerificationError
        If the score is not the exported one (but for rounding), or the data are not those it was
        measured on.
    """
    exported = load_prompt(path)
    evaluator = _evaluator(path, exported.document, task)
    if evaluator.task.data_hash != exported.document["data"]["data_hash"]:
        raise VerificationError(
            f"{path}: expected the rows that its scores were measured on, but "
            f"{evaluator.task.source} has others now; restore the data"
        )
    scores, model = exported.document["scores"], exported.document["model"]
    split = "test" if scores["test"] and evaluator.task.test else "dev"
    n, score = _scored_again(evaluator, exported, split)
    same_model = evaluator.backend.fingerprint == model["fingerprint"]
    if not math.isclose(score, scores[split]["score"], rel_tol=_ROUNDING):
        raise VerificationError(
            f"{path}: exported {split} score {scores[split]['score']}, found {score} with "
            f"{'the same model' if same_model else 'another model, tokenizer or dtype'}"
        )
    return Verification(
        split=split,
        n=n,
        exported=scores[split]["score"],
        found=score,
        exported_fingerprint=model["fingerprint"],
        found_fingerprint=evaluator.backend.fingerprint,
    )


def _evaluator(path: str | Path, document: dict[str, Any], task: Task | None) -> Evaluator:
    """Return what scores prompts as the search did that the document comes from."""
    load, model = _load_of(path, document), document["model"]
    seed, day = document["seed"], model.get("date")
    if task is None and "answers_by" not in document:
        task = load_again(load, seed)
    answers = document.get("answers_by", "likelihood" if task and task.labels else None)
    return restored(load, backend=model["backend"], seed=seed, answers=answers, day=day, task=task)


def _scored_again(evaluator: Evaluator, exported: ExportedPrompt, split: str) -> tuple[int, float]:
    """Return on how many rows of the split the prompt is scored, and its mean."""
    score = exported.document["scores"][split]
    rows: tuple[Example, ...] = getattr(evaluator.task, split)
    rows = rows[: score["n"] + score.get("unscored", 0) + score.get("shown", 0)]
    values = held_out(evaluator, exported.prompt, exported.offsets, rows).values
    return len(rows), scored_mean(values) if split == "test" else evaluator.mean(values, rows)


def _load_of(path: str | Path, document: dict[str, Any]) -> dict[str, Any]:
    """Return what loads an exported file's task and model, with files where they are now."""
    try:
        _check(document)
        load = document["data"]["load"]
        secret = secret_left_out(load)
        places = Places(Path(path), load.get("folder"), frozenset(load.get("local", ())))
        if not secret:
            return places.found(load)
    except InputError:  # a file that is nowhere
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: {NOT_AN_EXPORT}, but it was damaged or edited ({error!r})"
        ) from None
    raise InputError(
        f"{path}: it does not contain the secret in {secret}; write it in place of {MASK}"
    )


def _check(document: dict[str, Any]) -> None:
    """Look at what `verify` needs: a damaged file is told before anything is loaded."""
    dev, test = document["scores"]["dev"], document["scores"]["test"]
    if not _is_score(dev) or (test and not _is_score(test)):
        raise ValueError("scores")
    data, model, load = document["data"], document["model"], document["data"]["load"]
    DataOptions(**load["data"])
    texts = [data["data_hash"], model["backend"], model["fingerprint"], model.get("date", "")]
    texts += [value for key in ("task", "model") if (value := load[key]) is not None]
    if not all(isinstance(text, str) for text in texts) or not isinstance(document["seed"], int):
        raise ValueError("data, model or seed")
    if model.get("date"):
        date.fromisoformat(model["date"])


def _is_score(score: Mapping[str, Any]) -> bool:
    """Whether a score is a number on some rows."""
    value, rows = score["score"], score["n"]
    others = score.get("unscored", 0), score.get("shown", 0)
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return is_number and 0 < rows < _MOST_ROWS and min(others) >= 0
