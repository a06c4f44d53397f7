"""A planted key and password are in nothing that a run leaves behind, whatever goes wrong."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.search.cli.main import main
from tests.backends.scenarios import chat, gold, refusal, serving, without_logprobs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.backends.scenarios import Body, Replies

_KEY, _QUERY = "sk-planted/77+é=", "planted query/88"
_HEADER = "sk-planted/77+e="
_SECRET = b"planted"


def echoing(status: int, **more: Any) -> Replies:
    """Return a script that says the key, as some servers do."""
    return lambda body: refusal(
        status, f"no such key: {body.get('authorization') or _HEADER} ({_HEADER!r})", **more
    )


def once_right(script: Replies) -> Replies:
    """Return a script that answers rightly until something was stored, and then as another does."""
    answered: list[Body] = []

    def answer(body: Body) -> Any:
        answered.append(body)
        return chat(gold(body)) if len(answered) < 12 else script(body)

    return answer


SCENARIOS: dict[str, Replies] = {
    "well": lambda body: chat(gold(body)),
    "denied": echoing(401),
    "refused": echoing(400),
    "forbidden": echoing(403),
    "missing": echoing(404),
    "overloaded": echoing(429),
    "quota": echoing(429, code="insufficient_quota"),
    "broken": echoing(500),
    "page": lambda _: (200, f"<html>{_HEADER}</html>".encode()),
    "fault in the body": lambda _: (
        200,
        {"error": {"message": f"bad key {_HEADER}"}, "choices": None},
    ),
    "a key as the reply": lambda _: chat(_HEADER),
    "filtered": echoing(400, code="content_filter"),
    "later denied": once_right(echoing(401)),
    "later broken": once_right(echoing(500)),
}


def rows(folder: Path) -> str:
    """Write a small table and return its path."""
    path = folder / "days.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        texts = [
            (f"a {'sunny' if i % 2 else 'dark'} day {i}", "yes" if i % 2 else "no")
            for i in range(24)
        ]
        csv.writer(file).writerows([("text", "label"), *texts])
    return str(path)


def shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> bytes:
    """Return all that was printed, and all that lies in a folder."""
    printed = "".join(capfd.readouterr()).encode()
    return printed + b"".join(
        path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    )


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_server_s_faults_show_no_secret(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In output, errors, database and exports, also with the traceback that one asks for."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{_HEADER}\n")
    monkeypatch.setenv("PROMPTFRONT_DEBUG", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    storage = ["--storage", f"sqlite:///{tmp_path}/a.db"]
    model = ["--model", "nobody/modest-1"] if name == "missing" else []
    with serving(without_logprobs(SCENARIOS[name])) as (address, asked):
        url = f"{address}?api_key={_QUERY.replace(' ', '+')}"
        # A reset connection on a busy machine is no scenario: what must go well gets its time.
        patience = "60" if name == "well" else "1"
        server = ["--backend", "openai", "--base-url", url, "--retry-timeout", patience, *model]
        found = [main(["--data", rows(tmp_path), "--budget", "2", "--json", *storage, *server])]
        found += [main(["frontier", "--json", *storage])]
        found += [main(["export", "-o", f"{tmp_path}/best.json", *storage])]
        found += [main(["verify", f"{tmp_path}/best.json"]), main(["doctor", *server])]
    assert set(found) <= {0, 1, 2}
    # A reply that says no label is a wrong answer, and the run goes on.
    assert (found[0] == 0) == (name in ("well", "a key as the reply"))
    assert any(_HEADER in str(body["authorization"]) and "planted" in path for path, body in asked)
    assert _SECRET not in shown(tmp_path, capfd)


@pytest.mark.parametrize("key", [_KEY, f"{_HEADER}\nnext", f"“{_HEADER}”"])
def test_a_key_that_cannot_be_sent_is_not_shown(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One sentence, and no traceback."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    words = [
        "--data",
        rows(tmp_path),
        "--storage",
        f"sqlite:///{tmp_path}/a.db",
        "--backend",
        "openai",
    ]
    assert main([*words, "--base-url", "http://127.0.0.1:9/v1", "--retry-timeout", "1"]) == 2
    left = shown(tmp_path, capfd)
    assert _SECRET not in left
    assert b"optimize: error: OPENAI_API_KEY" in left


@pytest.mark.parametrize(
    "url",
    [
        "mysql://root:plantedpw@h/x",
        "mysql+pymysql://root:planted%2Fpw@h/x",
        "postgresql://u@127.0.0.1:9/x?password=plantedpw",
        "postgresql+nodriver://u:plantedpw@127.0.0.1:9/x",
        "nonsense://u:plantedpw@h",
        "sqlite:///no/such/folder/x.db?password=plantedpw",
    ],
)
def test_a_database_s_password_is_not_shown(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By no command that opens it."""
    data = rows(tmp_path)
    assert main(["--data", data, "--storage", url]) == 2
    assert main(["frontier", "--storage", url]) == 2
    assert main(["export", "--storage", url]) == 2
    assert _SECRET not in shown(tmp_path, capfd)
