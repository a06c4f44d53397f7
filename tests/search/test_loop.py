"""The loop in processes of its own.

Resume after kill -9, two workers, limits, and what the study holds.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from promptfront.search.cli.main import main
from tests.processes import Command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = [
    f"{word} film number {i}"
    for i in range(6)
    for word in ("a great", "a terrible", "a lovely", "a boring")
]


@pytest.fixture(params=["tiny", pytest.param("default", marks=pytest.mark.slow)])
def search(
    request: pytest.FixtureRequest, tiny: Callable[..., str], tmp_path: Path
) -> Callable[..., list[str]]:
    """Write a small task, and return what makes the words of a search over it.

    The mutator that scores most is left out. The model is a tiny one, and the default one where
    there is time.
    """
    lines = [
        json.dumps(
            {"text": t, "label": "positive" if ("great" in t or "lovely" in t) else "negative"}
        )
        for t in DATA
    ]
    (tmp_path / "films.jsonl").write_text("\n".join(lines))
    model = [] if request.param == "default" else ["--model", tiny()]
    words = ["--data", "films.jsonl", "--budget", "14", "--seed", "5", *model]
    return lambda *more: [*words, "--without", "debias-demonstrations", *more]


@pytest.fixture
def shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return what runs a command to its end in this process and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def show(*words: str) -> str:
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        assert 0 == code, printed.err
        return printed.out

    return show


def found(printed: str) -> dict[str, Any]:
    """Return what ``--json`` prints last."""
    last: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return last


def without_times(printed: str) -> str:
    """Return what is printed without the seconds that mutators took, which no two runs share."""
    values = found(printed)
    assert values.pop("mutator_seconds")
    lines = printed.splitlines()[:-1]
    first = next(i for i, line in enumerate(lines) if line.endswith("seconds"))
    table = lines[first : lines.index("", first)]
    lines[first : first + len(table)] = [line.rsplit(maxsplit=1)[0] for line in table]
    return "\n".join([*lines, json.dumps(values)])


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    search: Callable[..., list[str]], shown: Callable[..., str], tmp_path: Path
) -> None:
    """After kill -9 at random the front is an undisturbed run's, and nothing is scored twice."""
    calm, wild = ["--storage", "sqlite:///calm.db"], ["--storage", "sqlite:///wild.db"]
    shown(*search(*calm))
    whole = _rows(tmp_path / "calm.db", "promptfront_scores")
    rng, ends = random.Random(1), []
    for third in (1, 2):
        process = Command(tmp_path, *search(*wild))
        process.running_until(
            lambda third=third: (
                _rows(tmp_path / "wild.db", "promptfront_scores")  # type: ignore[misc]
                >= third * whole // 3
            )
        )
        time.sleep(rng.uniform(0, 0.1))
        process.signal(signal.SIGKILL)
        ends.append(process.wait()[0])
    shown(*search(*wild))
    assert [-signal.SIGKILL] * 2 == ends
    told = [shown("frontier", "--json", *words) for words in (calm, wild)]
    assert without_times(told[0]) == without_times(told[1])
    assert whole == _rows(tmp_path / "wild.db", "promptfront_scores")


def test_two_workers_share_a_study(
    search: Callable[..., list[str]], shown: Callable[..., str], tmp_path: Path
) -> None:
    """Two processes at once end with the budget's trials, each once, with no error and no lock."""
    storage = ["--storage", "sqlite:///two.db"]
    both = [Command(tmp_path, *search(*storage)) for _ in range(2)]
    ends = [process.wait() for process in both]
    assert [0, 0] == [code for code, _, _ in ends], ends
    assert not any("locked" in err or "Traceback" in err for _, _, err in ends)
    trials = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/two.db").trials
    candidates = [trial.user_attrs["candidate"] for trial in trials]
    places = [(one["batch"], one["index"]) for one in candidates if one["batch"].isdecimal()]
    assert 14 == len(places) == len(set(places))
    assert len(trials) - 14 <= 1  # what the best was made simpler to
    assert ends[0][1] == ends[1][1] == shown(*search(*storage))


def test_limits_end_a_search_and_a_larger_budget_continues_it(
    search: Callable[..., list[str]], shown: Callable[..., str]
) -> None:
    """`--max-evaluations` stops in time; the next run goes on from there to its budget."""
    stopped = found(shown(*search("--max-evaluations", "150", "--json")))
    assert stopped["evaluations"] <= 150
    assert stopped["trials"] < 14
    assert stopped["best"]["test"]["n"] > 0
    more = found(shown(*search("--json", "--budget", "15")))
    assert (15, stopped["study"]) == (more["trials"], more["study"])


def test_ctrl_c_finishes_the_batch_and_shows_the_front(
    search: Callable[..., list[str]], tmp_path: Path
) -> None:
    """The first Ctrl-C ends the search with exit code 0 after the batch in flight.

    The study is whole.
    """
    process = Command(tmp_path, *search("--storage", "sqlite:///c.db", "--budget", "400"))
    process.running_until(lambda: _rows(tmp_path / "c.db", "trials") > 1)
    process.signal(signal.SIGINT)
    code, out, err = process.wait()
    assert 0 == code, err
    assert "finishing the batch in flight" in err
    assert "start" in out
    assert "Traceback" not in err
    assert 1 == _rows(tmp_path / "c.db", "trials") % 8


def _rows(path: Path, table: str) -> int:
    """Count the rows of a table that another process may be writing to, or not have made yet."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as connection:
        try:
            count = f"select count(*) from {table}"  # noqa: S608 (tables named here)
            return int(connection.execute(count).fetchone()[0])
        except sqlite3.OperationalError:
            return 0
