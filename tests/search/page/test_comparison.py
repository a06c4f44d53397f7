"""Studies side by side, and each best prompt on the other models."""

from __future__ import annotations

import json
import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from promptfront.search import DataOptions, compare, optimize
from promptfront.search.cli.main import main
from promptfront.search.errors import InputError
from promptfront.search.page.page import comparison_page
from promptfront.search.records.comparison import Comparison, CrossScore
from promptfront.search.storage.database import Store
from promptfront.search.storage.opening import latest_study
from tests.search.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def folder(
    tickets: Path, tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., str]
) -> Path:
    """Return a folder with studies of the same rows by two models, and one of other rows."""
    folder = shutil.copytree(tickets, tmp_path_factory.mktemp("studies") / "copy")
    data = DataOptions(data="tickets.csv")
    with chdir(folder):
        for study, model, seed in (("other", tiny("gemma"), 0), ("rows", tiny(), 1)):
            optimize(
                None, prompt="short.txt", data=data, model=model, budget=1, seed=seed, study=study
            )
    return folder


@pytest.fixture
def two(
    tickets: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """Return the names of the two, in the working folder."""
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "copy"))
    store = Store(f"sqlite:///{tickets}/promptfront.db", create=False)
    return latest_study(store), "other"


def test_each_model_scores_the_prompts_of_the_others(two: tuple[str, str]) -> None:
    """On the test rows, once; the diagonal is what the search reported."""
    found = compare(two, cross=True)
    assert [one.study for one in found.frontiers] == list(two)
    assert found.crossed[0][0] is None
    assert found.crossed[1][1] is None
    for score in (found.crossed[0][1], found.crossed[1][0]):
        assert score is not None
        assert score.low <= score.score <= score.high
        assert score.n == found.frontiers[0].config.sizes.test
    assert compare(two, cross=True) == found
    assert json.dumps(found.to_dict())


def test_the_page_shows_prompts_side_by_side(
    two: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line; nothing on it is a script."""
    assert main(["report", "--compare", *two, "-o", "c.html"]) == 0
    page = comparison_page(compare(two))
    assert Path("c.html").read_text(encoding="utf-8") == page
    assert "whether one serves all was not measured" in page
    assert "<script" not in page
    assert HOSTILE not in page
    assert f"<summary>{two[0]} and other</summary>" in page


def test_says_whose_prompt_serves_all(two: tuple[str, str]) -> None:
    """The one that is significantly worse for no other model."""
    fine = CrossScore(0.6, 0.5, 0.7, 100, -0.01, 0.4)
    worse = replace(fine, gain=-0.2, p_value=0.001)
    frontiers = compare(two).frontiers
    found = Comparison(frontiers, ((None, worse), (fine, None)))
    assert found.serving_all() == [0]
    assert f"the best prompt of {two[0]} serves all" in comparison_page(found)
    none = Comparison(frontiers, ((None, worse), (None, None)))
    assert "no best prompt serves all" in comparison_page(none)


def test_refuses_what_cannot_be_compared(two: tuple[str, str]) -> None:
    """One study alone, one of other rows, and crossing nothing."""
    with pytest.raises(InputError, match="two different studies"):
        compare([two[0], two[0]])
    with pytest.raises(InputError, match="expected studies of the same rows and labels"):
        compare([two[0], "rows"])
    assert main(["report", "--cross"]) == 2
