"""`explain` from a study that was searched: what it scores, stores, offers and refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from promptfront.search import explain, optimize
from promptfront.search.api import export_prompt
from promptfront.search.cli.main import main
from promptfront.search.errors import InputError
from promptfront.search.records.explanation import Explanation

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Task
    from promptfront.search.explaining import ExplainPlan


def test_what_places_hold_stays_and_all_else_is_left_out(searched: Path) -> None:
    """Each sentence but the one with the inputs; what is asked again needs no model."""
    plans: list[ExplainPlan] = []
    found = explain(pick="0", on_plan=plans.append)
    texts = [part.text for part in found.parts]
    assert "Bananas are yellow." in texts
    assert "Be brief." in texts
    assert not any("{{" in text for text in texts)
    assert (len(found.parts), 1 + len(found.parts)) == (plans[0].parts, plans[0].prompts)
    assert found.rows == plans[0].rows
    for part in found.parts:
        assert part.effect is not None
        assert part.effect.low <= part.effect.mean <= part.effect.high
        assert part.tokens > 0
    assert explain(pick="0", on_plan=plans.append) == found
    assert len(plans) == 1
    assert Explanation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_shorter_prompt_can_be_exported(searched: Path) -> None:
    """It has no part that rows showed to be of no use, and is a trial like any other."""
    found = explain(pick="0")
    assert found.shorter is not None
    assert 0 < len(found.shorter.without) <= 3
    document, entry = export_prompt(pick=str(found.shorter.trial))
    assert not any(text in entry.prompt.instruction for text in found.shorter.without)
    assert entry.trial.mutators == ("explain",)
    assert found.tokens - entry.tokens == found.shorter.tokens
    assert document["lineage"][0]["trial"] == 0


def test_test_rows_choose_nothing(searched: Path) -> None:
    """They are told apart, and no prompt is offered by what they say."""
    found = explain(pick="0", split="test", rows=7)
    assert ("test", 7, None) == (found.split, found.rows, found.shorter)


def test_words_of_a_row_from_the_command_line(
    searched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each word of the row in turn, beside Shapley values of the parts."""
    assert main(["explain", "--pick", "0", "--row", "2", "--shapley", "6", "--json"]) == 0
    printed = capsys.readouterr()
    assert "what the score loses without each part" in printed.out
    assert "parts" in printed.err
    told = json.loads(printed.out.splitlines()[-1])
    assert [word["field"] for word in told["row"]["words"]].count("author") >= 3
    assert {"很", "好"} <= {word["text"] for word in told["row"]["words"]}
    assert all(part["shapley"] for part in told["parts"])
    assert told["bare"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "0"], "--rows: expected a number of at least 1, found 0"),
        (["--row", "999"], "--row: expected a number from 1 to"),
        (["--pick", "best of all"], "--pick: expected best, knee, shortest"),
        (["--shapley", "-1"], "--shapley: expected a number of at least 0"),
        (["--study", "other"], "holds no study 'other'"),
    ],
)
def test_refuses_in_one_sentence(
    searched: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be explained is told as all else is."""
    assert main(["explain", *words]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert "Traceback" not in printed


def test_other_rows_are_told(searched: Path) -> None:
    """Effects on other data than were searched with would be of something else."""
    text = (searched / "tickets.csv").read_text(encoding="utf-8")
    (searched / "tickets.csv").write_text(text.replace("my thing", "a thing"), encoding="utf-8")
    with pytest.raises(InputError, match="expected the rows that it was searched with"):
        explain()


def test_a_task_and_a_backend_of_one_s_own_are_given_again(
    reviews: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """What no file says has to be given; a given backend stays open."""
    storage = f"sqlite:///{tmp_path}/a.db"
    optimize(reviews, backend=backend, budget=2, storage=storage)
    with pytest.raises(InputError, match="ran with a Task object"):
        explain(storage, backend=backend)
    with pytest.raises(InputError, match="ran with a backend object"):
        explain(storage, task=reviews)
    found = explain(storage, task=reviews, backend=backend, rows=12)
    assert found.rows == 12
    assert backend.count_tokens(["still open"])
