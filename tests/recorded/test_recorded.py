"""What a change of structure must leave as it is."""

from __future__ import annotations

import json

import pytest

from tests.recorded.runs import RUNS, arithmetic, observe, path


@pytest.mark.recorded
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", RUNS)
def test_a_run_on_a_fixed_seed_is_as_recorded(name: str) -> None:
    """Scores, trials, front and export are those recorded, killed on the way or not."""
    expected = json.loads(path(name).read_text(encoding="utf-8"))
    if expected["arithmetic"] != arithmetic():
        pytest.skip(
            "recorded on a processor that rounds otherwise; record it here before the change"
        )
    found = observe(RUNS[name])
    assert expected == json.loads(json.dumps(found))
