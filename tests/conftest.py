"""Fixtures shared by the suite: the real default model, and a small task on real data."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Task

try:
    importlib.util.find_spec("promptfront.search")
except ModuleNotFoundError:
    pytest.exit("promptfront is not importable: run `pip install -e .` in the repository root first", returncode=2)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: workers side by side, and what they start, have a core each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def backend() -> HFBackend:
    """Return the default model, obtained as a user obtains it."""
    from promptfront.backends.hf import HFBackend

    return HFBackend()


@pytest.fixture(scope="session")
def reviews() -> Task:
    """Return the built-in task, cut to a size that a test can score in seconds."""
    from promptfront.search.task import load_task

    task = load_task("sentiment")
    return replace(task, pool=task.pool[:60], dev=task.dev[:40], test=task.test[:30])
