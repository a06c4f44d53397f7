"""Servers that answer in every form: a table, or one sentence."""

from __future__ import annotations

import itertools
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openai  # noqa: F401 (imported before anything is timed)
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptfront.backends.server import client, sender
from tests.backends.serving import Handler, running, url
from tests.fuzz.harness import few, folder, run
from tests.fuzz.oracle import numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fuzz.harness import Done

_SCALAR: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        -1,
        1.5,
        10**30,
        "",
        "good",
        " Good",
        "yes",
        "no",
        "x",
        [],
        {},
        [None],
        "\ud800",
        "\u0000",
        float("nan"),
        float("-inf"),
        -9999.0,
    ]
)
_NEAR = {
    "card": ["id", "object", "max_model_len"],
    "chat": ["choices", "usage", "id", "model", "error", "object"],
    "choice": ["message", "index", "logprobs", "finish_reason", "text"],
    "message": ["content", "role", "refusal", "reasoning_content", "tool_calls"],
    "entry": ["token", "logprob", "bytes", "top_logprobs"],
}
_REPLY = st.sampled_from([
    "good", "Good.", "bad", "The answer is good", "good or bad", "", " ",
    "I cannot help with that.", "<think>bad?</think> good", "**good**", "1", "\n",
    "good\n\nText: x", "{\"answer\": \"good\"}", "not good", "goodness",
])  # fmt: skip


@st.composite
def _damaged(draw: st.DrawFn, value: dict[str, Any], kind: str) -> Any:
    """Return an object, one of whose values may be missing or of any kind."""
    if draw(st.integers(0, 9)):
        return value
    name = draw(st.sampled_from(_NEAR[kind]))
    if draw(st.booleans()):
        return {key: item for key, item in value.items() if key != name}
    return value | {name: draw(_SCALAR)} if draw(st.integers(0, 5)) else draw(_SCALAR)


@st.composite
def _logprobs(draw: st.DrawFn) -> Any:
    tokens = draw(
        st.lists(
            st.sampled_from(
                ["good", " good", "Good", "g", "b", " bad", "bad", "", " ", "\n", "x", "1"]
            ),
            max_size=5,
        )
    )
    number = st.sampled_from([-0.1, -1.0, -5.0, 0.0, -100.0])
    listed = [
        draw(_damaged({"token": token, "logprob": draw(number), "bytes": None}, "entry"))
        for token in tokens
    ]
    first = draw(
        _damaged({"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": listed}, "entry")
    )
    forms = [
        {"content": [first]},
        {"content": [first]},
        {"content": [first]},
        {"content": []},
        {"content": None},
        {"top_logprobs": [dict.fromkeys(tokens, -1.0)]},
        None,
        {},
    ]
    return draw(st.sampled_from(forms))


@st.composite
def answers(draw: st.DrawFn) -> Any:
    """Return the body of an answer to a chat request: a value for JSON, or bytes."""
    content: Any = draw(_REPLY)
    content = draw(
        st.sampled_from([content, content, content, [{"type": "text", "text": content}], None])
    )
    message = draw(_damaged({"role": "assistant", "content": content}, "message"))
    choice: dict[str, Any] = {
        "index": 0,
        "message": message,
        "finish_reason": draw(st.sampled_from(["stop", "stop", "length", "content_filter", None])),
    }
    choice["logprobs"] = draw(_logprobs())
    choices = draw(st.sampled_from([1, 1, 1, 1, 0, 2])) * [draw(_damaged(choice, "choice"))]
    usage = draw(
        st.sampled_from(
            [
                {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
                None,
                {},
                {"prompt_tokens": "3"},
                {"prompt_tokens": None},
            ]
        )
    )
    whole = {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }
    return draw(_damaged(whole, "chat"))


_BODIES = [
    b"",
    b"<html><body>Sign in</body></html>",
    b"null",
    b"[]",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b"data: {}\n\n",
    b"OK",
    b'{"error": "no"}',
    b'{"error": {"message": null}}',
    b'{"detail": [{"msg": "x"}]}',
    b"[" * 2000,
]
_STATUS = [
    200,
    204,
    301,
    307,
    400,
    401,
    403,
    404,
    405,
    408,
    413,
    418,
    422,
    429,
    500,
    501,
    502,
    503,
    529,
    599,
]
_HEADERS = st.dictionaries(
    st.sampled_from(["Retry_After", "Content_Encoding", "Location", "X_Odd", "x_should_retry"]),
    st.sampled_from(
        [
            "0",
            "-1",
            "0.01",
            "never",
            "",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "1e400",
            "nan",
            "gzip",
            "/v1/models",
            "http://127.0.0.1:9/",
            "true",
        ]
    ),
    max_size=2,
)
_FILMS = itertools.count()
Answer = tuple[int, Any, dict[str, str]]
_MODELS: Answer = (200, {"object": "list", "data": [{"id": "m:1", "object": "model"}]}, {})
_WAYS = [
    "{}", "{}.", " {}\n", "**{}**", '"{}"', "`{}`", "The answer is {}.", "Label: {}",
    "<think>good, or is it bad?</think>\n\n{}",
    "It is {}!", "Answer: {}\n", "({})", "{}\n\nI hope that helps.", "{} film",
    "good or bad? Answer: {}",
]  # fmt: skip


def _chat(content: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}


@st.composite
def odd(draw: st.DrawFn) -> Answer:
    """Return an answer that is none: a status, a body and headers of any kind."""
    body = draw(
        st.sampled_from(_BODIES)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "choices", "data"]), _SCALAR, max_size=2
        )
    )
    return draw(st.sampled_from(_STATUS)), body, draw(_HEADERS)


@st.composite
def servers(draw: st.DrawFn) -> tuple[Answer, list[Answer]]:
    """Return what a server says of its models, and its answers to chat, which it gives by turns."""
    card = draw(_damaged({"id": "m:1", "object": "model", "max_model_len": 4096}, "card"))
    data = draw(st.sampled_from([*[[card]] * 12, [], None, {}, [card, card], [None], ["m:1"]]))
    models: Answer = (200, {"object": "list", "data": data}, {})
    models = draw(st.sampled_from([models] * 9 + [draw(odd())]))
    chat: list[Answer] = [(200, draw(answers()), {}) for _ in range(draw(st.integers(1, 4)))]
    if draw(st.integers(0, 2)) == 0:
        chat[draw(st.integers(0, len(chat) - 1))] = draw(odd())
    return models, chat


@contextmanager
def _serving(models: Answer, reply: Callable[[bytes], Answer]) -> Iterator[str]:
    class Odd(Handler):
        def do_GET(self) -> None:  # noqa: N802
            self.say(models)

        def do_POST(self) -> None:  # noqa: N802
            asked = self.body()
            self.say(
                reply(asked) if self.path.endswith("/chat/completions") else (404, b"not here", {})
            )

        def say(self, answer: Answer) -> None:
            status, body, headers = answer
            self.send(
                status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers
            )

    with running(Odd) as server:
        yield url(server)


def _search(kind: str, address: str, *words: str) -> Done:
    """Search with a server; nobody waits long, and no key is shown."""
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_PROBE_SECONDS", 0.05)
        patch.setattr(sender, "_FIRST_WAIT", 0.01)
        patch.setenv("OPENAI_API_KEY", "planted-secret")
        # another server may have had the same address, and its answers are kept
        film = f"film {next(_FILMS)}"
        rows = [{"text": numbered(i, film), "label": ("good", "bad")[i % 2]} for i in range(8)]
        (home / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
        server = ["--backend", "openai", "--base-url", address, "--retry-timeout", "0.2"]
        server += ["--backend-option", "concurrency=2"]
        done = run(kind, "--data", str(home / "data.jsonl"), *server, *words)
        assert "planted-secret" not in done.out + done.err
        return done


@few(40)
@given(
    said=servers(),
    model=st.sampled_from(["m:1", "m:1", None]),
    scorer=st.sampled_from([None, None, "exact-match"]),
)
@example((_MODELS, [(200, {"choices": [{"message": "good"}]}, {})]), "m:1", None)
@example((_MODELS, [(200, _chat("good") | {"usage": {"prompt_tokens": "3"}}, {})]), "m:1", None)
@example(((200, {"data": [None]}, {}), [(200, _chat("good"), {})]), None, None)
def test_servers(said: tuple[Answer, list[Answer]], model: str | None, scorer: str | None) -> None:
    """Whatever a server answers: a table, or one sentence."""
    models, chat = said
    turns = itertools.cycle(chat)
    with _serving(models, lambda _: next(turns)) as address:
        words = [*(["--model", model] if model else []), *(["--scorer", scorer] if scorer else [])]
        _search("servers", address, *words)


@few(20)
@given(
    form=st.sampled_from(_WAYS),
    parts=st.booleans(),
    case=st.sampled_from([str, str.upper, str.title]),
)
def test_right_answers_are_right(form: str, parts: bool, case: Callable[[str], str]) -> None:
    """A server that always gives the right answer, in whichever words, is right on every row."""

    def reply(asked: bytes) -> Answer:
        number = re.findall(rb"row(\d+)x", asked)
        content = form.format(case(("good", "bad")[int(number[-1]) % 2] if number else "yes"))
        return 200, _chat([{"type": "text", "text": content}] if parts else content), {}

    with _serving(_MODELS, reply) as address:
        done = _search("right servers", address)
        assert done.code == 0, done.err
        assert done.dev() == pytest.approx(1.0), done.err
