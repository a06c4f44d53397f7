"""What `optimize doctor` says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from promptfront.search.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("model", ["tiny", pytest.param("default", marks=pytest.mark.slow)])
def test_the_default_backend_is_fast_and_right(
    model: str, tiny: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Versions, device, speed and agreement, for a person and as JSON."""
    words = [] if model == "default" else ["--model", tiny()]
    assert main(["doctor", "--json", *words]) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed.splitlines()[-1])
    assert found["scoring"] == "packed token trie, float32"
    assert found["difference"] < 1e-4
    assert found["same_argmax"] == 1
    assert found["examples_per_s"] > 0
    assert (
        "same label for 100% of examples, compared with plain forward passes of transformers in "
        "float32" in printed
    )
    assert {"torch", "transformers", "promptfront"} <= set(found["installed"])


def test_what_is_missing_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A backend that is none, and one that lacks an address."""
    assert main(["doctor", "--backend", "vlm"]) == 2
    assert "unknown backend 'vlm' (did you mean 'vllm'?)" in capsys.readouterr().err
    assert (
        main(
            [
                "doctor",
                "--backend",
                "openai",
                "--base-url",
                "http://127.0.0.1:9/v1",
                "--retry-timeout",
                "0.5",
            ]
        )
        == 2
    )
    assert "no answer within" in capsys.readouterr().err
    assert main(["doctor", "--base-url", "http://127.0.0.1:9/v1"]) == 2
    assert "--base-url: the backend 'hf' has no such option" in capsys.readouterr().err
    assert main(["doctor", "--backend-option", "packed"]) == 2
    assert "--backend-option: expected NAME=VALUE, found 'packed'" in capsys.readouterr().err
