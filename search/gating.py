"""`gate`: may a new prompt take an old one's place? For a team's continuous integration."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from .assembly import make_evaluator, make_judge
from .contracts import Task
from .data.new_rows import must_pass, read_new_rows
from .errors import BackendError, InputError
from .evaluation.answered import answers
from .evaluation.statistics import difference_interval, examples_to_tell, mean_interval
from .export.document import NOT_AN_EXPORT, load_prompt
from .export.places import Places
from .export.restored import secret_left_out
from .options import MARGIN
from .prompts.reasoning import answer_tokens
from .records.gate import GatedPrompt, GateResult, LostRow
from .storage.config import keep_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contracts import Example
    from .data.cells import Tell
    from .evaluation.evaluator import Evaluator
    from .export.document import ExportedPrompt
    from .records.answered import Answers
    from .records.gate import Verdict

_CERTAINTY = 0.95
_BOTH_ENDS = 2 * _CERTAINTY - 1
"""An interval each end of which is that certain."""
_MOST_UNSCORED = 0.1
"""Where more of the rows have no score, those that have one say little."""
_FEWEST = 10
"""Of fewer rows no interval of graded scores means anything: two may differ by the same."""
_MOST_NEEDED = 1_000_000
_NOT_HELD = "constraints-met"
"""A scorer by constraints of the task, whatever the prompt says of them."""


class _Scored(NamedTuple):
    """Rows, what each of two prompts answers to them, the prompts' tokens, and the model."""

    rows: tuple[Example, ...]
    answers: list[Answers]
    tokens: list[int]
    model: str
    notes: tuple[str, ...]


def gate(new: str | Path, *, against: str | Path, data: str, margin: float = MARGIN) -> GateResult:
    """Say whether a new prompt is as good as an old one on rows that neither was searched with.

    Both are scored by the new prompt's model. The test is of non-inferiority: one interval of the
    paired difference, each end 95 % certain, lies above the accepted loss, below it, or across it.

    Parameters
    ----------
    new, against
        Files written by `optimize export`, of one task.
    data
        The rows: a file with the columns that the search's data had. Rows with yes (or true, 1) in
        a column ``must_pass`` may not score less than with the old prompt.
    margin
        The loss of score that is accepted, from 0 up to 1.

    Raises
    ------
    InputError
        If the files are not two exports of one task, or the rows cannot be used.
    BackendError
        If the model cannot be loaded or does not answer, or no row has a score of both prompts.
    """
    if not 0 <= margin < 1:
        raise InputError(f"`margin`: expected a number from 0 up to 1, found {margin}")
    paths = [str(new), str(against)]
    exports = [load_prompt(path) for path in paths]
    _of_one_task(exports, paths)
    scored = _scored(exports, paths[0], data)
    ours, theirs = (one.values for one in scored.answers)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    if not pairs:
        raise BackendError(f"{data}: no row has a score of both prompts")
    new_prompt, old_prompt = (
        GatedPrompt(path, one.document["trial"], tokens, fmean(values), *mean_interval(values))
        for path, one, tokens, values in zip(
            paths, exports, scored.tokens, zip(*pairs, strict=True), strict=True
        )
    )
    differences = [a - b for a, b in pairs]
    low, high = difference_interval(differences, _BOTH_ENDS)
    lost, unscored = _lost(scored), len(scored.rows) - len(pairs)
    verdict, reason, needed = judge(
        differences, margin, sum(row.must_pass for row in lost), unscored
    )
    return GateResult(
        verdict=verdict,
        reason=reason,
        needed=needed,
        new=new_prompt,
        old=old_prompt,
        difference=fmean(differences),
        low=low,
        high=high,
        margin=margin,
        n=len(pairs),
        unscored=unscored,
        lost=lost,
        won=sum(one > 0 for one in differences),
        model=scored.model,
        notes=scored.notes,
    )


def judge(
    differences: Sequence[float], margin: float, must_pass_lost: int = 0, unscored: int = 0
) -> tuple[Verdict, str, int | None]:
    """Return the verdict, why, and about how many rows would tell where these cannot.

    Parameters
    ----------
    differences
        The new prompt's score less the old one's, of each row.
    margin
        The loss that is accepted.
    must_pass_lost
        How many rows that must pass score less.
    unscored
        How many rows have no score of both prompts.
    """
    n = len(differences)
    low, high = difference_interval(differences, _BOTH_ENDS)
    if must_pass_lost:
        rows = "row that must pass scores" if must_pass_lost == 1 else "rows that must pass score"
        return "fail", f"{must_pass_lost} {rows} less than before", None
    if unscored > _MOST_UNSCORED * (n + unscored):
        return "undecided", f"{unscored} of {n + unscored} rows have no score of both prompts", None
    if n < _FEWEST:
        return "undecided", f"too few rows: expected at least {_FEWEST}, found {n}", _FEWEST
    size = f"{100 * margin:g}"
    points = f"{size} point{'' if size == '1' else 's'}"
    if low >= -margin:
        return "pass", f"not worse by more than {points} (95 % certain)", None
    if high < -margin:
        return "fail", f"worse by more than {points} (95 % certain)", None
    needed = math.ceil(min(examples_to_tell(differences, -margin, _BOTH_ENDS), _MOST_NEEDED + 1))
    if needed > _MOST_NEEDED:
        how_many = "a million would not either"
    else:
        how_many = f"about {needed:,} would, if the difference stays as it is"
    reason = f"{n} rows cannot tell whether it is worse by more than {points}: {how_many}"
    return "undecided", reason, needed if needed <= _MOST_NEEDED else None


def _of_one_task(exports: Sequence[ExportedPrompt], paths: Sequence[str | Path]) -> None:
    new, old = exports
    for what, ours, theirs in (
        ("input fields", new.input_fields, old.input_fields),
        ("labels", new.labels, old.labels),
        ("scorer", (new.document["scorer"],), (old.document["scorer"],)),
    ):
        if set(ours) != set(theirs):
            raise InputError(
                f"{paths[0]} and {paths[1]}: expected prompts of one task, found the {what} "
                f"{', '.join(ours) or 'none'} and {', '.join(theirs) or 'none'}"
            )


def _scored(exports: Sequence[ExportedPrompt], path: str, data: str) -> _Scored:
    notes: list[str] = []
    new, old = exports
    try:
        evaluator = _evaluator(path, new, data, notes.append)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: {NOT_AN_EXPORT}, but it lacks {error}") from None
    try:
        rows = _unshown(exports, evaluator.task.dev, notes.append)
        given = [answers(evaluator, one.prompt, one.offsets, rows) for one in exports]
        tokens = [evaluator.tokens.of_prompt(one.prompt) for one in exports]
    finally:
        evaluator.backend.close()
    model = evaluator.backend.model
    if old.document["model"]["model"] != model:
        notes.append(f"both prompts are scored by {model}")
    return _Scored(rows, given, tokens, model, (*notes, *evaluator.task.notes))


def _evaluator(path: str, new: ExportedPrompt, data: str, tell: Tell) -> Evaluator:
    """Return what scores prompts on new rows as the new prompt's search did.

    It needs none of the search's own rows, which a machine that runs checks may not have.
    """
    document = new.document
    model, target = document["model"], document["target_field"]
    if _NOT_HELD in document["scorer"]:
        raise InputError(f"{path}: no export holds what the scorer {_NOT_HELD} needs")
    load = document["data"]["load"]
    if secret := secret_left_out(load):
        raise InputError(f"{path}: it does not contain the secret in {secret}; write it there")
    places = Places(Path(path), load.get("folder"), frozenset(load.get("local", ())))
    load = places.models(load)
    reply: dict[str, Any] = document["reply"] or {}
    task = Task(
        name=document["task"],
        source=data,
        start=new.prompt,
        input_fields=new.input_fields,
        target_field=target,
        labels=new.labels,
        train=(),
        dev=read_new_rows(data, new.input_fields, target, new.labels, tell),
        test=(),
        scorer=places.scorer(document["scorer"]),
        max_tokens=answer_tokens(new.prompt.structure, reply.get("max_tokens", 1)),
        stop=tuple(reply.get("stop", ())),
        answers=document.get("answers_by", "likelihood" if new.labels else None),
    )
    judging = make_judge(task, load, model["backend"])
    evaluator = make_evaluator(
        task,
        model=load["model"],
        backend=model["backend"],
        backend_options=load["backend_options"],
        judge=judging,
    )
    keep_day(model.get("date"), evaluator.backend, judging)
    return evaluator


def _unshown(
    exports: Sequence[ExportedPrompt], rows: Sequence[Example], tell: Tell
) -> tuple[Example, ...]:
    """Return the rows that neither prompt shows as an example."""
    shown = {example.id for one in exports for example in one.prompt.demonstrations}
    kept = tuple(row for row in rows if row.id not in shown)
    if not kept:
        raise InputError("the prompts show every row as an example; give rows that are new to both")
    if len(kept) < len(rows):
        tell(f"{len(rows) - len(kept)} rows left out that a prompt shows as examples")
    return kept


def _lost(scored: _Scored) -> tuple[LostRow, ...]:
    """Return the rows that score less with the new prompt, those that must pass first."""
    new, old = scored.answers
    found = [
        LostRow(row.inputs, row.target, new.texts[i], old.texts[i], must_pass(row))
        for i, row in enumerate(scored.rows)
        if _below(new.values[i], old.values[i])
    ]
    return tuple(sorted(found, key=lambda one: not one.must_pass))


def _below(ours: float | None, theirs: float | None) -> bool:
    return theirs is not None and (0.0 if ours is None else ours) < theirs
