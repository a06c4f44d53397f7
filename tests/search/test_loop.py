"""The loop on the real model: resume after kill -9, two workers, limits, and what the study holds."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest

DATA = [
    f"{word} film number {i}"
    for i in range(6)
    for word in ("a great", "a terrible", "a lovely", "a boring")
]
OPTIMIZE = [sys.executable, "-m", "promptfront.search.cli"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write a small task whose pairs are scored in seconds, and return its folder."""
    lines = [
        json.dumps(
            {"text": t, "label": "positive" if ("great" in t or "lovely" in t) else "negative"}
        )
        for t in DATA
    ]
    (tmp_path / "films.jsonl").write_text("\n".join(lines))
    return tmp_path


def command(*more: str) -> list[str]:
    """Return a search over the small task, without the mutator that scores most."""
    search = [*OPTIMIZE, "--data", "films.jsonl", "--budget", "14", "--seed", "5"]
    return [*search, "--without", "debias-demonstrations", *more]


def run(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and check its exit code."""
    done = subprocess.run(list(words), cwd=folder, capture_output=True, text=True, check=False)
    assert code == done.returncode, done.stderr
    return done


def front(folder: Path, storage: str) -> dict[str, Any]:
    """Return the front as `optimize frontier --json` prints it."""
    done = run(folder, *OPTIMIZE, "frontier", "--storage", storage, "--json")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_killed_run_goes_on_as_if_nothing_had_happened(data: Path) -> None:
    """After kill -9 at random moments the front is that of an undisturbed run, and nothing is scored twice."""
    run(data, *command("--storage", "sqlite:///calm.db"))
    rng, ends = random.Random(1), []
    for _ in range(3):
        scored = _rows(data / "wild.db", "promptfront_scores")
        process = subprocess.Popen(
            command("--storage", "sqlite:///wild.db"),
            cwd=data,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and scored == _rows(data / "wild.db", "promptfront_scores"):
            time.sleep(0.1)
        time.sleep(rng.uniform(0, 2))
        process.kill()
        ends.append(process.wait())
    run(data, *command("--storage", "sqlite:///wild.db"))
    assert -signal.SIGKILL in ends
    assert front(data, "sqlite:///calm.db") == front(data, "sqlite:///wild.db")
    assert _rows(data / "calm.db", "promptfront_scores") == _rows(
        data / "wild.db", "promptfront_scores"
    )


def test_two_workers_share_a_study(data: Path) -> None:
    """Two processes at once end with the budget's trials, each once, with no error and no lock."""
    both = [
        subprocess.Popen(
            command("--storage", "sqlite:///two.db"),
            cwd=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in both]
    assert [0, 0] == [process.returncode for process in both], outputs
    assert not any("locked" in err or "Traceback" in err for _, err in outputs)
    trials = optuna.load_study(study_name=None, storage=f"sqlite:///{data}/two.db").trials
    places = [
        (t.user_attrs["candidate"]["batch"], t.user_attrs["candidate"]["index"]) for t in trials
    ]
    assert 14 == len(places) == len(set(places))
    assert outputs[0][0] == outputs[1][0]
    assert outputs[0][0] == run(data, *command("--storage", "sqlite:///two.db")).stdout


def test_limits_end_a_search_and_a_larger_budget_continues_it(data: Path) -> None:
    """`--max-evaluations` stops in time; the next run goes on from there to its budget."""
    stopped = run(data, *command("--max-evaluations", "150", "--json"))
    found = json.loads(stopped.stdout.splitlines()[-1])
    assert found["evaluations"] <= 150
    assert found["trials"] < 14
    assert found["best"]["test"]["n"] > 0
    more = json.loads(run(data, *command("--json", "--budget", "15")).stdout.splitlines()[-1])
    assert (15, found["study"]) == (more["trials"], more["study"])


def test_ctrl_c_finishes_the_batch_and_shows_the_front(data: Path) -> None:
    """The first Ctrl-C ends the search with exit code 0 after the batch in flight; the study is whole."""
    process = subprocess.Popen(
        command("--storage", "sqlite:///c.db", "--budget", "400"),
        cwd=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None:
        time.sleep(1)
        if _rows(data / "c.db", "trials") > 1:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate()
    assert 0 == process.returncode, err
    assert "finishing the batch in flight" in err
    assert "start" in out
    assert "Traceback" not in err
    assert 1 == _rows(data / "c.db", "trials") % 8


def _rows(path: Path, table: str) -> int:
    count = f"select count(*) from {table}"  # noqa: S608 (tables named here)
    try:
        return int(sqlite3.connect(path).execute(count).fetchone()[0])
    except sqlite3.OperationalError:
        return 0
