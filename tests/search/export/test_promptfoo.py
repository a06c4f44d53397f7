"""promptfoo runs what is exported, and scores rows as promptfront does."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from promptfront.search.api import load_answers, load_frontier
from promptfront.search.cli.main import main
from promptfront.search.contracts import Structure
from promptfront.search.export.formats import format_prompt, notes
from promptfront.search.export.promptfoo import ROWS as MOST
from promptfront.search.prompts.reading import said_label
from promptfront.search.prompts.render import render
from promptfront.search.records.answered import AnsweredRows, Answers
from promptfront.search.storage.study import Study
from tests.search.export.served import (
    CHAT,
    LABELS,
    PLAIN,
    ROWS,
    as_sent,
    document_of,
    gold_of,
    served,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from promptfront.search.contracts import Prompt

PROMPTFOO = os.environ.get("PROMPTFOO") or shutil.which("promptfoo")
NODE = os.environ.get("NODE") or shutil.which("node")
FOUND = AnsweredRows(
    "test",
    tuple(row.inputs for row in ROWS),
    tuple(row.target for row in ROWS),
    {3: Answers((1.0, 0.0, None, *[1.0] * 17), ("",) * 20, ("",) * 20)},
)


def configuration(prompt: Prompt, rows: AnsweredRows | None = FOUND) -> dict[str, Any]:
    """Return the exported configuration."""
    made: dict[str, Any] = yaml.safe_load(
        format_prompt(document_of(prompt), prompt, "promptfoo", rows)
    )
    return made


def run_promptfoo(file: Path) -> list[dict[str, Any]]:
    """Return the results of `promptfoo eval`, in the order of the tests."""
    home, out = file.parent / "promptfoo", file.parent / "out.json"
    quiet = {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
        "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
        "PROMPTFOO_CONFIG_DIR": str(home),
    }
    command = [str(PROMPTFOO), "eval", "-c", str(file), "--no-cache", "--no-table", "--no-share"]
    done = subprocess.run(
        [*command, "--no-progress-bar", "-o", str(out)],
        env=os.environ | quiet,
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(out.read_text(encoding="utf-8"))["results"]["results"]
    return sorted(results, key=lambda result: result["testIdx"])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Any]]]:
    """Return the database of a search behind a server that goes on, and what that is asked."""
    folder = tmp_path_factory.mktemp("films")
    data, storage = folder / "films.csv", f"sqlite:///{folder}/s.db"
    with data.open("w", newline="", encoding="utf-8") as stream:
        rows = ((text_of(i), gold_of(i)) for i in range(130))
        csv.writer(stream).writerows([("text", "mood"), *rows])
    words = ["--data", str(data), "--target-column", "mood", "--budget", "1", "--backend", "openai"]
    words += ["--instruction", CHAT.instruction, "--storage", storage]
    with served() as (address, asked):
        assert main([*words, "--base-url", address]) == 0
        yield storage, asked


@pytest.mark.skipif(not PROMPTFOO, reason="promptfoo is not installed")
def test_promptfoo_scores_rows_as_promptfront_did(
    study: tuple[str, list[Any]], tmp_path: Path
) -> None:
    """Of a search behind a server: what is asked, which rows are won, and so the score."""
    (storage, asked), file = study, tmp_path / "p.yaml"
    words = ["export", "--storage", storage, "--format", "promptfoo", "-o", str(file)]
    assert main(words) == 0
    del asked[:]
    results = run_promptfoo(file)
    sent = {json.dumps(body["messages"]) for _, body in asked}
    answered, best = load_answers(storage), load_frontier(storage).best
    values = answered.answers[best.number].values
    chosen = [i for i, value in enumerate(values) if value is not None][:MOST]
    ours = [float(values[i] or 0) for i in chosen]
    assert [result["error"] for result in results if not result["gradingResult"]] == []
    assert ours == [float(result["success"]) for result in results]
    assert len(chosen) == MOST
    assert len(set(ours)) == 2
    expected = [as_sent(render(best.prompt, answered.inputs[i])) for i in chosen]
    assert sent == {json.dumps(messages) for messages in expected}
    told = yaml.safe_load(file.read_text(encoding="utf-8"))["description"]
    assert f"{sum(ours) / MOST:.3f} on the {MOST} test rows below" in told


@pytest.mark.slow
def test_a_search_that_has_not_ended_has_no_rows_yet(
    study: tuple[str, list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence says what to do; once it has ended they are in the configuration."""
    words = ["export", "--storage", study[0], "--format", "promptfoo"]
    assert main(words) == 0
    assert len(yaml.safe_load(capsys.readouterr().out)["tests"]) == MOST
    monkeypatch.setattr(Study, "answered", lambda *_: None)
    assert main(words) == 2
    assert "expected a search that has ended" in capsys.readouterr().err


def test_a_configuration_says_where_it_comes_from() -> None:
    """Model, limits, rows that have scores, and these; without rows there are no tests."""
    made = configuration(CHAT)
    assert made["description"] == (
        "promptfront: trial 3 of s; labels 0.780 on 50 rows, 0.947 on the 19 test rows below"
    )
    (provider,) = made["providers"]
    assert provider["id"] == "openai:chat:m"
    assert provider["config"]["max_tokens"] == 20
    scored = [row.target for i, row in enumerate(ROWS) if i != 2]
    assert scored == [test["vars"]["mood"] for test in made["tests"]]
    assert "tests" not in configuration(CHAT, None)
    text = format_prompt(document_of(CHAT), CHAT, "promptfoo", FOUND)
    assert text.startswith("# The model was not behind a server")
    assert "fill in the address of a server of the model" in notes(
        document_of(CHAT), CHAT, "promptfoo"
    )


def test_the_model_behind_a_server_is_asked_there() -> None:
    """Its address is in the file, its key is not."""
    document = document_of(CHAT)
    document["model"]["backend"] = "openai"
    document["data"]["load"] = {
        "backend_options": {"base_url": "http://h:1/v1", "key_variable": "K"}
    }
    made = yaml.safe_load(format_prompt(document, CHAT, "promptfoo", FOUND))
    config = made["providers"][0]["config"]
    assert config["apiBaseUrl"] == "http://h:1/v1"
    assert config["apiKeyEnvar"] == "K"
    document["data"]["load"]["backend_options"]["base_url"] = "http://h:1/v1?key=***"
    assert format_prompt(document, CHAT, "promptfoo", FOUND).startswith("# The model was not")


def test_values_mean_nothing_to_promptfoo() -> None:
    """No value begins a tag or names a file; where none could, values stand as they are."""
    for test in configuration(PLAIN)["tests"]:
        assert "{" not in test["vars"]["text"]
        assert not test["vars"]["text"].startswith(("file:", "package:"))
    simple = AnsweredRows("dev", ((("text", "a {b} 1e3"),),), ("good",), {})
    made = configuration(PLAIN, simple)
    assert made["tests"] == [{"vars": {"text": "a {b} 1e3", "mood": "good"}}]
    assert "{{ text }}" in made["prompts"][0]["raw"]


SETS = (
    LABELS, ("no", "no opinion", "yes"), ("A", "B", "C", "D"), ("1", "1.5", "-1"), ("好", "不好"),
    ("Sci/Tech", "World", "Business-News"), ("*", "**"), ("I", "you"), ("Straße", "weg"),
)  # fmt: skip
PIECES = (
    "{0}", "{0}", "{1}", "{0}.", "**{0}**", "({0})", "{0})", '"{1}"', " ", " ", "\n", ". ", ", ",
    "not ", "not a ", "isn't ", "Answer: ", "the answer is ", "Label: **", "Sentiment: ",
    "final answer: ", "Review: ", "答案：", "是", "不是", "我选", "\\boxed{{{0}}}", "or ", " and ",
    "is ", "option ", "because ", "I think ", "a ", "<think>", "</think>", "x", "un", "-", "'s ",
    "+", "%", "3", "/",
)  # fmt: skip


@pytest.mark.skipif(not NODE, reason="node is not installed")
@pytest.mark.parametrize("reasoning", ["", "Think; then {marker}"])
@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_the_script_reads_replies_as_promptfront_does(
    tmp_path: Path, layout: Any, reasoning: str
) -> None:
    """Made-up replies of every kind, to labels of every kind."""
    rng = random.Random(0)
    scripts, cases = [], []
    for labels in SETS:
        structure = Structure(("Review",), "Sentiment", layout, reasoning=reasoning)
        prompt = type(CHAT)("Judge.", structure)
        document = document_of(prompt) | {"labels": list(labels)}
        rows = AnsweredRows("test", ((("text", "a"),),), (labels[0],), {})
        made = yaml.safe_load(format_prompt(document, prompt, "promptfoo", rows))
        scripts.append(made["defaultTest"]["assert"][0]["value"])
        for _ in range(300):
            pieces = rng.choices(PIECES, k=rng.randint(1, 6))
            reply = "".join(pieces).format(*rng.sample(labels, 2))
            said = said_label(structure, labels, reply)
            cases += [(len(scripts) - 1, reply, label, said == i) for i, label in enumerate(labels)]
    (tmp_path / "cases.json").write_text(json.dumps([scripts, cases]))
    program = (
        "const [scripts, cases] = JSON.parse(require('fs').readFileSync(process.argv[1], 'utf8'));"
        "const judges = scripts.map((body) => new Function('output', 'context', body));"
        "console.log(JSON.stringify(cases.map(([script, reply, label]) =>"
        " judges[script](reply, {vars: {mood: label}}))));"
    )
    done = subprocess.run(
        [str(NODE), "-e", program, str(tmp_path / "cases.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(done.stdout)
    wrong = [case for case, one in zip(cases, found, strict=True) if case[3] != one]
    assert wrong == []
