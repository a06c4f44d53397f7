"""Reasoning in a whole search: tried at once, read after its marker, shown by rationales, exported.

The model is scripted: this is about the way of a reply, not about what reasoning is worth.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from promptfront import load_prompt
from promptfront.search import optimize
from promptfront.search.api import export_prompt
from promptfront.search.contracts import Example, Greedy, Prompt, Structure, Task
from promptfront.search.errors import InputError
from promptfront.search.plugins import available
from promptfront.search.prompts.reasoning import REASONING_TOKENS
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study
from tests.search.evaluation.test_racing import KnownModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import Answers, Backend, LikelihoodRequest, Text
    from promptfront.search.records.results import Frontier

WITHOUT = available("promptfront.mutators").keys() - {"reasoning", "rationales", "rewrite"}


class Adder(KnownModel):
    """A model that adds right where it may reason, and else talks on until it is cut off."""

    model = fingerprint = "adds"

    def generate(self, prompts: Sequence[Text], **options: object) -> list[str]:
        """Add the last numbers."""
        return [self._reply(prompt, cast("int", options["max_tokens"])) for prompt in prompts]

    def _reply(self, prompt: Text, max_tokens: int) -> str:
        assert not isinstance(prompt, str)
        one, other = map(int, re.findall(r"(\d+) and (\d+)", prompt[-1].content)[-1])
        if "Answer:" not in prompt[0].content:
            return " ".join(["so"] * max_tokens)
        return f"{one} and {other}, that is more.\n**Answer:** {one + other}"


def rows(first: int, count: int) -> tuple[Example, ...]:
    """Return sums."""
    return tuple(
        Example((("sum", f"{i} and {i % 7}"),), str(i + i % 7)) for i in range(first, first + count)
    )


def search(folder: Path, *, reasoning: bool = True) -> Frontier:
    """Search for a prompt that adds."""
    start = Prompt("Add the numbers.", Structure(("Sum",), "Answer", layout="chat"))
    parts = rows(0, 60), rows(100, 40), rows(200, 20)
    task = Task("sums", "made up", start, ("sum",), "answer", (), *parts, scorer="exact-match")
    return optimize(
        task,
        backend=cast("Backend", Adder()),
        budget=24,
        without=sorted(WITHOUT),
        reasoning=reasoning,
        storage=f"sqlite:///{folder}/s.db",
        study="s" if reasoning else "silent",
    )


def test_what_reasons_is_tried_at_once_and_read_after_its_marker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first batch has it; replies of the start that run into their limit are told of."""
    caplog.set_level(logging.INFO, "promptfront")
    front = search(tmp_path)
    assert "40 of 40 replies to the starting prompt reach the limit" in caplog.text
    assert front.start.quality == 0
    assert front.best.quality == front.best.test.score == 1  # type: ignore[union-attr]
    assert front.best.prompt.structure.reasoning
    assert front.best.trial.reply_tokens > 4
    history = Study(Store(f"sqlite:///{tmp_path}/s.db"), "s").history()
    first = min(number for prompt, number in history.numbers.items() if prompt.structure.reasoning)
    assert first == 1
    shown = [example for prompt in history.numbers for example in prompt.demonstrations]
    assert any(example.rationale.endswith("that is more.") for example in shown)
    document = export_prompt(f"sqlite:///{tmp_path}/s.db", "s")[0]
    assert document["reply"]["stop"] == []
    (tmp_path / "p.json").write_text(json.dumps(document))
    exported = load_prompt(tmp_path / "p.json")
    assert exported.read("1 and 2, so\nAnswer: 3") == "3"
    assert exported.prompt == front.best.prompt


class Talker(KnownModel):
    """A model that talks for a while before it says the sum."""

    model = fingerprint = "talks"

    def generate(self, prompts: Sequence[Text], **options: object) -> list[str]:
        """Add the last numbers, as far as there is room for it."""
        return [self._reply(str(prompt), cast("int", options["max_tokens"])) for prompt in prompts]

    def _reply(self, prompt: str, max_tokens: int) -> str:
        total = sum(map(int, re.findall(r"(\d+) and (\d+)", prompt)[-1]))
        return " ".join([*["well"] * 50, str(total)][:max_tokens])


def test_replies_that_are_cut_off_may_be_longer(tmp_path: Path) -> None:
    """That is tried at once, costs what is written, and the export has the limit."""
    start = Prompt("Add the numbers.", Structure(("Sum",), "Answer", layout="chat"))
    parts = rows(0, 60), rows(100, 40), rows(200, 20)
    task = Task("sums", "made up", start, ("sum",), "answer", (), *parts, scorer="number")
    front = optimize(
        replace(task, max_tokens=30),
        backend=cast("Backend", Talker()),
        budget=6,
        reasoning=False,
        without=sorted(WITHOUT - {"longer-replies"}),
        storage=f"sqlite:///{tmp_path}/s.db",
        study="s",
    )
    assert front.start.quality == 0
    assert front.best.quality == 1
    assert front.best.prompt.structure.reply_factor == 2
    assert front.best.trial.reply_tokens == 51
    assert export_prompt(f"sqlite:///{tmp_path}/s.db", "s")[0]["reply"]["max_tokens"] == 60


class Judge(KnownModel):
    """A model that knows which sums are even where it may reason, and else says yes."""

    model = fingerprint = "judges"
    reads_greedily = True

    def greedy(self, requests: Sequence[LikelihoodRequest]) -> list[Greedy]:
        """Say yes."""
        return [Greedy((-2.0, -0.2), 1) for _ in requests]

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
        """Add the last numbers, and judge."""
        return [self._reply(prompt) for prompt in prompts]

    def _reply(self, prompt: Text) -> str:
        assert not isinstance(prompt, str)
        if "Answer:" not in prompt[0].content:
            return "yes"
        total = sum(map(int, re.findall(r"(\d+) and (\d+)", prompt[-1].content)[-1]))
        return f"no or yes? It is {total}.\nAnswer: {'no' if total % 2 else 'yes'}"


def search_labels(folder: Path, reasoning: bool | None, answers: Answers = "written") -> Frontier:
    """Search for a prompt that knows even sums."""
    start = Prompt("Is the sum even, yes or no?", Structure(("Sum",), "Answer", layout="chat"))
    train, dev, test = (
        tuple(replace(row, target="no" if int(row.target) % 2 else "yes") for row in part)
        for part in (rows(0, 60), rows(100, 40), rows(200, 20))
    )
    task = Task("even", "made up", start, ("sum",), "answer", ("no", "yes"), train, dev, test)
    return optimize(
        task,
        backend=cast("Backend", Judge()),
        budget=24,
        without=sorted(WITHOUT),
        reasoning=reasoning,
        answers=answers,
        storage=f"sqlite:///{folder}/l.db",
        study=str(reasoning),
    )


def test_labels_are_reasoned_about_where_that_is_wanted(tmp_path: Path) -> None:
    """Not by default: it costs many times what a label does."""
    front = search_labels(tmp_path, None)
    assert {"rationales", "reasoning"} <= set(front.config.identity.without)
    front = search_labels(tmp_path, reasoning=True)
    assert front.best.prompt.structure.reasoning
    assert front.best.quality == front.best.test.score == 1  # type: ignore[union-attr]
    assert front.best.test.written == 1  # type: ignore[union-attr]
    assert front.start.quality < 0.7
    document = export_prompt(f"sqlite:///{tmp_path}/l.db", "True")[0]
    assert document["reply"]["max_tokens"] > REASONING_TOKENS
    (tmp_path / "p.json").write_text(json.dumps(document))
    exported = load_prompt(tmp_path / "p.json")
    assert exported.read("yes? It is 3.\nAnswer: no") == "no"
    with pytest.raises(InputError, match="`reasoning`: expected `answers` written, found choice"):
        search_labels(tmp_path, reasoning=True, answers="choice")


def test_those_who_must_not_reason_do_not(tmp_path: Path) -> None:
    """No candidate asks for it, and the study is another one's."""
    front = search(tmp_path, reasoning=False)
    history = Study(Store(f"sqlite:///{tmp_path}/s.db"), "silent").history()
    assert not [prompt for prompt in history.numbers if prompt.structure.reasoning]
    assert {"rationales", "reasoning"} <= set(front.config.identity.without)
