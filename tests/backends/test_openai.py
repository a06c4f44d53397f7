"""The backend for OpenAI-compatible servers, over HTTP, against the same model in process."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.backends.openai import OpenAIBackend
from promptfront.search import optimize
from promptfront.search.contracts import LikelihoodRequest, Message, Unscored
from promptfront.search.errors import BackendError, InterruptedCallError
from tests.backends.serving import model_handler, proxy_handler, running, url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Backend, Task

_LABELS = (" good", " very negative", " very good")
_TEXTS = ["great fun", "a {x} mess {{y}}", "很好，推荐 🎬", "two\nlines", ""]
_REQUESTS = [
    LikelihoodRequest(f"Classify it.\n\nReview: {text}\nSentiment:", _LABELS) for text in _TEXTS
]
_CHAT = [
    LikelihoodRequest((Message("user", f"Is this good or bad? {text}"),), ("good", "bad"))
    for text in _TEXTS
]
_KEY = "sk-secret-5d1c0de"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", _KEY)
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # it read the environment when imported


@pytest.fixture
def address(backend: HFBackend) -> Iterator[str]:
    """Return a server that knows everything."""
    with running(model_handler(backend)) as server:
        yield url(server)


@pytest.fixture
def few(reviews: Task) -> Task:
    """Return a task that a server without batches answers in seconds."""
    return replace(reviews, train=reviews.train[:20], dev=reviews.dev[:10], test=reviews.test[:5])


def worst(found: list[Any], expected: list[Any]) -> float:
    """Return the largest difference between two sets of log-likelihoods."""
    return max(
        float(abs(a - b))
        for f, e in zip(found, expected, strict=True)
        for a, b in zip(f, e, strict=True)
    )


@pytest.mark.parametrize(
    ("abilities", "says"),
    [
        ({}, "log-probabilities of the asked tokens"),
        ({"asks": False}, "the 20 likeliest tokens, and an echo for others"),
        ({"asks": False, "echoes": False}, "the 20 likeliest tokens, and all for others"),
    ],
)
def test_completions_give_the_numbers_of_the_model(
    abilities: dict[str, bool], says: str, backend: HFBackend
) -> None:
    """Whatever a server offers, labels of any length come out exact, plain and as chat."""
    long = [
        LikelihoodRequest(
            "Tell me.", (" Once upon a time there was a small house at the edge of a wood.",)
        )
    ]
    with running(model_handler(backend, **abilities)) as server:
        remote = OpenAIBackend(base_url=url(server))
        assert says in remote.scoring
        asked = [*_REQUESTS, *_CHAT, *long] if len(abilities) < 2 else [*_REQUESTS[:2], *long]
        assert worst(remote.loglikelihoods(asked), backend.loglikelihoods(asked)) < 1e-3
        texts = [request.prompt for request in asked]
        assert remote.count_tokens(texts) == backend.count_tokens(texts)
        assert remote.truncate("A quiet film. 很好看", 3) == backend.truncate(
            "A quiet film. 很好看", 3
        )
        assert remote.loglikelihoods([]) == []


def test_chat_lists_likely_first_tokens(default_backend: HFBackend) -> None:
    """Without completions, the listed tokens stand for the answers.

    Near the exact numbers where they are listed.
    """
    with running(model_handler(default_backend, tokens=False)) as server:
        remote = OpenAIBackend(base_url=url(server))
        assert (
            "chat with log-probabilities of the 20 likeliest first tokens: approximate"
            in remote.scoring
        )
        request = LikelihoodRequest(
            (Message("user", "Is water wet? Answer Yes or No."),), ("Yes", "Zanzibar")
        )
        yes, other = remote.loglikelihoods([request])[0]  # type: ignore[misc]
        assert yes >= default_backend.loglikelihoods([request])[0][0] - 1e-3
        assert other < yes


def test_written_answers_are_the_last_resort(default_backend: HFBackend) -> None:
    """Without probabilities the answer that was written is taken, all or nothing."""
    with running(model_handler(default_backend, tokens=False, chat_logprobs=False)) as server:
        remote = OpenAIBackend(base_url=url(server))
        assert "all or nothing" in remote.scoring
        prompt = (Message("user", "Say hello."),)
        reply = remote.generate([prompt], max_tokens=8, temperature=0, seed=0)[0]
        word = str(reply).split()[0].strip("!,.")
        assert remote.loglikelihoods(
            [
                LikelihoodRequest(prompt, (word, "never")),
                LikelihoodRequest(prompt, ("never", "ever")),
            ]
        ) == [
            (0.0, -20.0),
            Unscored("no label"),
        ]


def test_a_bad_network_loses_nothing_and_counts_nothing_twice(backend: HFBackend) -> None:
    """80 requests, a third of which meet a fault of each kind.

    All answered, each counted once, none from an error.
    """
    asked = [
        LikelihoodRequest(f"Review: film number {i}\nSentiment:", (" good", " film"))
        for i in range(80)
    ]
    model = model_handler(backend)
    with running(model) as server:
        proxy = proxy_handler(server.server_port, share=0.33)
        with running(proxy) as bad:
            remote = OpenAIBackend(base_url=url(bad), concurrency=8, timeout=30)
            before = remote._client.usage.requests
            remote._path._together = 1  # type: ignore[attr-defined]
            found = remote.loglikelihoods(asked)
            used = remote._client.usage
    assert worst(found, backend.loglikelihoods(asked)) < 1e-3
    assert all(count > 0 for count in proxy.faults.values())  # type: ignore[attr-defined]
    assert used.requests - before == 80
    assert used.faults == sum(count for kind, count in proxy.faults.items() if kind != "delay")  # type: ignore[attr-defined]


def test_retry_after_is_obeyed(backend: HFBackend) -> None:
    """The server's wish is waited for, no less."""
    times: list[float] = []

    class Busy(model_handler(backend)):  # type: ignore[misc]
        def do_POST(self) -> Any:  # noqa: N802 (the library's name)
            times.append(time.monotonic())
            if len(times) == 1:
                self.body()
                return self.answer(429, {"error": {"message": "busy"}}, Retry_After="1.5")
            return super().do_POST()

    with running(Busy) as server:
        OpenAIBackend(base_url=url(server))
    assert times[1] - times[0] >= 1.5


def test_a_server_that_comes_back_is_waited_for(
    backend: HFBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The run says that it waits, and goes on."""
    with running(model_handler(backend)) as server:
        port = server.server_port
        remote = OpenAIBackend(base_url=url(server), retry_timeout=60)
    caplog.set_level(logging.INFO, "promptfront")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(remote.loglikelihoods(_REQUESTS)))
    thread.start()
    time.sleep(5)
    with running(model_handler(backend), port):
        thread.join(60)
    assert worst(found, backend.loglikelihoods(_REQUESTS)) < 1e-3
    assert "waiting up to 60 s for an answer" in caplog.text
    assert "answers again" in caplog.text


def test_a_server_that_stays_away_ends_the_run_and_keeps_what_it_gave(
    backend: HFBackend, few: Task, tmp_path: Path
) -> None:
    """What was answered is in the database, and the same call goes on from there."""
    storage = f"sqlite:///{tmp_path}/s.db"
    model = model_handler(backend)

    class Dying(model):  # type: ignore[valid-type, misc]
        def do_POST(self) -> Any:  # noqa: N802 (the library's name)
            if 4 <= model.served < 10**6:  # type: ignore[attr-defined]
                self.body()
                return self.answer(503, {"error": {"message": "going down"}})
            return super().do_POST()

    with running(Dying) as server:
        options: dict[str, Any] = {"base_url": url(server), "retry_timeout": 1.0}
        calls: dict[str, Any] = {
            "budget": 2,
            "backend": "openai",
            "backend_options": options,
            "storage": storage,
        }
        with pytest.raises(InterruptedCallError, match="no answer within"):
            optimize(few, **calls)
        served = model.served  # type: ignore[attr-defined]
        model.served = 10**6  # type: ignore[attr-defined]
        front = optimize(few, **calls)
        assert served >= 4
    assert front.best.test is not None


def test_the_cost_ends_the_run(address: str) -> None:
    """No request is sent once the dollars are spent; a limit needs a price."""
    remote = OpenAIBackend(base_url=address, price=(1000.0, 1000.0), max_cost=0.4, concurrency=1)
    remote._path._together = 1  # type: ignore[attr-defined]
    asked = [LikelihoodRequest(f"Review {i}: great fun\nSentiment:", (" good",)) for i in range(30)]
    with pytest.raises(
        InterruptedCallError,
        match=r"`max_cost`: this run may cost 0\.4 dollars and has cost 0\.\d+",
    ) as caught:
        remote.loglikelihoods(asked)
    assert 0.4 <= remote._client.cost < 0.45
    assert 10 < len(caught.value.answered) < 30
    with pytest.raises(BackendError, match="`max_cost`: expected `price` too"):
        OpenAIBackend(base_url=address, max_cost=1.0)


def test_the_key_appears_nowhere(
    backend: HFBackend,
    few: Task,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in the database, logs, output or errors, also where a server repeats it."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    model = model_handler(backend)

    class Curious(model):  # type: ignore[valid-type, misc]
        def do_POST(self) -> Any:  # noqa: N802 (the library's name)
            seen.append(self.headers["Authorization"])
            if model.served > 4:  # type: ignore[attr-defined]
                self.body()
                return self.answer(
                    401, {"error": {"message": f"Incorrect API key provided: {_KEY}"}}
                )
            return super().do_POST()

    with (
        running(Curious) as server,
        pytest.raises(BackendError, match=r"key provided: \*\*\*") as caught,
    ):
        optimize(
            few,
            budget=4,
            backend="openai",
            backend_options={"base_url": url(server)},
            storage=f"sqlite:///{tmp_path}/s.db",
        )
    assert f"Bearer {_KEY}" in seen
    printed = capfd.readouterr()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert _KEY.encode() not in written
    told = "".join(traceback.format_exception(caught.value))
    ours = [
        frame.f_locals
        for frame, _ in traceback.walk_tb(caught.tb)
        if "/backends/" in frame.f_code.co_filename
    ]
    assert _KEY not in caplog.text + printed.out + printed.err + told + repr(
        ours[1:]
    )  # the first is this test


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_url": "127.0.0.1:8000"}, "`base_url`: expected an address such as"),
        ({"base_url": "http://me:secret@127.0.0.1/v1"}, "expected an address without a password"),
        ({"base_url": "http://127.0.0.1:9/v1", "retry_timeout": 0.5}, "no answer within"),
        ({"price": (1.0,)}, "`price`: expected dollars per million prompt tokens"),
    ],
)
def test_servers_that_are_none_are_told(options: dict[str, Any], says: str) -> None:
    """One sentence each, without the secret."""
    with pytest.raises(BackendError, match=says) as caught:
        OpenAIBackend(**options)
    assert "secret" not in str(caught.value)


def test_what_is_served_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that the server lacks, a tokenizer that is none, and no key at all."""
    with pytest.raises(
        BackendError, match=r"`model` gpt-9: expected a model that http://127.* serves: .*llama"
    ):
        OpenAIBackend("gpt-9", base_url=address)
    with pytest.raises(BackendError, match="`tokenizer` nobody/nothing: expected the id or folder"):
        OpenAIBackend(base_url=address, tokenizer="nobody/nothing")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(BackendError, match="expected a key in OPENAI_API_KEY, or `base_url`"):
        OpenAIBackend()


def test_without_a_tokenizer_tokens_are_estimated(address: str) -> None:
    """Four bytes each, and a text is cut between characters."""
    remote = OpenAIBackend(base_url=address)
    remote._encoder = None
    assert remote.count_tokens(["12345678", "很好", (Message("user", "1234"),)]) == [2, 2, 1]
    assert remote.truncate("很好很好", 1) == "很"


def test_exports_say_how_scores_were_had(address: str, few: Task, tmp_path: Path) -> None:
    """The way is in the study, with the address and without the key."""
    from promptfront.search.api import export_prompt

    storage = f"sqlite:///{tmp_path}/s.db"
    optimize(
        few, budget=1, backend="openai", backend_options={"base_url": address}, storage=storage
    )
    document = json.dumps(export_prompt(storage)[0])
    assert "log-probabilities of the asked tokens" in document
    assert _KEY not in document


if TYPE_CHECKING:

    def _satisfies(backend: OpenAIBackend) -> Backend:
        return backend
