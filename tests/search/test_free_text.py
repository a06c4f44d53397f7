"""Tasks whose answers are written by the model.

Scored, stored, counted where they cannot be scored.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.scorers.answers import exact_match
from promptfront.search import load_prompt, optimize
from promptfront.search.api import export_prompt
from promptfront.search.cli.tables import result_lines
from promptfront.search.contracts import (
    Constraint,
    Example,
    Outputs,
    Prompt,
    Structure,
    Task,
    Unscored,
)
from promptfront.search.errors import InputError, InterruptedCallError
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.prompts.render import literal, read_reply, stops
from promptfront.search.scoring import Metric
from promptfront.search.storage.database import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from promptfront.backends.hf import HFBackend

_WITHOUT = ("paraphrase", "induce", "crossover")


@pytest.fixture(scope="module")
def words(reviews: Task) -> Task:
    """Return the reviews with their sentiment to be written, in a word."""
    few = {
        name: getattr(reviews, name)[:n] for name, n in (("train", 16), ("dev", 12), ("test", 10))
    }
    rules = (Constraint("plain", "Do not write good or bad.", rule="avoid", words=("good", "bad")),)
    return replace(
        reviews,
        **few,
        start=replace(reviews.start, structure=replace(reviews.start.structure, layout="plain")),
        labels=(),
        scorer="exact-match",
        max_tokens=3,
        stop=("\n",),
        constraints=rules,
    )


class Counting:
    """A backend that counts its replies."""

    def __init__(self, backend: HFBackend) -> None:
        self._backend = backend
        self.replies = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Return the model's replies."""
        self.replies += len(prompts)
        return self._backend.generate(prompts, **options)


def test_a_search_ends_with_a_front_and_goes_on(
    words: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """The same command again asks the model for nothing."""
    storage = f"sqlite:///{tmp_path}/a.db"
    counting: Any = Counting(backend)
    first = optimize(
        words,
        backend=counting,
        budget=4,
        without=_WITHOUT,
        storage=storage,
        study="s",
    )
    asked = counting.replies
    again = optimize(
        words,
        backend=counting,
        budget=4,
        without=_WITHOUT,
        storage=storage,
        study="s",
    )
    assert asked == counting.replies > 0
    assert first.to_dict() == again.to_dict()
    assert first.best.test
    assert first.best.test.n + first.best.test.unscored == 10
    document = export_prompt(storage, "s")[0]
    (tmp_path / "p.json").write_text(json.dumps(document))
    assert document["reply"]["max_tokens"] == 3
    assert load_prompt(tmp_path / "p.json").read(" positive\nReview: another") == "positive"


def test_what_cannot_be_scored_is_counted(words: Task, backend: HFBackend, tmp_path: Path) -> None:
    """Neither 0 nor 1: means are of rows with a value; the report says how many have none."""
    (tmp_path / "s.py").write_text(
        "def metric(reply, example):\n    return None if example.target == 'negative' else "
        "float(bool(reply))\n"
    )
    task = replace(words, scorer=f"{tmp_path}/s.py:metric")
    front = optimize(task, backend=backend, budget=1, storage=f"sqlite:///{tmp_path}/a.db")
    negative = sum(row.target == "negative" for row in task.test)
    assert front.start.test
    assert (front.start.test.n, front.start.test.unscored) == (10 - negative, negative)
    assert front.start.test.reasons == {"no number": negative}
    assert front.start.quality == front.start.test.score == 1
    assert any(
        f"{negative} of 10 test rows could not be scored" in line for line in result_lines(front)
    )


def test_each_of_several_scorers_is_reported(
    words: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """With its own mean of the test rows, which together are the score."""
    task = replace(words, scorer="3*exact-match+1*constraints-met")
    front = optimize(
        task, backend=backend, budget=2, without=_WITHOUT, storage=f"sqlite:///{tmp_path}/a.db"
    )
    assert front.start.test
    assert front.best.test
    exact, kept = (front.start.test.parts[name] for name in ("exact-match", "constraints-met"))
    assert front.start.test.score == pytest.approx(0.75 * exact + 0.25 * kept)
    assert (
        f"exact-match {exact:.3f} -> {front.best.test.parts['exact-match']:.3f}, constraints-met"
        in "\n".join(result_lines(front))
    )


def test_a_scorer_without_any_value_is_told(
    words: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """In one sentence, before a search begins."""
    (tmp_path / "s.py").write_text("def metric(reply, example):\n    return None\n")
    with pytest.raises(
        InputError,
        match=r"none of the 12 dev rows could be scored .* gives no number \(12\); the `scorer`",
    ):
        optimize(
            replace(words, scorer=f"{tmp_path}/s.py:metric"),
            backend=backend,
            storage=f"sqlite:///{tmp_path}/a.db",
        )


def test_replies_are_stored_as_they_are(words: Task, backend: HFBackend, tmp_path: Path) -> None:
    """Chinese, braces, quotes and line breaks come back from the database."""
    store = Store(f"sqlite:///{tmp_path}/a.db")
    stored: dict[str, Outputs] = {
        "a": '好 {x} "y"\n\n  z 🎬',
        "b": "",
        "d": Unscored("filtered"),
        "e": (-1.0, -2.5),
    }
    store.write_scores("f", stored)
    assert store.read_scores("f", ["a", "b", "c", "d", "e"]) == stored
    replies = Evaluator(words, backend, Metric("m", exact_match), store).measure(
        [words.start], words.dev[:2]
    )
    counting: Any = Counting(backend)
    known = Evaluator(words, counting, Metric("m", exact_match), store)
    assert replies == known.measure([words.start], words.dev[:2])
    assert counting.replies == 0


def test_gold_answers_have_a_likelihood(words: Task, backend: HFBackend) -> None:
    """Which mutators rank demonstrations by."""
    losses = Evaluator(words, backend, Metric("m", exact_match)).probes.losses(
        words.start, words.dev[:3]
    )
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)


def test_a_reply_ends_where_another_example_begins() -> None:
    """In a plain layout; a chat ends its turns itself."""
    structure = Structure(("Text", "Question"), "Answer")
    assert stops(structure) == ("\n\nText:",)
    assert stops(replace(structure, layout="chat")) == ()
    assert stops(replace(structure, input_labels=("文本",))) == ("\n\n文本：",)


@pytest.mark.parametrize(
    "answer", ["one", "two\nlines", "def f():\n    return {1}\n\nf()", "你好\n再见"]
)
def test_a_reply_is_read_as_it_was_shown(answer: str) -> None:
    """A demonstration's further lines are indented, and so are the replies that follow it."""
    structure = Structure(("Text",), "Answer")
    assert read_reply(structure, f" {literal(answer)}\n") == answer
    assert read_reply(replace(structure, layout="chat"), f"{answer}\n") == answer


def test_hidden_fields_do_not_part_examples() -> None:
    """A demonstration that was read from the database is train's row."""
    row = Example((("text", "x"),), "y", ("z",), (("test", "assert f()"),))
    assert row == Example((("text", "x"),), "y")
    assert row.golds == ("y", "z")
    assert (
        Prompt("", Structure(("Text",), "A"), (row,), (Constraint("a", "b"),))
        .demonstrations[0]
        .hidden
    )


def test_a_call_that_is_interrupted_keeps_what_was_answered(
    words: Task, backend: HFBackend
) -> None:
    """Two prompts whose replies end in different ways are two calls.

    Of the second only the rest is asked again.
    """

    class Failing(Counting):
        fails = True

        def generate(self, prompts: Sequence[str], **options: Any) -> list[str]:
            if self.replies and self.fails:
                raise InterruptedCallError("silent", {1: "kept"})
            return super().generate(prompts, **options)

    failing: Any = Failing(backend)
    evaluator = Evaluator(words, failing, Metric("m", exact_match))
    other = replace(words.start, structure=replace(words.start.structure, input_labels=("Text",)))
    with pytest.raises(InterruptedCallError, match="silent"):
        evaluator.measure([words.start, other], words.dev[:3])
    failing.fails, failing.replies = False, 0
    assert evaluator.measure([words.start, other], words.dev[:3])[1][1] == "kept"
    assert failing.replies == 2
