"""Servers on loopback that answer as real ones were seen to, by name, and as none should."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.backends.serving import Handler, running

Body = dict[str, Any]
Answer = tuple[int, Any]
"""A status, and JSON or bytes."""
Replies = Callable[[Body], Answer]


class Scripted(Handler):
    """Answers chat by a script, and says what it was asked."""

    script: Replies
    models: Answer = (200, {"object": "list", "data": [{"id": "nobody/modest-1"}]})
    headers_sent: dict[str, str] = {}  # noqa: RUF012 (one for each scenario's class)
    served = "/v1/chat/completions"
    asked: list[tuple[str, Body]]
    lock = threading.Lock()

    def do_GET(self) -> None:  # noqa: N802 (the library's name)
        """Answer with the list of models."""
        self._say(self.path, {}, self.models if self.path.startswith("/v1") else missing())

    def do_POST(self) -> None:  # noqa: N802 (the library's name)
        """Answer by the script."""
        body, chats = json.loads(self.body()), self.path.partition("?")[0].endswith(self.served)
        self._say(self.path, body, type(self).script(body) if chats else missing())

    def _say(self, path: str, body: Body, answer: Answer) -> None:
        with self.lock:
            self.asked.append((path, {**body, "authorization": self.headers.get("Authorization")}))
        status, value = answer
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send(status, content, self.headers_sent)


@contextmanager
def serving(script: Replies, **settings: Any) -> Iterator[tuple[str, list[tuple[str, Body]]]]:
    """Serve a script while the block runs; gives the address, and what is asked."""
    asked: list[tuple[str, Body]] = []
    members = {"script": staticmethod(script), "asked": asked, **settings}
    with running(type("Scenario", (Scripted,), members)) as server:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked


def chat(content: Any, finish: str = "stop", **message: Any) -> Answer:
    """Return a reply."""
    said = {"role": "assistant", "content": content, **message}
    return 200, {
        "choices": [{"index": 0, "finish_reason": finish, "message": said}],
        "usage": {"prompt_tokens": 5},
    }


def refusal(status: int, message: str, **more: Any) -> Answer:
    """Return an error as OpenAI words it."""
    return status, {"error": {"message": message, **more}}


def missing() -> Answer:
    """Return what a server says of a path that it does not have."""
    return 404, {"detail": "Not Found"}


def said(body: Body) -> str:
    """Return what the user says last."""
    return str(body["messages"][-1]["content"])


def gold(body: Body) -> str:
    """Return the right answer of the tests' rows."""
    return "yes" if "sunny" in said(body) else "no"


def without_logprobs(script: Replies) -> Replies:
    """Return a script that refuses to list tokens."""
    return lambda body: (
        refusal(400, "this model has no logprobs") if "logprobs" in body else script(body)
    )


def listing(pairs: Callable[[Body], dict[str, float]]) -> Replies:
    """Return a script that lists tokens and their probabilities, and writes nothing."""

    def answer(body: Body) -> Answer:
        if "logprobs" not in body:
            return chat("never mind")
        top = [{"token": token, "logprob": math.log(p)} for token, p in pairs(body).items()]
        status, value = chat(top[0]["token"], "length")
        value["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        return status, value

    return answer
