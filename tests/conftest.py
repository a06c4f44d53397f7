"""Fixtures shared by the suite.

Tiny models, the real default one, and a small task on real data.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Task

try:
    importlib.util.find_spec("promptfront.search")
except ModuleNotFoundError:
    pytest.exit(
        "promptfront is not importable: run `pip install -e .` in the repository root first",
        returncode=2,
    )

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: workers side by side, and what they start, have a core each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test with nothing hidden: what another has planted is masked in no message."""
    from promptfront.search import secrets

    monkeypatch.setattr(secrets, "_hidden", set())


@pytest.fixture(scope="session")
def backend(tiny: Callable[..., str]) -> HFBackend:
    """Return a tiny random model, for what does not depend on what a model knows."""
    from promptfront.backends.hf import HFBackend

    return HFBackend(tiny())


@pytest.fixture(scope="session")
def default_backend() -> HFBackend:
    """Return the default model, obtained as a user obtains it."""
    from promptfront.backends.hf import HFBackend

    return HFBackend()


@pytest.fixture(scope="session")
def reviews() -> Task:
    """Return the built-in task, cut to a size that a test can score in seconds."""
    from promptfront.search.data.load_task import load_task

    task = load_task("sentiment")
    return replace(task, train=task.train[:60], dev=task.dev[:40], test=task.test[:30])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return what makes a tiny random model, each once in a session, and returns its folder.

    See `tests.tiny.save_tiny`.
    """
    from tests.tiny import NO_SYSTEM, SYSTEM_LAST, byte_tokenizer, save_tiny

    made: dict[str, str] = {}
    templates = {"base": None, "gemma": NO_SYSTEM, "mistral": SYSTEM_LAST}

    def make(name: str = "llama") -> str:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            if name in templates:
                made[name] = save_tiny(folder, tokenizer=byte_tokenizer(templates[name]))
            else:
                made[name] = save_tiny(folder, name)
        return made[name]

    return make
