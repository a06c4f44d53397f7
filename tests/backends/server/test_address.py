"""Keys, addresses and proxies: they work, or are one sentence that shows no secret."""

from __future__ import annotations

from typing import Any

import pytest

from promptfront.backends.openai import OpenAIBackend
from promptfront.search.contracts import LikelihoodRequest
from promptfront.search.errors import BackendError
from promptfront.search.secrets import mask
from tests.backends.scenarios import chat, refusal, serving, without_logprobs

_KEY = "sk-planted-8f3a5c7e"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", _KEY)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("key", [f"{_KEY}\n", f" {_KEY}\r\n", f"\t{_KEY}"])
def test_a_key_with_white_space_around_it_works(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As secret files and Windows leave it."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with serving(without_logprobs(lambda _: chat("yes"))) as (address, asked):
        assert OpenAIBackend(base_url=address).loglikelihoods(
            [LikelihoodRequest("x", ("yes", "no"))]
        ) == [(0.0, -20.0)]
    assert asked[-1][1]["authorization"] == f"Bearer {_KEY}"


@pytest.mark.parametrize("key", ["none", " EMPTY\n", "ollama"])
def test_what_stands_in_for_a_key_is_no_secret(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that needs none is given a word.

    Masked, it would be missing from ordinary sentences.
    """
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with serving(without_logprobs(lambda _: chat("yes"))) as (address, _):
        OpenAIBackend(base_url=address)
    assert mask(f"there is {key.strip()} of it") == f"there is {key.strip()} of it"


@pytest.mark.parametrize(
    "key", [f"“{_KEY}”", f"{_KEY}\nsecond", f"{_KEY}\x1b", f"ключ{_KEY}", f"\udce4{_KEY}"]
)
def test_a_key_that_no_header_holds_is_one_sentence(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent, without the key."""
    monkeypatch.setattr("os.environ", {**__import__("os").environ, "OPENAI_API_KEY": key})
    with pytest.raises(
        BackendError, match="OPENAI_API_KEY: expected printable ASCII characters"
    ) as caught:
        OpenAIBackend(base_url="http://127.0.0.1:9/v1")
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("name", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"])
def test_other_headers_are_checked_as_the_key_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go into headers too."""
    monkeypatch.setenv(name, "org\nname")
    with pytest.raises(BackendError, match=f"{name}: expected printable ASCII"):
        OpenAIBackend(base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://me:planted99@127.0.0.1:9"),
        ("HTTP_PROXY", "http://me:planted99@127.0.0.1:9"),
        ("HTTP_PROXY", "nonsense.invalid"),
        ("HTTPS_PROXY", "http://127.0.0.1:port"),
        ("HTTP_PROXY", "ftp://127.0.0.1:9"),
        ("http_proxy", "http://[bad"),
    ],
)
def test_a_proxy_that_does_not_work_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its password masked; no traceback."""
    for other in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(BackendError, match=name.upper()) as caught:
        OpenAIBackend(base_url="http://127.0.0.1:9/v1", retry_timeout=0.5)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://h:99999/v1",
        "http:///v1",
        "ftp://h/v1",
        "http://a b/v1",
        "http://a\x01b/v1",
        "h/v1",
        "http://",
    ],
)
def test_an_address_that_is_none_is_told(url: str) -> None:
    """At once."""
    with pytest.raises(BackendError, match="`base_url`"):
        OpenAIBackend(base_url=url)


def test_a_key_in_the_query_of_an_address_is_sent_and_not_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither in the plan, nor in errors, nor in what is printed."""

    def script(body: dict[str, Any]) -> Any:
        return (
            refusal(400, "no key planted-4455 here")
            if "fail" in body["messages"][-1]["content"]
            else chat("yes")
        )

    with serving(without_logprobs(script)) as (address, asked):
        backend = OpenAIBackend(base_url=f"{address}?api-version=3&code=planted-4455")
        assert backend.loglikelihoods([LikelihoodRequest("x", ("yes", "no"))]) == [(0.0, -20.0)]
        assert "code=planted-4455" in asked[-1][0]
        backend.close()
    assert "planted" not in backend.scoring + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"concurrency": "x"}, {"timeout": -1}, {"retry_timeout": True}]
)
def test_options_without_sense_are_refused(options: dict[str, Any]) -> None:
    """Each is a number above 0."""
    with pytest.raises(BackendError, match="expected a number above 0"):
        OpenAIBackend(base_url="http://127.0.0.1:9/v1", **options)
