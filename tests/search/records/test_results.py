"""What a search has found: which prompts make the front, and what is said of their lengths."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.cli.tables import result_lines
from promptfront.search.contracts import Prompt, Structure
from promptfront.search.records.results import Entry, Frontier, Headroom, HeldOutScore
from promptfront.search.records.verdict import verdict
from tests.records import config, trial

STRUCTURE = Structure(("Text",), "Mood", layout="chat")


def entry(number: int, score: float, tokens: int, reply_tokens: float) -> Entry:
    """Return a tested prompt that is a point better with each number."""
    made = trial(
        number, Prompt(f"Do {number}.", STRUCTURE), score, tokens, reply_tokens=reply_tokens
    )
    test = HeldOutScore(score, score - 0.1, score + 0.1, 50, None)
    return Entry(made, test=test, gain=score - 0.5, p_value=0.001)


def frontier(*entries: Entry) -> Frontier:
    """Return the front of entries, the first of which is the start."""
    return Frontier.of(config(), list(entries), study="s", trials=9, evaluations=99)


def test_what_is_written_is_a_cost_too() -> None:
    """A longer prompt with short replies is cheaper than a short one that makes the model talk."""
    start, longer, chatty = entry(0, 0.5, 10, 30.0), entry(1, 0.6, 20, 2.0), entry(2, 0.7, 12, 40.0)
    found = frontier(start, longer, chatty)
    assert (longer, chatty) == found.front  # the start costs more than a better one
    assert longer == found.pick("shortest")
    assert found.to_dict()["front"][0]["reply_tokens"] == 2.0
    assert [22.0, 52.0] == [one.cost for one in found.front]


def test_what_ended_at_once_claims_nothing() -> None:
    """Where no prompt was compared with the start, that is said, and not that none was better."""
    start = entry(0, 0.5, 10, 2.0)
    ended = replace(frontier(start), trials=1)
    assert "no other prompt has been compared" in verdict(ended)
    assert "nothing better than the starting prompt was found" in verdict(frontier(start))


def test_an_early_word_against_a_gain_that_was_shown_is_not_repeated() -> None:
    """It was of few rows; where the held-out rows show no gain, it stays."""
    start, better = entry(0, 0.5, 10, 2.0), entry(1, 0.6, 10, 2.0)
    early = Headroom(prompts=9, rows=30, gain=0.1, noise=0.09, spread=0.0, seen=False)
    gained = replace(frontier(start, better), headroom=early)
    doubtful = replace(frontier(start, replace(better, p_value=0.2)), headroom=early)
    seen = replace(gained, headroom=replace(early, seen=True))
    assert [False, True, True] == [
        any(line.startswith("headroom") for line in result_lines(one))
        for one in (gained, doubtful, seen)
    ]


@pytest.mark.parametrize(
    ("reply_tokens", "says"),
    [
        (2.0, "the best prompt is 10 tokens longer, its replies 28 tokens shorter"),
        (30.2, "the best prompt is 10 tokens longer"),
    ],
)
def test_both_lengths_are_told(reply_tokens: float, says: str) -> None:
    """Where replies differ by a token or more the last line says so; the table shows both."""
    lines = result_lines(frontier(entry(0, 0.5, 10, 30.0), entry(1, 0.6, 20, reply_tokens)))
    assert lines[-1].endswith(f"; {says}")
    assert "tokens  reply" in lines[0]
    assert f"20      {reply_tokens}" in "\n".join(lines)


def test_where_nothing_is_written_no_reply_is_shown() -> None:
    """As where the likeliest label counts."""
    lines = result_lines(frontier(entry(0, 0.5, 10, 0.0), entry(1, 0.6, 20, 0.0)))
    assert "reply" not in "\n".join(lines)


def test_what_is_wrong_with_the_start_is_said_once() -> None:
    """Though it is the best prompt too."""
    start = entry(0, 0.5, 10, 9.0)
    silent = replace(start, test=HeldOutScore(0.5, 0.4, 0.6, 50, None, unread=30))
    lines = result_lines(frontier(silent))
    (said,) = [line for line in lines if "name no label" in line]
    assert said.startswith("30 of 50 replies to the start prompt")


def test_a_notebook_shows_the_front() -> None:
    """As a table in which no text is markup, and as a data frame."""
    odd = replace(entry(1, 0.6, 20, 1.0).trial, prompt=Prompt("<b>Do</b> it.", STRUCTURE))
    found = frontier(entry(0, 0.5, 10, 0.0), replace(entry(1, 0.6, 20, 1.0), trial=odd))
    shown = found._repr_html_()
    assert "&lt;b&gt;Do&lt;/b&gt; it." in shown
    assert "gain over the starting prompt" in shown
    frame = found.to_pandas()
    assert list(frame["prompt"]) == ["start", "best"]
    assert frame["dev"].tolist() == [0.5, 0.6]
