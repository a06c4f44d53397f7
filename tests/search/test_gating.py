"""`gate`: what it says of two prompts on new rows, and with which exit code."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from promptfront.search import InputError, gate
from promptfront.search.api import export_prompt
from promptfront.search.cli.gate_report import gate_markdown
from promptfront.search.data.new_rows import must_pass, read_new_rows
from promptfront.search.export.document import load_prompt
from promptfront.search.gating import judge

from ..processes import run_here

HOSTILE = "a | b <script>x</script> [link](http://x) `code` \n@someone"


@pytest.mark.parametrize(
    ("won", "lost", "same", "verdict"),
    [
        (0, 0, 1000, "pass"),
        (30, 0, 270, "pass"),
        (0, 30, 270, "fail"),
        (5, 5, 290, "undecided"),
        (0, 0, 3, "undecided"),
    ],
)
def test_the_interval_is_above_the_accepted_loss_below_it_or_across(
    won: int, lost: int, same: int, verdict: str
) -> None:
    """Few rows say little, even where no answer changed."""
    found, reason, needed = judge([1.0] * won + [-1.0] * lost + [0.0] * same, 0.01)
    assert verdict == found
    assert (verdict == "undecided") == (needed is not None)
    assert ("too few" if won + lost + same < 10 else "1 point") in reason


def test_how_many_rows_would_tell_is_about_right() -> None:
    """So many rows of the same kind do tell, and half of them do not."""
    rows = [1.0] * 5 + [-1.0] * 5 + [0.0] * 290
    _, _, needed = judge(rows, 0.01)
    assert needed is not None
    assert judge(rows * (1 + needed // len(rows)), 0.01)[0] == "pass"
    assert judge(rows * (needed // 2 // len(rows)), 0.01)[0] == "undecided"


def test_a_loss_that_is_just_the_margin_is_never_told() -> None:
    """No number of rows is named then."""
    found, reason, needed = judge([-0.02, 0.0] * 50, 0.01)
    assert ("undecided", None) == (found, needed)
    assert "a million would not either" in reason


def test_what_must_pass_and_what_has_no_score_goes_before() -> None:
    """One row that must pass is enough; a tenth without a score are too many."""
    assert judge([0.0] * 1000, 0.01, must_pass_lost=1)[0] == "fail"
    assert judge([0.0] * 1000, 0.01, unscored=200)[0] == "undecided"
    assert judge([0.0] * 1000, 0.01, unscored=100)[0] == "pass"


@pytest.fixture
def exported(searched: Path) -> Path:
    """Return the folder of a study with its two prompts as files, and without the study's rows."""
    for pick, name in (("0", "start.json"), ("1", "other.json")):
        document, _ = export_prompt(pick=pick)
        # A model without sense writes no label, but finds one likelier than the other.
        document["answers_by"] = "choice"
        if name == "other.json":
            swapped = {"hardware": "billing", "billing": "hardware"}
            document["prompt"]["structure"]["verbalizers"] = swapped
        (searched / name).write_text(json.dumps(document), "utf-8")
    (searched / "tickets.csv").unlink()
    (searched / "prompt.txt").unlink()
    return searched


def _rows(path: Path, rows: int, mark: str = "") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["author", "text", "label", "must_pass"])
        for i in range(rows):
            row = [f"{i}", f"{HOSTILE} {i} 票", ("billing", "hardware")[i % 2], mark]
            writer.writerow(row)


def test_a_prompt_against_itself(exported: Path) -> None:
    """Nothing is lost; the search's own rows need not be there."""
    _rows(exported / "new.csv", 40)
    found = gate("start.json", against="start.json", data="new.csv", margin=0.1)
    assert ("pass", 0.0, 40, 0, ()) == (
        found.verdict,
        found.difference,
        found.n,
        found.won,
        found.lost,
    )
    assert found.new.score == found.old.score
    assert found.low < 0 < found.high


def test_the_other_way_round_the_difference_has_the_other_sign(exported: Path) -> None:
    """Each prompt has its score whichever is the new one, and its tokens are those exported."""
    _rows(exported / "new.csv", 40)
    one = gate("start.json", against="other.json", data="new.csv")
    other = gate("other.json", against="start.json", data="new.csv")
    assert one.new.score == other.old.score
    assert one.difference == pytest.approx(-other.difference)
    assert (one.won, len(one.lost)) == (len(other.lost), other.won)
    assert one.low == pytest.approx(-other.high)
    assert one.new.tokens == load_prompt("start.json").document["tokens"]


def test_rows_that_must_pass(exported: Path) -> None:
    """A loss among them fails, whatever the rest says; marks are yes or no."""
    _rows(exported / "new.csv", 40, mark="yes")
    ways = (("start.json", "other.json"), ("other.json", "start.json"))
    results = [gate(new, against=old, data="new.csv", margin=0.9) for new, old in ways]
    assert any(one.lost for one in results)
    assert all(one.verdict == ("fail" if one.lost else "pass") for one in results)
    assert all(row.must_pass for one in results for row in one.lost)
    for text in map(gate_markdown, results):
        assert not re.search(r"<script|\[link\]\(|`code`|@someone", text)
        assert {line.count("|") for line in text.splitlines() if "|" in line} <= {5, 6}
    _rows(exported / "wrong.csv", 3, mark="maybe")
    with pytest.raises(InputError, match=r"wrong.csv:2: expected yes or no .* found 'maybe'"):
        gate("start.json", against="start.json", data="wrong.csv")


def test_a_mark_stands_for_all_rows_of_its_input(tmp_path: Path) -> None:
    """A copy without it, before or after, does not take it away."""
    path, columns = tmp_path / "new.csv", (["text"], "label", ["a", "b"])
    for rows in ("x,a,\nx,a,yes\ny,b,\n", "x,a,yes\nx,a,\ny,b,\n"):
        path.write_text(f"text,label,must_pass\n{rows}", "utf-8")
        kept = read_new_rows(str(path), *columns, lambda _: None)
        assert [True, False] == [must_pass(row) for row in kept]


def test_exit_codes_and_json(exported: Path) -> None:
    """0 and 3 here, 1 and 2 elsewhere; the same number is in the JSON object."""
    _rows(exported / "new.csv", 40)
    words = ("gate", "start.json", "--against", "start.json", "--data", "new.csv", "--json")
    for margin, code, verdict in (("0.1", 0, "pass"), ("0", 3, "undecided")):
        done = run_here(exported, *words, "--margin", margin)
        last = json.loads(done.stdout.splitlines()[-1])
        assert (code, code, verdict) == (done.returncode, last["exit_code"], last["verdict"])
        assert done.stdout.startswith(f"{verdict.upper()}: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "none.csv"), "none.csv: there is no such file"),
        (("--data", "empty.csv"), "empty.csv"),
        (("--data", "columns.csv"), "there is no column 'author'"),
        (("--data", "labels.csv"), "expected one of"),
        (("--data", "new.csv", "--margin", "1.5"), "--margin: expected a number from 0 up to 1"),
        (("--data", "new.csv", "--margin", "nan"), "--margin: expected a number from 0 up to 1"),
        (("--data", "new.csv", "--against", "new.csv"), "expected a file written by"),
        (("--data", "new.csv", "--against", "task.json"), "expected prompts of one task"),
        (("--data", "new.csv", "--against", "torn.json"), "expected a file written by"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    exported: Path, words: tuple[str, ...], said: str
) -> None:
    """With exit code 2, which no verdict has."""
    _rows(exported / "new.csv", 4)
    (exported / "empty.csv").write_text("", "utf-8")
    (exported / "columns.csv").write_text("text,label\na,billing\n", "utf-8")
    (exported / "labels.csv").write_text("author,text,label\na,b,other\n", "utf-8")
    document = json.loads((exported / "start.json").read_text("utf-8"))
    other = document | {"labels": ["x", "y"], "answers": {"x": "x", "y": "y"}}
    (exported / "task.json").write_text(json.dumps(other), "utf-8")
    (exported / "torn.json").write_text("{", "utf-8")
    done = run_here(exported, "gate", "start.json", "--against", "other.json", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("optimize: error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_action_runs_as_its_steps_say(exported: Path) -> None:
    """Its steps but for the installation, as a shell script; the summary is the pull request's."""
    _rows(exported / "new.csv", 40)
    action = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text("utf-8"))
    install, step = action["runs"]["steps"]
    assert "pip install" in install["run"]
    inputs = {name: str(one.get("default", "")) for name, one in action["inputs"].items()}
    for margin, allowed, code, verdict in (
        ("0.1", "false", 0, "pass"),
        ("0", "false", 3, "undecided"),
        ("0", "true", 0, "undecided"),
    ):
        given = {"prompt": "start.json", "against": "start.json", "data": "new.csv"}
        given = inputs | given | {"margin": margin, "allow-undecided": allowed}
        env = {
            name: given[value.removeprefix("${{ inputs.").removesuffix(" }}")]
            for name, value in step["env"].items()
        }
        written = {name: str(exported / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=exported,
            env=os.environ | env | written | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert code == done.returncode, done.stderr
        assert f"verdict={verdict}" in (exported / "GITHUB_OUTPUT").read_text("utf-8")
        summary = (exported / "GITHUB_STEP_SUMMARY").read_text("utf-8")
        assert f"### Prompt gate: {verdict}" in summary
