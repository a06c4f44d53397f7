"""Made-up records of a search."""

from __future__ import annotations

from typing import Any

from promptfront.search.contracts import Prompt
from promptfront.search.records.config import Identity, Sizes, StudyConfig
from promptfront.search.records.results import Entry
from promptfront.search.records.trials import Interval, Trial


def trial(number: int, prompt: Prompt, score: float, tokens: int, **fields: Any) -> Trial:
    """Return a trial with one score for dev mean and estimate: complete unless it was stopped."""
    told: dict[str, Any] = {"interval": Interval(score - 0.1, score + 0.1, 40)} | fields
    return Trial(prompt, number=number, dev_mean=score, estimate=score, tokens=tokens, **told)


def entry(number: int, prompt: Prompt, score: float, tokens: int, **fields: Any) -> Entry:
    """Return a fully evaluated prompt without evidence on other rows."""
    return Entry(trial(number, prompt, score, tokens, **fields))


def identity(**changed: Any) -> Identity:
    """Return what a made-up study must agree with."""
    values: dict[str, Any] = {
        "task": "t",
        "data": "h",
        "starting_prompt": {},
        "first_instructions": [],
        "constraints": [],
        "labels": ["negative", "positive"],
        "scorer": "labels",
        "model": "f",
        "seed": 0,
        "sampler": "tpe",
        "mutators": [],
        "without": [],
        "max_demonstrations": None,
        "reply": None,
    }
    return Identity(**values | changed)


def config(dev: int = 40, test: int = 50, **changed: Any) -> StudyConfig:
    """Return a made-up study's configuration."""
    values: dict[str, Any] = {
        "task": "t",
        "model": "m",
        "proposer": "m",
        "backend": "hf",
        "seed": 0,
        "source": "s",
        "revision": "r",
        "fingerprint": "f",
        "scoring": "z",
        "input_fields": ["text"],
        "target_field": "mood",
        "labels": ["negative", "positive"],
        "scorer": "labels",
        "reply": None,
        "sizes": Sizes(5, dev, test),
        "data_hash": "h",
        "load": {},
        "versions": {},
        "started": 0.0,
        "identity": identity(),
    }
    return StudyConfig(**values | changed)
