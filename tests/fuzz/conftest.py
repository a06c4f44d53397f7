"""What makes fuzzing quick, and the counts at its end."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING

import datasets
import pytest

from promptfront.search import api, plugins
from promptfront.search.storage.database import Store
from tests.fuzz.harness import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Read the entry points once, and open the database once.

    Each input is a study of its own in it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTFRONT_DEBUG", "1")  # a fault of ours shows where it is
        patch.setattr(plugins, "entry_points", functools.cache(metadata.entry_points))
        patch.setattr(api, "Store", functools.cache(Store))
        patch.setattr(datasets, "load_dataset", _no_network)
        yield


def _no_network(*_: object, **__: object) -> None:
    raise ConnectionError("no data sets here")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs of each kind ended in which way."""
    for kind in sorted({kind for kind, _ in COUNTS}):
        ends = {end: count for (of, end), count in sorted(COUNTS.items()) if of == kind}
        told = ", ".join(f"{end}: {count}" for end, count in ends.items())
        terminalreporter.write_line(f"fuzzed {kind}: {sum(ends.values())} inputs, {told}")
