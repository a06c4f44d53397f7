"""`compare`: studies of one task side by side, and their best prompts on each other's model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .errors import InputError, flaw
from .evaluation.holdout import held_out
from .evaluation.statistics import mean_interval, paired, paired_p_value, scored
from .export.reopened import reopened
from .options import DEFAULT_STORAGE
from .prompts.render import prompt_to_dict
from .records.comparison import Comparison, CrossScore
from .storage.database import Store
from .storage.study import Study

if TYPE_CHECKING:
    from .contracts import Prompt
    from .evaluation.evaluator import Evaluator
    from .records.results import Entry, Frontier

_LEAST = 2


def compare(
    studies: Sequence[str], storage: str = DEFAULT_STORAGE, *, cross: bool = False
) -> Comparison:
    """Return studies of the same rows side by side.

    Parameters
    ----------
    studies
        Names of the studies; they may differ in model, seed or options.
    storage
        The database URL.
    cross
        Whether each study's model also scores the best prompts of the others on the test rows. It
        shows whether one prompt works for all models. The scores are stored.

    Raises
    ------
    InputError
        If there are fewer than two studies, one does not exist, or their rows differ.
    BackendError
        If a model cannot be loaded or does not answer.
    """
    if len({*studies}) < _LEAST:
        raise InputError(f"`compare`: expected two different studies, found {', '.join(studies)}")
    store = Store(storage, create=False)
    held = [Study(store, name) for name in dict.fromkeys(studies)]
    first = held[0].config
    for one in held[1:]:
        if (one.config.data_hash, one.config.labels) != (first.data_hash, first.labels):
            raise InputError(
                f"`compare`: expected studies of the same rows and labels, but {one.name!r} and "
                f"{held[0].name!r} have different ones"
            )
    frontiers = tuple(one.frontier() for one in held)
    if not cross:
        return Comparison(frontiers)
    if not first.sizes.test:
        raise InputError(
            "`cross`: expected studies with test rows, but these have none; leave `cross` out"
        )
    return Comparison(frontiers, tuple(_crossed(one, frontiers) for one in held))


def _crossed(held: Study, frontiers: Sequence[Frontier]) -> tuple[CrossScore | None, ...]:
    """Return what the study's model scores with the best prompt of each of the others."""
    own = next(one for one in frontiers if one.study == held.name)
    prompts = [one.best.prompt for one in frontiers]
    text = json.dumps([prompt_to_dict(one) for one in (own.best.prompt, *prompts)])
    name = hashlib.sha256(text.encode()).hexdigest()[:12]

    def work() -> dict[str, Any]:
        evaluator = reopened(held)
        try:
            scores = [_score(evaluator, own.best, prompt) for prompt in prompts]
        finally:
            evaluator.backend.close()
        return {"scores": [one and asdict(one) for one in scores]}

    with held.batches.heartbeat():
        held.batches.once("cross", name, work)
    done = next(one for one in held.batches.of("cross") if one.name == name)
    scores = [CrossScore(**one) if one else None for one in done.payload["scores"]]
    return tuple(
        None if frontier.study == held.name else score
        for frontier, score in zip(frontiers, scores, strict=True)
    )


def _score(evaluator: Evaluator, own: Entry, prompt: Prompt) -> CrossScore | None:
    """Return the score of another prompt; None where it cannot be scored, or no row is."""
    if flaw(lambda: evaluator.check(prompt)):
        return None
    rows = evaluator.task.test
    ours = held_out(evaluator, own.prompt, own.trial.offsets, rows).values
    values = held_out(evaluator, prompt, (), rows).values
    pairs, known = paired(values, ours), scored(values)
    if not pairs:
        return None
    gain = fmean(a - b for a, b in pairs)
    return CrossScore(fmean(known), *mean_interval(known), len(known), gain, paired_p_value(pairs))
