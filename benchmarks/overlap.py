"""A slow proposer behind a server: what a search gains by going on while it writes.

What: seconds of the same search with a proposer that takes no time, one that takes two seconds a
call and is waited for, and one that takes as long but writes while the model scores. Why: a strong
writer behind an API takes seconds a call, and a machine that waits for it is paid for nothing.

    python benchmarks/overlap.py --repeats 3

The model is the default one, on reviews; the server is a real one on this machine that says one of
a few sentences. A candidate that was written while the model scored is tried one batch later, so
the searches are not the same: evaluations are told too, and seconds for a hundred of them. The last
line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING, ClassVar
from unittest.mock import patch

from promptfront.search import load_task, optimize
from promptfront.search.assembly import make_backend

if TYPE_CHECKING:
    from promptfront.search.contracts import Backend, Task

SAID = (
    "Say whether this review of a film is negative or positive.",
    "Is the writer of the review negative or positive about the film?",
    "Label the review: negative or positive.",
    "Read the review and decide: positive or negative.",
    "Does the review praise the film (positive) or not (negative)?",
    "Decide whether the opinion about the film is positive or negative.",
)
ROWS = 100, 30
"""Of train and dev."""


class Writer(BaseHTTPRequestHandler):
    """A chat server whose model takes its time."""

    protocol_version = "HTTP/1.1"
    seconds: ClassVar[float] = 0.0
    calls: ClassVar[int] = 0

    def do_GET(self) -> None:
        """List the model."""
        self._answer({"object": "list", "data": [{"id": "writer", "object": "model"}]})

    def do_POST(self) -> None:
        """Write one of the sentences."""
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.seconds)
        Writer.calls += 1
        content = SAID[Writer.calls % len(SAID)]
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self._answer({"id": "1", "object": "chat.completion", "choices": [choice]})

    def _answer(self, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def search(
    task: Task, backend: Backend, budget: int, address: str, *, waits: bool
) -> tuple[float, int]:
    """Return the seconds and evaluations of a search; ``waits`` has it wait for each reply."""
    at_once = patch("promptfront.search.contexts.answered", lambda call: call())
    with tempfile.TemporaryDirectory() as folder, at_once if waits else nullcontext():
        started = time.monotonic()
        front = optimize(
            task,
            backend=backend,
            proposer_backend="openai",
            proposer_options={"base_url": address},
            budget=budget,
            storage=f"sqlite:///{folder}/a.db",
        )
        return time.monotonic() - started, front.evaluations


def main() -> None:
    """Run the three searches, in turns, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=int, default=41)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a call")
    given = parser.parse_args()
    task = load_task("sentiment")
    task = replace(task, train=task.train[: ROWS[0]], dev=task.dev[: ROWS[1]], test=())
    backend = make_backend("hf", None, {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Writer)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    arms = {
        "at once": (0.0, True),
        "waited for": (given.seconds, True),
        "meanwhile": (given.seconds, False),
    }
    took: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(given.repeats):
        for name, (seconds, waits) in arms.items():
            Writer.seconds, Writer.calls = seconds, 0
            elapsed, evaluations = search(task, backend, given.budget, address, waits=waits)
            per_hundred = 100 * elapsed / evaluations
            took[name].append(per_hundred)
            print(
                f"{name}: {elapsed:.1f} s, {evaluations} evaluations, {Writer.calls} calls, "
                f"{per_hundred:.2f} s per 100 evaluations",
                flush=True,
            )
    medians = {name: median(of) for name, of in took.items()}
    ratio = medians["meanwhile"] / medians["waited for"]
    print(json.dumps({"benchmark": "overlap", "seconds_per_100": medians, "ratio": ratio}))


if __name__ == "__main__":
    main()
