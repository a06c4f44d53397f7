"""README is short, and what it names is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "benchmarks" / "predictions" / "qwen2.5-coder-1.5b-instruct"
README = (ROOT / "README.md").read_text("utf-8")


def test_it_is_short() -> None:
    """Who wants more follows a link."""
    assert len(README.splitlines()) < 150


def test_each_link_leads_somewhere() -> None:
    """Files of the repository are there, and so is the heading that a link names."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([\w-]+))?\)", README)
    assert [] == [path for path, _ in links if not (ROOT / path).exists()]
    for path, anchor in links:
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]
            assert anchor in slugs


@pytest.mark.parametrize(
    ("name", "record"),
    [("best of three by hand", "hand"), ("CAPO", "capo"), ("promptfront", "promptfront")],
)
def test_its_table_is_of_the_kept_records(name: str, record: str) -> None:
    """Accuracy in percent and prompt tokens on four tasks, as the chart draws them."""
    (line,) = [one for one in README.splitlines() if one.startswith(f"| {name} |")]
    kept = [
        json.loads((RECORDS / f"{task}-{record}-0.json").read_text("utf-8"))["held"]["1.0"]
        for task in ("subj", "sst5", "agnews", "sports")
    ]
    expected = [(f"{100 * one['accuracy']:.0f}", str(one["tokens"])) for one in kept]
    assert expected == re.findall(r"(\d+)\*{0,2} \((\d+)\)", line)
