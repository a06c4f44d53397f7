"""The report: complete, inert, and of use in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.search import explain, report
from promptfront.search.cli.main import main
from promptfront.search.errors import InputError
from promptfront.search.storage.database import Store
from promptfront.search.storage.opening import latest_study
from promptfront.search.storage.schema import BATCHES
from tests.search.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = ["prompts", "front", "history", "parts", "examples"]
SECTIONS += ["labels", "lineage", "cost", "about"]
OTHER = "1"
"""The trial of the shorter prompt, which is on the front."""


def test_has_every_section_in_order(searched: Path) -> None:
    """From the verdict to the command that runs it again, under two megabytes."""
    page = report()
    places = [page.index(f'<section id="{name}">') for name in SECTIONS]
    assert all(a < b for a, b in pairwise(places))
    assert "no significant gain" in page
    assert "--prompt prompt.txt" in page
    assert "optimize explain --study" in page
    assert len(page.encode()) < 2e6


def test_no_text_of_the_data_is_markup(searched: Path) -> None:
    """Rows stand as text, and in the script's data no tag can end it."""
    page = report(pick=OTHER)
    told = without_scripts(page)
    assert "onerror=alert(1)&gt;" in told
    assert HOSTILE not in told
    assert "<img" not in told
    data = re.search(r'id="rows-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    rows = json.loads(data[1])
    assert HOSTILE in rows[0][2][0][1]
    longest = max(len(text) for row in rows for _, text in row[2])
    assert longest < 2100


def test_leaves_out_data_on_demand(searched: Path, tmp_path: Path) -> None:
    """No row, no answer and no demonstration; the prompt's own words stay."""
    assert main(["report", "--no-rows", "-o", str(tmp_path / "r.html"), "--pick", OTHER]) == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Bananas are yellow." in page
    assert "my thing" not in page
    assert "onerror=alert(1)" not in without_scripts(page)
    assert "Left out, as was asked for." in page


def test_says_that_a_search_has_not_ended(searched: Path) -> None:
    """What is not known yet is said to be that."""
    store = Store("sqlite:///promptfront.db", create=False)
    with store.transaction() as connection:
        connection.execute(BATCHES.delete().where(BATCHES.c.kind.in_(["test", "answered"])))
    page = report(study=latest_study(store), pick=OTHER)
    assert "The search has not ended" in page
    assert "rows are answered when the search ends" in page


def test_shows_what_was_explained(searched: Path) -> None:
    """Once `explain` has been asked."""
    found = explain(pick="0", rows=12)
    page = report(pick="0")
    assert found.shorter is not None
    assert f"derived: trial {found.shorter.trial}," in report(pick=str(found.shorter.trial))
    assert "These are effects of removal." in page
    assert "<b>sentence</b> Bananas are yellow." in page


def test_says_what_is_missing_to_draw(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The charts need an extra."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(InputError, match=r"pip install 'promptfront\[report\]'"):
        report()


def test_works_in_a_browser(searched: Path) -> None:
    """From a file: no error, no request but for it, filters, choice and charts that work."""
    (searched / "r.html").write_text(report(pick=OTHER), encoding="utf-8")
    with _opened(searched / "r.html") as (page, told):
        page.wait_for_selector("[data-chart=front] svg")
        page.wait_for_selector("[data-chart=minutes] svg")
        shown = page.locator("#rows tbody tr")
        everything = shown.count()
        assert everything > 20
        page.fill("#search", "my thing 12")
        assert 0 < shown.count() < everything
        page.fill("#search", "nothing says this")
        assert page.inner_text("#count") == "no rows"
        page.fill("#search", "")
        page.select_option("#change", "same")
        assert page.locator("#rows tbody tr:not(.same)").count() == 0
        assert page.locator(".panel:visible").count() == 1
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert told == [f"request {(searched / 'r.html').as_uri()}"]


def without_scripts(page: str) -> str:
    """Return a page without its program, whose library knows much markup; its data stays."""
    return re.sub("<script>.*?</script>", "", page, flags=re.DOTALL)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Open a page in a narrow window; give it, and all that it says and asks for."""
    sync_api = pytest.importorskip("playwright.sync_api")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    told: list[str] = []
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 400, "height": 900})
        page.on("console", lambda message: told.append(f"console {message.text}"))
        page.on("pageerror", lambda error: told.append(f"error {error}"))
        page.on("request", lambda request: told.append(f"request {request.url}"))
        page.goto(path.as_uri())
        yield page, told
        opened.close()
