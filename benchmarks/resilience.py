"""kill -9 and two workers: nothing lost, nothing scored twice, the same front.

What: a search on real reviews is run undisturbed; the same search is killed with SIGKILL at random
moments and started again each time; and two workers run it at once. Why: a search is hours of GPU
time, and "resume" is a claim that only killing proves.

    python benchmarks/resilience.py --kills 10 --budget 50

The last line of stdout is one JSON object; exit code 1 if any promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from promptfront.search import load_task

CLI = [sys.executable, "-m", "promptfront.search.cli"]


def write_reviews(folder: Path) -> None:
    """Write 260 real reviews, so that a search takes a minute or two."""
    rows = load_task("sentiment").train[:260]
    lines = [json.dumps({"text": row.inputs[0][1], "sentiment": row.target}) for row in rows]
    (folder / "reviews.jsonl").write_text("\n".join(lines), encoding="utf-8")


def command(storage: str, budget: int) -> list[str]:
    """Return the search's command line."""
    return [
        *CLI,
        "--data",
        "reviews.jsonl",
        "--budget",
        str(budget),
        "--seed",
        "0",
        "--storage",
        f"sqlite:///{storage}",
    ]


def rows_of(database: Path, table: str) -> set[tuple[object, ...]]:
    """Return a table's rows; none before it is made."""
    keys = {"trials": "number, state", "promptfront_scores": "key, outputs"}[table]
    where = " where state in ('COMPLETE', 'PRUNED', 'FAIL')" if table == "trials" else ""
    try:
        return set(sqlite3.connect(database).execute(f"select {keys} from {table}{where}"))  # noqa: S608 (fixed names)
    except sqlite3.OperationalError:
        return set()


def front(folder: Path, storage: str) -> str:
    """Return what `optimize frontier --json` prints."""
    done = subprocess.run(
        [*CLI, "frontier", "--json", "--storage", f"sqlite:///{storage}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def search_with_kills(folder: Path, kills: int, budget: int, seconds: float) -> tuple[int, bool]:
    """Kill the search at random moments.

    Return the kills and whether no finished trial was lost.
    """
    rng, killed, kept = random.Random(0), 0, True
    while killed < kills:
        process = subprocess.Popen(
            command("wild.db", budget),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=rng.uniform(1, seconds))
            break
        except subprocess.TimeoutExpired:
            before = rows_of(folder / "wild.db", "trials")
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kept = kept and before <= rows_of(folder / "wild.db", "trials")
            killed += 1
            print(f"kill {killed}: {len(before)} finished trials, all there: {kept}", flush=True)
    subprocess.run(command("wild.db", budget), cwd=folder, capture_output=True, check=True)
    return killed, kept


def two_workers(folder: Path, budget: int) -> dict[str, object]:
    """Run two workers at once and return what they left."""
    both = [
        subprocess.Popen(
            command("two.db", budget),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    numbers = [number for number, _ in rows_of(folder / "two.db", "trials")]
    return {
        "exit codes": [process.returncode for process in both],
        "trials": len(numbers),
        "trials once each": len(set(numbers)) == len(numbers) == budget,
        "database is locked": any("locked" in error for error in errors),
    }


def main() -> int:
    """Run the three searches and compare them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--budget", type=int, default=50)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    write_reviews(folder)
    started = time.perf_counter()
    subprocess.run(command("calm.db", options.budget), cwd=folder, capture_output=True, check=True)
    calm_seconds = time.perf_counter() - started
    print(f"undisturbed: {calm_seconds:.0f} s", flush=True)
    killed, kept = search_with_kills(folder, options.kills, options.budget, 8 + calm_seconds / 4)
    calm, wild = (rows_of(folder / name, "promptfront_scores") for name in ("calm.db", "wild.db"))
    result: dict[str, object] = {
        "benchmark": "resilience",
        "budget": options.budget,
        "undisturbed seconds": round(calm_seconds, 1),
        "kills": killed,
        "finished trials kept": kept,
        "same front": front(folder, "calm.db") == front(folder, "wild.db"),
        "scores": len(calm),
        "same scores, bit for bit": calm == wild,
        "two workers": two_workers(folder, options.budget),
    }
    print(json.dumps(result))
    workers = result["two workers"]
    sound = (
        isinstance(workers, dict)
        and workers["exit codes"] == [0, 0]
        and workers["trials once each"]
    )
    return 0 if kept and sound and result["same front"] and len(calm) == len(wild) else 1


if __name__ == "__main__":
    raise SystemExit(main())
