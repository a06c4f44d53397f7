"""What a search is about to spend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .budget import planned_evaluations
from .evaluation.holdout import confirmation_rows

if TYPE_CHECKING:
    from .contracts import Task
    from .evaluation.evaluator import Evaluator
    from .options import Limits
    from .storage.study import Study


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search is about to spend: shown before it begins.

    ``evaluations`` and ``tokens`` are estimates of what is left. ``reasons`` count the dev rows
    that the starting prompt left without a score, where an earlier run has scored it.
    """

    study: str
    task: Task
    model: str
    proposer: str
    backend: str
    scoring: str
    sampler: str
    budget: int
    done: int
    start_tokens: int
    evaluations: int
    tokens: int
    reasons: Mapping[str, int] = field(default_factory=dict)


def make_plan(evaluator: Evaluator, study: Study, limits: Limits) -> Plan:
    """Return what a search within these limits is about to spend."""
    task = evaluator.task
    if day := study.config.date:
        note = f"the chat template contains the date; this study always uses {day}"
        task = replace(task, notes=(*task.notes, note))
    done = study.tried()
    confirmation = len(confirmation_rows(task))
    evaluations = planned_evaluations(limits, done, len(task.dev), confirmation)
    start_tokens = evaluator.tokens.of_prompt(task.start)
    each = start_tokens + sum(evaluator.tokens.of_examples(task.dev)) / len(task.dev)
    return Plan(
        study=study.name,
        task=task,
        model=evaluator.backend.model,
        proposer=study.config.proposer,
        backend=study.config.backend,
        scoring=evaluator.backend.scoring,
        sampler=study.config.identity.sampler,
        budget=limits.budget,
        done=done,
        start_tokens=start_tokens,
        evaluations=evaluations,
        tokens=round(evaluations * each),
        reasons=next((entry.trial.reasons for entry in study.full()), {}),
    )
