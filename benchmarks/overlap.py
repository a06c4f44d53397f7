"""A slow proposer behind a server: what a search gains by going on while it writes.

What: the seconds that a search stands still for a proposer that takes two seconds a call, where
each reply is waited for, and where it is written while the model scores; and the seconds of it all.
Why: a strong writer behind an API takes seconds a call, and a machine that waits for it is paid for
nothing.

    python benchmarks/overlap.py --repeats 3

The model is the default one, on reviews; the server is a real one on this machine that says one of
a few sentences. A candidate that was written while the model scored is tried one batch later, so
the searches are not the same: evaluations and calls are told too. The last line of stdout is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import Future
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from promptfront.search import load_task, optimize
from promptfront.search.assembly import make_backend

if TYPE_CHECKING:
    from collections.abc import Callable

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


class Timed(Future[Any]):
    """A reply that is to come, and the seconds that anyone waited for one."""

    waited: ClassVar[float] = 0.0

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (any reply)
        """Return the reply as soon as it is there."""
        started = time.monotonic()
        reply = super().result(timeout)
        Timed.waited += time.monotonic() - started
        return reply


def waited_for(call: Callable[[], Any]) -> Any:  # noqa: ANN401 (any reply)
    """Return what a call brings, as if nothing else could be done meanwhile."""
    reply = Timed()
    started = time.monotonic()
    reply.set_result(call())
    Timed.waited += time.monotonic() - started
    return reply.result()


def search(
    task: Task, backend: Backend, budget: int, address: str, *, waits: bool
) -> dict[str, float]:
    """Return what a search took; ``waits`` has it wait for each reply."""
    timed: Any = patch("promptfront.search.proposals.waiting.Future", Timed)
    if waits:
        timed = patch("promptfront.search.contexts.answered", waited_for)
    Timed.waited, Writer.calls = 0.0, 0
    with tempfile.TemporaryDirectory() as folder, timed:
        started = time.monotonic()
        front = optimize(
            task,
            backend=backend,
            proposer_backend="openai",
            proposer_options={"base_url": address},
            budget=budget,
            storage=f"sqlite:///{folder}/a.db",
        )
        seconds = time.monotonic() - started
    return {
        "seconds": round(seconds, 1),
        "stood_still": round(Timed.waited, 1),
        "evaluations": front.evaluations,
        "calls": Writer.calls,
    }


def main() -> None:
    """Run both searches, in turns, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--budget", type=int, default=33)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a call")
    given = parser.parse_args()
    task = load_task("sentiment")
    task = replace(task, train=task.train[: ROWS[0]], dev=task.dev[: ROWS[1]], test=())
    backend = make_backend("hf", None, {})
    Writer.seconds = given.seconds
    server = ThreadingHTTPServer(("127.0.0.1", 0), Writer)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    took: dict[str, list[dict[str, float]]] = {"waited for": [], "meanwhile": []}
    for _ in range(given.repeats):
        for name, runs in took.items():
            runs.append(search(task, backend, given.budget, address, waits=name == "waited for"))
            print(name, runs[-1], flush=True)
    shares = {
        name: round(median(run["stood_still"] / run["seconds"] for run in runs), 3)
        for name, runs in took.items()
    }
    print(json.dumps({"benchmark": "overlap", "stood_still": shares, "runs": took}))


if __name__ == "__main__":
    main()
