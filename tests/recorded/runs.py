"""Runs on fixed seeds, and what must not change about them.

Scores, trials, front and export, byte for byte.

A change of structure leaves every file beside this one as it is; a change of a number writes them
anew, in a commit that says why:

    python -m tests.recorded.runs [NAME ...]

The bits of a sum depend on the processor, so a file also says on which arithmetic it was recorded.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
_SCORES_BEFORE_A_KILL = 400
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Sums are the same whatever else runs on the machine."""


@dataclass(frozen=True)
class Run:
    """One run of the command.

    Its options, what it needs in its folder, and how often it is killed on the way.
    """

    options: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda _: None
    kills: int = 0


def _reviews(folder: Path) -> None:
    """Write 30 rows of real reviews, too few to be split."""
    from promptfront.search import load_task

    _write(
        folder / "reviews.csv",
        [(row.inputs[0][1], row.target) for row in load_task("sentiment").dev[:30]],
    )


def _questions(folder: Path) -> None:
    """Write 160 questions on passages, to be answered in free text."""
    from promptfront.search import load_task

    lines = [
        json.dumps(dict(row.inputs) | {"answer": row.target}) for row in load_task("qa").dev[:160]
    ]
    (folder / "questions.jsonl").write_text("\n".join(lines), encoding="utf-8")


def _tiny(kind: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        from tests.tiny import save_tiny

        save_tiny(folder / "model", kind)
        rows = [
            (f"a {word} film number {i}", label)
            for i in range(90)
            for word, label in [_WORDS[i % 4]]
        ]
        _write(folder / "reviews.csv", rows)

    return prepare


_WORDS = (("warm", "good"), ("dull", "bad"), ("great", "good"), ("poor", "bad"))
_QUESTIONS = ("--data", "questions.jsonl", "--target-column", "answer", "--scorer", "token-f1")
_TINY = ("--data", "reviews.csv", "--model", "model", "--budget", "16")
RUNS = {
    "sentiment": Run(("--task", "sentiment", "--budget", "40"), kills=2),
    "free-text": Run((*_QUESTIONS, "--budget", "8"), _questions),
    "few-rows": Run(("--data", "reviews.csv", "--budget", "12"), _reviews),
    "masked": Run(_TINY, _tiny("bert")),
    "encoder-decoder": Run(_TINY, _tiny("t5")),
}


def _write(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def observe(run: Run) -> dict[str, Any]:
    """Run the command from nothing and return what must not change."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run.prepare(folder)
        search = ["run", *run.options, "--seed", "0", "--study", "recorded"]
        for kill in range(run.kills):
            _kill(search, folder, _SCORES_BEFORE_A_KILL * (kill + 1))
        _optimize(search, folder)
        frontier = json.loads(_optimize(["frontier", "--json"], folder).splitlines()[-1])
        frontier.pop("mutator_seconds")
        _optimize(["export", "-o", "best.json"], folder)
        document = json.loads((folder / "best.json").read_text(encoding="utf-8"))
        return {
            "arithmetic": arithmetic(),
            "frontier": frontier,
            "scores": _scores(folder),
            "trials": _trials(folder),
            "export": _export(document),
        }


def arithmetic() -> str:
    """Return a hash of the bits of some sums and products: equal where two machines round alike."""
    import torch

    torch.manual_seed(0)
    found = b""
    for shape in ((64, 576), (700, 192)):
        rows = torch.randn(shape)
        product = torch.softmax(rows @ torch.randn(shape[1], shape[1]), -1) @ rows.T[:, :1].expand(
            shape[1], 3
        )
        found += product.numpy().tobytes()
    return hashlib.sha256(found + torch.__version__.encode()).hexdigest()[:16]


def _command(words: list[str]) -> list[str]:
    return [str(Path(sys.executable).with_name("optimize")), *words]


def _optimize(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        _command(words),
        cwd=folder,
        env=os.environ | _ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"optimize {' '.join(words)}: exit code {done.returncode}\n{done.stderr}"
        )
    return done.stdout


def _kill(words: list[str], folder: Path, scores: int) -> None:
    """Start the command and kill it as soon as that many scores are stored."""
    process = subprocess.Popen(
        _command(words),
        cwd=folder,
        env=os.environ | _ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and _stored(folder) < scores:
        time.sleep(0.2)
    if process.poll() is not None:
        raise RuntimeError(f"optimize {' '.join(words)}: ended before it was killed")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _stored(folder: Path) -> int:
    try:
        return int(_query(folder, "SELECT count(*) FROM promptfront_scores")[0][0])
    except sqlite3.OperationalError:  # no database yet
        return 0


def _query(folder: Path, text: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(
        f"file:{folder / 'promptfront.db'}?mode=ro", uri=True, timeout=60
    ) as connection:
        return list(connection.execute(text))


def _scores(folder: Path) -> dict[str, Any]:
    """Return how many answers of the model are stored, and a hash of them all."""
    rows = sorted(_query(folder, "SELECT key, outputs FROM promptfront_scores"))
    return {"stored": len(rows), "hash": hashlib.sha256(json.dumps(rows).encode()).hexdigest()}


def _trials(folder: Path) -> list[dict[str, Any]]:
    """Return what the study says of every trial."""
    found: dict[int, dict[str, Any]] = {}
    for trial, number, state in _query(folder, "SELECT trial_id, number, state FROM trials"):
        found[trial] = {"number": number, "state": state}
    for trial, objective, value in _query(
        folder, "SELECT trial_id, objective, value FROM trial_values"
    ):
        found[trial][f"value {objective}"] = value
    for trial, key, value in _query(
        folder, "SELECT trial_id, key, value_json FROM trial_user_attributes"
    ):
        found[trial][key] = json.loads(value)
    for trial, name, value in _query(
        folder, "SELECT trial_id, param_name, param_value FROM trial_params"
    ):
        found[trial][f"allele {name}"] = value
    return sorted(found.values(), key=lambda trial: trial["number"])


def _export(document: dict[str, Any]) -> dict[str, Any]:
    """Return the exported file without what depends on the installation or the folder."""
    document["model"].pop("fingerprint")
    document["model"].pop("model")
    document["data"]["load"].pop("folder", None)
    document.pop("versions")
    return document


def path(name: str) -> Path:
    """Return where a run is recorded."""
    return HERE / f"{name}.json"


def main(names: list[str]) -> None:
    """Record runs, all by default."""
    for name in names or RUNS:
        started = time.monotonic()
        found = observe(RUNS[name])
        path(name).write_text(
            json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
        )
        print(f"{name}: {time.monotonic() - started:.0f} s")  # noqa: T201 (a script)


if __name__ == "__main__":
    main(sys.argv[1:])
