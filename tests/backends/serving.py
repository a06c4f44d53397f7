"""An OpenAI-compatible server around the default model, and a proxy that spoils its network."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from promptfront.backends.hf import HFBackend

FAULTS = ("drop", "429", "500", "error body", "cut body", "delay")
_LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """What server and proxy share: JSON in and out, and silence."""

    protocol_version = (
        "HTTP/1.0"  # a connection each: a server that is stopped serves nothing any more
    )
    timeout = 30

    def body(self) -> bytes:
        """Return the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, value: Any, **headers: str) -> None:
        """Answer with JSON."""
        self.send(status, json.dumps(value).encode(), headers)

    def send(
        self, status: int, content: bytes, headers: dict[str, str], length: int | None = None
    ) -> None:
        """Answer with bytes; ``length`` is what is claimed of them."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """Lets as many connections wait as clients open at once: of more, some would be reset."""

    request_queue_size = 128
    daemon_threads = True


@contextmanager
def running(handler: type[Handler], port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """Serve on loopback while the block runs."""
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def url(server: ThreadingHTTPServer) -> str:
    """Return a server's address."""
    return f"http://127.0.0.1:{server.server_port}/v1"


def model_handler(
    backend: HFBackend,
    *,
    asks: bool = True,
    echoes: bool = True,
    tokens: bool = True,
    chat_logprobs: bool = True,
) -> type[Handler]:
    """Return what serves a model.

    Parameters
    ----------
    backend
        The model.
    asks, echoes
        Whether completions know ``logprob_token_ids`` and ``echo``.
    tokens
        Whether there are completions at all.
    chat_logprobs
        Whether chat lists likely tokens.
    """
    tokenizer, model = backend._tokenizer, backend._model

    def logs(ids: list[int]) -> torch.Tensor:
        with _LOCK, torch.inference_mode():
            return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)

    def reply(text: str, request: dict[str, Any]) -> str:
        with _LOCK:
            return backend.generate(
                [text], max_tokens=request["max_tokens"], temperature=0, seed=0
            )[0]

    def completion(request: dict[str, Any], index: int, ids: list[int]) -> dict[str, Any]:
        if not request.get("logprobs"):
            text = reply(tokenizer.decode(ids), request)
            return {"index": index, "text": text, "logprobs": None, "finish_reason": "length"}
        found = logs(ids)
        if request.get("echo"):
            values = [
                None,
                *(float(found[i, token]) for i, token in enumerate(ids[1:])),
                float(found[-1].max()),
            ]
            return {
                "index": index,
                "text": "",
                "logprobs": {"token_logprobs": values},
                "finish_reason": "length",
            }
        wanted = (
            request.get("logprob_token_ids")
            if asks
            else found[-1].topk(request["logprobs"]).indices.tolist()
        )
        named = request.get("return_tokens_as_token_ids") and asks
        top = {
            f"token_id:{t}" if named else tokenizer.decode([t]): float(found[-1, t])
            for t in wanted or ()
        }
        return {
            "index": index,
            "text": "",
            "logprobs": {"top_logprobs": [top]},
            "finish_reason": "length",
        }

    class Model(Handler):
        served = 0

        def do_GET(self) -> None:
            self.answer(
                200,
                {
                    "object": "list",
                    "data": [{"id": model.name_or_path, "object": "model", "max_model_len": 4096}],
                },
            )

        def do_POST(self) -> None:
            request = json.loads(self.body())
            chat = self.path == "/v1/chat/completions"
            if (not chat and not tokens) or (request.get("echo") and not echoes):
                return self.answer(400, {"error": {"message": "not supported here"}})
            Model.served += 1
            return self.answer(200, self.chat(request) if chat else self.completions(request))

        def completions(self, request: dict[str, Any]) -> dict[str, Any]:
            prompts = (
                request["prompt"] if isinstance(request["prompt"][0], list) else [request["prompt"]]
            )
            choices = [completion(request, i, ids) for i, ids in enumerate(prompts)]
            usage = {
                "prompt_tokens": sum(map(len, prompts)),
                "completion_tokens": len(prompts),
                "total_tokens": 0,
            }
            # The order of choices is nobody's promise.
            return {
                "id": "x",
                "object": "text_completion",
                "model": "m",
                "created": 0,
                "choices": choices[::-1],
                "usage": usage,
            }

        def chat(self, request: dict[str, Any]) -> dict[str, Any]:
            ids = tokenizer.apply_chat_template(request["messages"], add_generation_prompt=True)[
                "input_ids"
            ]
            choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
            text = tokenizer.decode(ids)
            if request.get("logprobs") and chat_logprobs:
                top = logs(ids)[-1].topk(request["top_logprobs"])
                pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
                listed = [
                    {"token": tokenizer.decode([t]), "logprob": v, "bytes": None} for t, v in pairs
                ]
                choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
                choice["message"] = {"role": "assistant", "content": listed[0]["token"]}
            else:
                choice["message"] = {"role": "assistant", "content": reply(text, request)}
            usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": 0}
            return {
                "id": "x",
                "object": "chat.completion",
                "model": "m",
                "created": 0,
                "choices": [choice],
                "usage": usage,
            }

    return Model


def proxy_handler(upstream: int, share: float, seed: int = 0) -> type[Handler]:
    """Return a proxy that spoils a share of what it passes on, in each of the ways of `FAULTS`."""
    rng = random.Random(seed)

    class Proxy(Handler):
        passed = 0
        faults: dict[str, int] = dict.fromkeys(FAULTS, 0)

        def do_GET(self) -> None:
            self.pass_on("GET")

        def do_POST(self) -> None:
            self.pass_on("POST")

        def pass_on(self, method: str) -> None:
            body = self.body()
            with _LOCK:
                fault = rng.choice(FAULTS) if rng.random() < share else ""
                if fault:
                    Proxy.faults[fault] += 1
            if fault == "drop":
                self.close_connection = True
                return None
            if fault == "429":
                return self.answer(429, {"error": {"message": "slow down"}}, Retry_After="0.1")
            if fault == "500":
                return self.answer(500, {"error": {"message": "out of order"}})
            if fault == "error body":
                return self.answer(200, {"error": {"message": "overloaded"}, "choices": None})
            if fault == "delay":
                time.sleep(0.5)
            connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=120)
            try:
                connection.request(method, self.path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                content = response.read()
            except OSError:
                self.close_connection = True
                return None
            finally:
                connection.close()
            if fault == "cut body":
                self.close_connection = True
                return self.send(200, content[: len(content) // 2], {}, length=len(content))
            with _LOCK:
                Proxy.passed += not fault
            return self.send(response.status, content, {})

    return Proxy
