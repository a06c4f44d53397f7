"""vLLM in this process and its server over HTTP, against the Hugging Face backend.

The same model, the same numbers.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.backends.default_model import default_model_folder
from promptfront.backends.openai import OpenAIBackend
from promptfront.backends.vllm import VLLMBackend
from promptfront.search import load_task, optimize
from promptfront.search.cli.doctor import examine
from promptfront.search.contracts import Form, LikelihoodRequest, Message
from promptfront.search.errors import BackendError
from tests.backends.serving import proxy_handler, running, url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Backend, Task, Text

_INSTALLED = importlib.util.find_spec("vllm") is not None
needs_vllm = [
    pytest.mark.vllm,
    pytest.mark.skipif(not _INSTALLED, reason="needs vLLM, in an environment of its own"),
    pytest.mark.filterwarnings("default"),  # its own libraries deprecate one another
]
_ROWS = 100


@pytest.fixture(scope="module")
def backend(default_backend: HFBackend) -> HFBackend:
    """Return the model that vLLM runs, on the other backend."""
    return default_backend


_PATIENCE: dict[str, Any] = {"retry_timeout": 60.0}
"""A server that has ended is not waited for."""
_LABELS = (" positive", " negative")
_FORMS = {
    Form("choice", '["red", "blue"]'): "red|blue",
    Form("regex", "[0-9]{4}"): "[0-9]{4}",
    Form(
        "json",
        '{"type": "object", "required": ["n"], "properties": {"n": {"type": "boolean"}}, '
        '"additionalProperties": false}',
    ): r"\{\s*\"n\"\s*:\s*(true|false)\s*\}",
}
"""Forms, and what a reply of each matches."""
_GRADES = tuple(
    f" {degree} {label}"
    for label in ("negative", "positive")
    for degree in ("extremely", "very", "slightly")
)


@pytest.fixture(scope="module")
def in_process() -> Iterator[VLLMBackend]:
    """Return the default model in vLLM."""
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = "1"
    made = VLLMBackend(max_model_len=2048)
    yield made
    made.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return a real server of the default model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `vllm serve` runs; that command of the CPU build looks for a distribution of another name
    # and ends.
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(default_model_folder()),
    ]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"]
    command += ["--no-enable-chunked-prefill"]  # as `VLLMBackend` has it on a CPU, and why
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            time.sleep(1)
            assert server.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                continue
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return real reviews."""
    return [row.inputs[0][1] for row in load_task("sentiment").test[:_ROWS]]


def _served(address: str) -> OpenAIBackend:
    return OpenAIBackend(base_url=address, **_PATIENCE)


def requests(
    texts: Sequence[str], answers: tuple[str, ...], *, chat: bool
) -> list[LikelihoodRequest]:
    """Return a zero-shot prompt for each text."""
    asked = "Classify the sentiment of the movie review."
    if chat:
        return [
            LikelihoodRequest(
                (Message("user", f"{asked}\nReview: {t}"),), tuple(a.strip() for a in answers)
            )
            for t in texts
        ]
    return [LikelihoodRequest(f"{asked}\n\nReview: {text}\nSentiment:", answers) for text in texts]


def agree(found: Sequence[Any], expected: Sequence[Any]) -> None:
    """Check that numbers are within 2e-2 and the best label is the same for 99.5 %."""
    worst = max(
        abs(a - b) for f, e in zip(found, expected, strict=True) for a, b in zip(f, e, strict=True)
    )
    same = sum(
        f.index(max(f)) == e.index(max(e)) for f, e in zip(found, expected, strict=True)
    ) / len(found)
    assert worst < 2e-2
    assert same >= 0.995


class TestInProcess:
    """`VLLMBackend`."""

    pytestmark = needs_vllm

    @pytest.mark.parametrize("chat", [False, True])
    @pytest.mark.parametrize("answers", [_LABELS, _GRADES])
    def test_agrees(
        self,
        in_process: VLLMBackend,
        backend: HFBackend,
        texts: list[str],
        answers: tuple[str, ...],
        chat: bool,
    ) -> None:
        """Labels of one and several tokens, with and without chat template."""
        asked = requests(texts, answers, chat=chat)
        agree(in_process.loglikelihoods(asked), backend.loglikelihoods(asked))

    def test_older_ways_give_the_same(
        self, in_process: VLLMBackend, backend: HFBackend, texts: list[str]
    ) -> None:
        """Without ``logprob_token_ids``, or long, tokens are read off lists and prompts."""
        asked = requests(
            texts[:10],
            (*_GRADES, " unquestionably, and without any doubt at all, a great film"),
            chat=False,
        )
        in_process._reader._exact = False
        try:
            agree(in_process.loglikelihoods(asked), backend.loglikelihoods(asked))
        finally:
            in_process._reader._exact = True

    def test_generates(self, in_process: VLLMBackend) -> None:
        """Seeds are seeds, stop strings stop, and forms are kept to."""
        asked = [
            (Message("user", "Name a colour."),),
            (Message("user", "Write a line about rain."),),
        ]
        options: dict[str, Any] = {"max_tokens": 12, "temperature": 1.0}
        first = in_process.generate(asked, **options, seed=1)
        assert (
            first
            == in_process.generate(asked, **options, seed=1)
            != in_process.generate(asked, **options, seed=2)
        )
        greedy = in_process.generate(
            ["One, two, three, four,"], max_tokens=12, temperature=0, seed=0
        )[0]
        assert (
            in_process.generate(
                ["One, two, three, four,"], max_tokens=12, temperature=0, seed=0, stop=[","]
            )[0]
            == (greedy.split(",")[0])
        )
        for form, pattern in _FORMS.items():
            options |= {"max_tokens": 40}
            replies = in_process.generate(asked, **options, seed=0, form=form)
            assert all(re.fullmatch(pattern, reply.strip()) for reply in replies), replies

    def test_many_long_prompts_are_drawn_from_at_once(self, in_process: VLLMBackend) -> None:
        """More than one step of the engine holds, each with its seed."""
        asked = [f"{number}: " + "a quiet film, " * 300 for number in range(8)]
        drawn = in_process.generate(asked, max_tokens=4, temperature=1.0, seed=1)
        assert len(drawn) == len(asked)
        assert all(drawn)

    def test_counts_and_cuts_as_the_model_reads(
        self, in_process: VLLMBackend, backend: HFBackend
    ) -> None:
        """Token counts are those of the Hugging Face backend; what does not fit is a sentence."""
        some: list[Text] = ["A quiet film. 很好看 🎬", (Message("user", "Hi"),)]
        assert in_process.count_tokens(some) == backend.count_tokens(some)
        assert in_process.truncate("A quiet film. 很好看", 3) == backend.truncate(
            "A quiet film. 很好看", 3
        )
        with pytest.raises(
            BackendError, match=r"does not fit into the context of .* \(2047 tokens\)"
        ):
            in_process.loglikelihoods([LikelihoodRequest("word " * 3000, _LABELS)])

    def test_what_cannot_be_loaded_is_told(self, tmp_path: Path) -> None:
        """One sentence for a folder without a model and for an option that vLLM lacks."""
        with pytest.raises(BackendError, match="vLLM cannot load it"):
            VLLMBackend(str(tmp_path))
        with pytest.raises(BackendError, match=r"vLLM cannot load it .*wings"):
            VLLMBackend(wings=2)

    def test_searches(self, reviews: Task, tmp_path: Path) -> None:
        """A whole run by the command, which ends cleanly and can be verified."""
        storage, data = f"sqlite:///{tmp_path}/s.db", tmp_path / "reviews.csv"
        with data.open("w", newline="", encoding="utf-8") as file:
            rows = [*reviews.train[:12], *reviews.dev[:20], *reviews.test[:12]]
            lines = [("text", "mood"), *((row.inputs[0][1], row.target) for row in rows)]
            csv.writer(file).writerows(lines)
        command = [
            str(Path(sys.executable).with_name("optimize")),
            "--data",
            str(data),
            "--budget",
            "2",
            "--json",
        ]
        options = [
            "--backend",
            "vllm",
            "--backend-option",
            "max_model_len=2048",
            "--max-evaluations",
            "100",
            "--storage",
            storage,
        ]
        ended = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=400, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout.splitlines()[-1])["backend"] == "vllm"
        assert "Traceback" not in ended.stderr


class TestServed:
    """`OpenAIBackend` on vLLM's server."""

    pytestmark = needs_vllm

    @pytest.mark.parametrize("chat", [False, True])
    @pytest.mark.parametrize("answers", [_LABELS, _GRADES])
    def test_agrees(
        self,
        address: str,
        backend: HFBackend,
        texts: list[str],
        answers: tuple[str, ...],
        chat: bool,
    ) -> None:
        """Labels of one and several tokens, with and without chat template."""
        served = _served(address)
        assert "log-probabilities of the asked tokens" in served.scoring
        asked = requests(texts, answers, chat=chat)
        agree(served.loglikelihoods(asked), backend.loglikelihoods(asked))

    def test_long_continuations_are_echoed(
        self, address: str, backend: HFBackend, texts: list[str]
    ) -> None:
        """A sentence is read as part of a prompt."""
        asked = requests(
            texts[:5],
            (" unquestionably, and without any doubt at all, a great film", " bad"),
            chat=False,
        )
        agree(_served(address).loglikelihoods(asked), backend.loglikelihoods(asked))

    def test_a_bad_network_loses_nothing(self, address: str, backend: HFBackend) -> None:
        """1,000 requests, a fifth of which meet a fault.

        All answered, each counted once, none from an error body.
        """
        asked = [
            LikelihoodRequest(f"Review: film number {i}\nSentiment:", _LABELS) for i in range(1000)
        ]
        proxy = proxy_handler(int(address.rsplit(":", 1)[1].removesuffix("/v1")), share=0.2)
        with running(proxy) as bad:
            served = _served(url(bad))
            before = served._client.usage.requests
            served._path._together = 1  # type: ignore[attr-defined]
            agree(served.loglikelihoods(asked), backend.loglikelihoods(asked))
        assert served._client.usage.requests - before == 1000
        assert sum(proxy.faults.values()) > 150  # type: ignore[attr-defined]

    def test_generates(self, address: str) -> None:
        """Seeds are seeds, stop strings stop, and forms are kept to."""
        served = _served(address)
        asked = [(Message("user", "Name a colour."),)]
        options: dict[str, Any] = {"max_tokens": 12, "temperature": 1.0}
        assert served.generate(asked, **options, seed=1) == served.generate(
            asked, **options, seed=1
        )
        assert "," not in str(
            served.generate(["One, two, three,"], max_tokens=12, temperature=0, seed=0, stop=[","])[
                0
            ]
        )
        assert served.holds_to_form
        for form, pattern in _FORMS.items():
            options |= {"max_tokens": 40}
            replies = served.generate(asked, **options, seed=0, form=form)
            assert all(re.fullmatch(pattern, str(reply).strip()) for reply in replies), replies

    def test_searches(self, address: str, reviews: Task, tmp_path: Path) -> None:
        """A whole run ends with a front."""
        front = optimize(
            reviews,
            budget=4,
            backend="openai",
            backend_options={"base_url": address, **_PATIENCE},
            storage=f"sqlite:///{tmp_path}/s.db",
        )
        assert front.best.test is not None

    def test_doctor(self, address: str) -> None:
        """The served model's weights are here, so its numbers are compared."""
        found = examine("openai", options={"base_url": address, **_PATIENCE})
        assert found.difference is not None
        assert found.difference < 2e-2
        assert found.same_argmax == 1


@pytest.mark.skipif(_INSTALLED, reason="vLLM is installed")
def test_absent_vllm_is_told() -> None:
    """One sentence that says what to install."""
    with pytest.raises(
        BackendError,
        match=r"`backend` vllm: vLLM cannot be imported .* pip install 'promptfront\[vllm\]'",
    ):
        VLLMBackend()


if TYPE_CHECKING:

    def _satisfies(backend: VLLMBackend) -> Backend:
        return backend
