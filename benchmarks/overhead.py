"""What a search spends besides scoring and proposing, trial by trial.

What: seconds of CPU per trial outside the backend, on an SQLite file, for each thousand trials.
Why: a search that slows down with its history cannot run overnight. The backend here answers at
once with numbers drawn from a hash of the prompt: it stands for a model that costs nothing, so that
only the rest is measured.

    python benchmarks/overhead.py --trials 10000

The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise

from promptfront.search import optimize
from promptfront.search.contracts import Example, LikelihoodRequest, Prompt, Structure, Task, Text
from promptfront.search.loop import Progress

LABELS = "bad", "good"


class HashBackend:
    """Answers at once; its own time is counted, so that it can be taken off."""

    model = "hash"
    fingerprint = "hash"
    revision = ""
    scoring = "hash"
    max_context = 100_000
    writes = True

    def __init__(self) -> None:
        self.seconds = 0.0

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Return numbers that follow from the text."""
        started = time.process_time()
        digests = [hashlib.sha256(str(request.prompt).encode()).digest() for request in requests]
        answers = [
            tuple(-byte / 64 for byte in d[: len(r.continuations)])
            for d, r in zip(digests, requests, strict=True)
        ]
        self.seconds += time.process_time() - started
        return answers

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
        """Return nothing: a proposer without ideas."""
        return [""] * len(prompts)

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of words."""
        return [len(str(text).split()) for text in texts]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the first words."""
        return " ".join(text.split()[:max_tokens])

    def close(self) -> None:
        """Hold nothing."""


def make_task() -> Task:
    """Return a task of numbered rows."""
    rows = [
        Example((("text", f"row number {i} of the data"),), LABELS[i * i % 7 % 2])
        for i in range(500)
    ]
    start = Prompt("Classify the text as bad or good.", Structure(("Text",), "Label"))
    return Task(
        "rows",
        "numbers",
        start,
        ("text",),
        "label",
        LABELS,
        tuple(rows[:200]),
        tuple(rows[200:300]),
        tuple(rows[300:]),
    )


def main() -> None:
    """Run the search and print milliseconds per trial for each part of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    options = parser.parse_args()
    backend, marks = HashBackend(), [(0, time.process_time(), 0.0)]

    def mark(progress: Progress) -> None:
        if progress.trials >= marks[-1][0] + options.trials // 10:
            marks.append((progress.trials, time.process_time(), backend.seconds))

    with tempfile.TemporaryDirectory() as folder:
        optimize(
            make_task(),
            budget=options.trials,
            backend=backend,
            storage=f"sqlite:///{folder}/a.db",
            on_progress=mark,
        )
    parts = []
    for (trials, at, inside), (more, later, further) in pairwise(marks):
        milliseconds = 1000 * (later - at - further + inside) / (more - trials)
        parts.append({"trials": more, "milliseconds": round(milliseconds, 2)})
        print(f"up to {more:6} trials: {milliseconds:6.1f} ms of CPU per trial")
    print(json.dumps({"benchmark": "overhead", "parts": parts}))


if __name__ == "__main__":
    main()
