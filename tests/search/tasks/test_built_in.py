"""Every built-in task.

Real rows, and a metric for which a gold answer is right and an empty one is not.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import fmean

import huggingface_hub.constants
import pytest

from promptfront.search.contracts import ReplyScorer, Task
from promptfront.search.data.load_task import load_task
from promptfront.search.plugins import available
from promptfront.search.scoring import load_scorer


class Hub(BaseHTTPRequestHandler):
    """Serves one data set as the Hugging Face hub does, with as many rows in each file."""

    def do_HEAD(self) -> None:
        """Answer what the hub's client asks first."""
        self._answer(send=False)

    def do_GET(self) -> None:
        """Answer with the file."""
        self._answer(send=True)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, *, send: bool) -> None:
        name = self.path.rpartition("/")[2]
        rows = [
            {
                "id": str(i),
                "title": f"Method {i} of {name}",
                "abstract": f"We compare {i} graphs.",
                "keyphrases": ["graphs", f"method {i}"],
            }
            for i in range(50)
        ]
        body = "\n".join(map(json.dumps, rows)).encode()
        self.send_response(200)
        for header, value in (
            ("ETag", f'"{name}"'),
            ("X-Repo-Commit", "0" * 40),
            ("Content-Length", str(len(body))),
        ):
            self.send_header(header, value)
        self.end_headers()
        if send:
            self.wfile.write(body)


@pytest.fixture(scope="module", autouse=True)
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    cache = str(tmp_path_factory.mktemp("hub"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", cache)
        yield
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", params=sorted(available("promptfront.tasks")))
def task(request: pytest.FixtureRequest) -> Task:
    """Return a task by its name."""
    return load_task(request.param)


def test_rows_are_clean_and_apart(task: Task) -> None:
    """No text is empty, and no input is in two splits."""
    rows = (*task.train, *task.dev, *task.test)
    assert min(len(task.train), len(task.dev), len(task.test)) >= 15
    assert all(
        text.strip() == text and text for row in rows for _, text in (*row.inputs, ("", row.target))
    )
    assert len({row.id for row in rows}) == len(rows)
    assert {tuple(name for name, _ in row.inputs) for row in rows} == {task.input_fields}
    assert len(task.start.structure.input_labels) == len(task.input_fields)
    assert all(row.target in task.labels for row in rows) or not task.labels


@pytest.mark.parametrize("programs", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_gold_is_one_and_nothing_is_zero(task: Task, programs: int) -> None:
    """Of a label task every label occurs; programs take their time, so that many are slow."""
    scorer = load_scorer(task.scorer)
    if not isinstance(scorer, ReplyScorer):
        assert {*task.labels} == {row.target for row in task.train}
        return
    rows = task.test[: programs if task.scorer == "tests" else 100]
    values = scorer.score_replies(rows, [row.target for row in rows])
    assert math.isclose(fmean(value or 0.0 for value in values), 1)
    assert {0.0} == {*scorer.score_replies(rows, [""] * len(rows))}
