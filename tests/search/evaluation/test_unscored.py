"""What cannot be scored is neither right nor wrong.

It is counted, and no mean, race or front rests on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from statistics import fmean
from typing import TYPE_CHECKING, cast

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search import optimize
from promptfront.search.api import export_prompt
from promptfront.search.cli.tables import plan_lines, result_lines
from promptfront.search.contracts import (
    Candidate,
    Example,
    LikelihoodRequest,
    Outputs,
    Prompt,
    ReplyScorer,
    Structure,
    Task,
    Text,
    Unscored,
)
from promptfront.search.errors import InputError, InterruptedCallError
from promptfront.search.evaluation.cached_model import CachedModel
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.holdout import cross_fit, held_out_scores
from promptfront.search.evaluation.racing import race
from promptfront.search.evaluation.statistics import label_scores, mean_interval
from promptfront.search.export.verify import verify
from promptfront.search.prompts.render import render
from promptfront.search.records.results import Choice, Frontier, HeldOutScore
from promptfront.search.records.unscored import count, is_empty, listed
from promptfront.search.scoring import Metric, Part, Weighted
from promptfront.search.storage.database import Store
from tests.records import config, entry
from tests.search.evaluation.test_racing import ROWS, START, TASK, KnownModel, prompt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from promptfront.search.contracts import Backend
    from promptfront.search.plan import Plan

FREE = replace(TASK, labels=(), scorer="exact-match")


FILTERED = Unscored("filtered")


class Partial(KnownModel):
    """A model without an answer, for a reason, on rows whose number ends in some digits."""

    def __init__(self, *digits: int, least: int = 0, instead: Outputs = FILTERED) -> None:
        super().__init__()
        self.digits, self.least, self.instead = digits, least, instead

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Score as its parent does, or not at all."""
        found = super().loglikelihoods(requests)
        return [
            cast("tuple[float, ...]", self._or(str(r.prompt), o))
            for r, o in zip(requests, found, strict=True)
        ]

    def generate(self, prompts: Sequence[Text], **options: object) -> list[str]:
        """Reply as its parent does, or not at all."""
        found = super().generate(prompts, **options)
        return [
            cast("str", self._or(str(p), reply)) for p, reply in zip(prompts, found, strict=True)
        ]

    def _or(self, prompt: str, outputs: Outputs) -> Outputs:
        hard = int(prompt.split("row ")[-1].split()[0]) % 10 in self.digits
        return self.instead if hard and int(prompt.split()[0]) >= self.least else outputs


def scored_free(model: KnownModel, rows: int = 20) -> Evaluator:
    """Return what scores the number that the model replies."""
    return Evaluator(
        replace(FREE, dev=ROWS[:rows]),
        cast("Backend", model),
        Metric("said", lambda r, _: float(r)),
    )


def test_means_are_of_scored_rows() -> None:
    """Of labels and of replies, from whichever reason.

    The others have a reason each, in their places.
    """
    for model in (Partial(3, 7), Partial(3, 7, instead=Unscored("cut"))):
        evaluator, full = Evaluator(TASK, cast("Backend", model), LabelScorer()), KnownModel()
        found = evaluator.evaluate(prompt(70), ROWS[:20])
        expected = Evaluator(TASK, full, LabelScorer()).evaluate(prompt(70), ROWS[:20])
        lost = [i % 10 in (3, 7) for i in range(20)]
        assert [math.isnan(value) for value in found.values] == lost
        assert [reason is not None for reason in found.reasons] == lost
        assert count(found.reasons) == {cast("Unscored", model.instead).reason: 4}
        assert found.quality == fmean(
            v for v, gone in zip(expected.values, lost, strict=True) if not gone
        )


@pytest.mark.parametrize("reply", ["", "  \n ", "\u200b", "\ufeff\u00a0", "\x00"])
def test_an_empty_reply_is_no_answer(reply: str) -> None:
    """From any backend, whatever the scorer makes of it, whatever invisible it is made of."""
    found = scored_free(Partial(1, instead=reply)).evaluate(prompt(70), ROWS[:20])
    assert count(found.reasons) == {"empty": 2}
    assert not math.isnan(found.quality)


def test_thinking_is_no_part_of_an_answer() -> None:
    """From any backend the reply is what follows it.

    Thinking that breaks off before the answer is cut.
    """
    found = scored_free(Partial(1, instead="<think>\nIt may be 0.\n</think>\n\n0.25"), 2).evaluate(
        prompt(70), ROWS[:2]
    )
    assert found.values[1] == 0.25
    found = scored_free(Partial(1, instead="<think>\nIt may be 0."), 20).evaluate(
        prompt(70), ROWS[:20]
    )
    assert count(found.reasons) == {"cut": 2}


def test_an_empty_answer_may_be_right() -> None:
    """Where a gold answer is empty too, the scorer decides."""
    assert not is_empty(" ", Example((("text", "x"),), ""))
    assert not is_empty("", Example((("text", "x"),), "none", ("",)))
    assert is_empty("\t", Example((("text", "x"),), "none"))
    assert not is_empty("好", Example((("text", "x"),), "none"))


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_scorer_without_a_number_is_a_reason(value: float | None) -> None:
    """Also where it gives what is no number."""

    class Some(ReplyScorer):
        def score_replies(
            self, examples: Sequence[Example], replies: Sequence[str]
        ) -> list[float | None]:
            return [value if example.target == "a" else 1.0 for example in examples]

    found = Evaluator(FREE, cast("Backend", KnownModel()), Some()).evaluate(prompt(70), ROWS[:10])
    assert count(found.reasons) == {"no number": 5}
    assert found.quality == 1


def test_a_part_without_a_number_makes_no_score() -> None:
    """Of several scorers with weights each is needed, whatever it fails to give."""

    class Silent(ReplyScorer):
        def score_replies(
            self, examples: Sequence[Example], replies: Sequence[str]
        ) -> list[float | None]:
            return [(None, math.nan, 0.5)[i % 3] for i, _ in enumerate(replies)]

    both = Weighted(
        (Part(1.0, "said", Metric("said", lambda r, _: float(r))), Part(1.0, "silent", Silent()))
    )
    found = Evaluator(FREE, cast("Backend", KnownModel()), both).evaluate(prompt(70), ROWS[:9])
    assert found.reasons == ("no number", "no number", None) * 3


def test_ties_are_a_reason() -> None:
    """In labels; the estimate of the score on all rows rests on the others."""
    evaluator = Evaluator(TASK, cast("Backend", Partial(2, instead=(-1.0, -1.0))), LabelScorer())
    assert count(evaluator.evaluate(prompt(70), ROWS[:20]).reasons) == {"tie": 2}
    assert 0.4 < evaluator.log_odds.estimates({prompt(70): 160})[prompt(70)].quality < 0.9


@pytest.mark.parametrize(
    "instead", [(-math.inf, -math.inf), (math.nan, -1.0), (-math.inf, -1.0), Unscored("no label")]
)
def test_impossible_numbers_spoil_nothing(instead: Outputs) -> None:
    """Estimates, leans, losses and means stay numbers, with and without calibration."""
    evaluator = Evaluator(TASK, cast("Backend", Partial(2, 5, instead=instead)), LabelScorer())
    calibrated = replace(prompt(70), structure=replace(START.structure, calibration="batch"))
    for candidate in (prompt(70), calibrated):
        found = evaluator.evaluate(candidate, ROWS)
        assert math.isfinite(evaluator.mean(found.values, ROWS))
        assert all(map(math.isfinite, found.offsets))
        estimates = evaluator.log_odds.estimates({candidate: 160, prompt(60): 10})
        assert all(0 <= value <= 1 for estimate in estimates.values() for value in estimate)
    assert all(map(math.isfinite, evaluator.probes.label_bias(prompt(70), known=True)))
    losses = evaluator.probes.losses(prompt(70), ROWS[:10])
    assert len(losses) == 10
    assert [i for i, loss in enumerate(losses) if not math.isfinite(loss)] in ([2, 5], [2])


def test_nothing_at_all_is_no_crash() -> None:
    """Of a prompt without any score, the estimate is a number and the label_bias unknown."""
    evaluator = Evaluator(TASK, cast("Backend", Partial(*range(10))), LabelScorer())
    assert 0 <= evaluator.log_odds.estimates({prompt(70): 10})[prompt(70)].quality <= 1
    assert evaluator.probes.label_bias(prompt(70), known=True) == ()


@dataclass(frozen=True)
class Best(ReplyScorer):
    """The best of three replies' numbers."""

    samples: int = 3

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the numbers."""
        return [float(reply) for reply in replies]

    def combine(self, values: Sequence[float]) -> float:
        """Return the largest."""
        return max(values)


def test_of_several_replies_each_is_needed() -> None:
    """A missing or empty one leaves its row without a score, and the other rows in place."""

    class Drawn(KnownModel):
        def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
            replies = [f"0.{i % 3}" for i in range(len(prompts))]
            replies[4], replies[10] = cast("str", Unscored("cut")), " "
            return replies

    found = Evaluator(FREE, cast("Backend", Drawn()), Best()).evaluate(prompt(70), ROWS[:5])
    assert found.reasons == (None, "cut", None, "empty", None)
    assert [found.values[i] for i in (0, 2, 4)] == [0.2] * 3


def test_samples_of_an_interrupted_call_are_kept_whole() -> None:
    """Only the rows all of whose replies were written; the others are drawn again."""

    class Silent(KnownModel):
        silent = True

        def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
            self.calls.append(len(prompts))
            if self.silent:
                raise InterruptedCallError("silent", {0: "0.5", 3: "0.1", 4: "0.2", 5: "0.3"})
            return ["0.9"] * len(prompts)

    model = Silent()
    evaluator = Evaluator(FREE, cast("Backend", model), Best())
    with pytest.raises(InterruptedCallError, match="silent"):
        evaluator.evaluate(prompt(70), ROWS[:3])
    model.silent = False
    assert evaluator.evaluate(prompt(70), ROWS[:3]).values == (0.9, 0.3, 0.9)
    assert model.calls == [9, 6]


def test_what_has_no_answer_is_asked_once(tmp_path: Path) -> None:
    """The database has the reason; a judge's questions keep their order and number."""
    store, first, second = Store(f"sqlite:///{tmp_path}/a.db"), Partial(1), Partial(1)
    requests = [LikelihoodRequest(f"70 row {i} is a", ("a", "b")) for i in range(4)]
    answered = CachedModel(cast("Backend", first), store).likelihoods(requests)
    assert [isinstance(outputs, Unscored) for outputs in answered] == [False, True, False, False]
    assert CachedModel(cast("Backend", second), store).likelihoods(requests) == answered
    assert (first.calls, second.calls) == ([4], [])


@pytest.mark.parametrize("task", [TASK, FREE])
def test_hard_rows_cannot_be_left_out(task: Task) -> None:
    """A candidate without a score on three of ten rows is stopped in the first block."""
    scorer = LabelScorer() if task.labels else Metric("said", lambda r, _: float(r))
    evaluator = Evaluator(task, cast("Backend", Partial(1, 5, 6, least=70)), scorer)
    incumbent = Candidate(prompt(60), 0.6, 1)
    trials = race(evaluator, {prompt(90): 0, prompt(65): 0}, [incumbent], [], lambda *_: None)
    assert trials[prompt(90)].stopped == "unscored on 3 of 10 rows: refused by a content filter (3)"
    assert trials[prompt(90)].rows == 10
    assert "unscored" not in trials[prompt(65)].stopped
    hard = Evaluator(task, cast("Backend", Partial(1, 5, 6)), scorer)
    assert not race(hard, {prompt(90): 0}, [incumbent], [], lambda *_: None)[prompt(90)].stopped


def test_a_mean_of_few_rows_does_not_rule_the_front() -> None:
    """A start that is right on all it was scored on gives way to who answers nearly all rows.

    Among equals it stays.
    """
    start = entry(0, START, 1.0, 5, reasons={"empty": 20})
    other = entry(1, prompt(60), 0.8, 9, reasons={"empty": 4})
    assert (
        Frontier.of(config(40, 0), [start, other], study="s", trials=2, evaluations=9).best == other
    )
    worse = entry(1, prompt(60), 0.8, 9, reasons={"empty": 5})
    assert (
        Frontier.of(config(40, 0), [start, worse], study="s", trials=2, evaluations=9).best == start
    )


def test_a_prompt_gains_nothing_over_itself() -> None:
    """Where the start stays the best, what choosing is worth stands in its own line."""
    task = replace(TASK, train=ROWS[:30], dev=ROWS[:30], test=())
    evaluator = Evaluator(task, cast("Backend", Partial(3)), LabelScorer())
    prompts = [prompt(70), *(prompt(70, words=i) for i in range(1, 8))]
    entries = [
        entry(i, p, quality, i, reasons={"filtered": 3})
        for i, (quality, p) in enumerate(
            sorted(
                ((evaluator.evaluate(p, task.dev).quality, p) for p in prompts),
                key=itemgetter(0),
                reverse=True,
            )
        )
    ]
    frontier = Frontier.of(config(30, 0), entries, study="s", trials=8, evaluations=9)
    found = cross_fit(evaluator, frontier, entries)
    own, choice = found["0"], found["choice"]
    assert frontier.best == frontier.start
    assert (own["gain"], own["p_value"]) == (0, 1)
    assert own["test"]["score"] == frontier.start.quality
    assert (own["test"]["n"], own["test"]["reasons"], choice["n"]) == (27, {"filtered": 3}, 27)
    assert choice["gain"] < 0
    tested = replace(
        frontier.start, test=HeldOutScore(**own["test"]), gain=own["gain"], p_value=own["p_value"]
    )
    lines = result_lines(
        replace(frontier, start=tested, best=tested, front=(tested,), choice=Choice(**choice))
    )
    assert "+0.0 (p=1)" in lines[1]
    assert any(
        line.startswith(f"a prompt chosen on these rows gains {100 * choice['gain']:+.1f} points")
        for line in lines
    )


def test_every_number_is_of_scored_rows() -> None:
    """Interval, macro-F1, Matthews' coefficient and gain, each with its number of rows."""
    task = replace(TASK, train=ROWS[:60], dev=ROWS[60:90], test=ROWS[90:150])
    evaluator = Evaluator(task, cast("Backend", Partial(3, 4, least=60)), LabelScorer())
    entries = [entry(0, prompt(50), 0.5, 1), entry(1, prompt(80), 0.8, 2)]
    frontier = Frontier.of(config(30, 60), entries, study="s", trials=2, evaluations=9)
    found = held_out_scores(evaluator, frontier, lambda: None)
    full, rows = (
        Evaluator(task, KnownModel(), LabelScorer()),
        [row for i, row in enumerate(task.test) if i % 10 not in (3, 4)],
    )
    start, best = full.evaluate(prompt(50), rows), full.evaluate(prompt(80), rows)
    chosen = full.chosen(prompt(80), rows, ())
    assert chosen
    score = found["1"]["test"]
    assert (score["n"], score["unscored"], score["reasons"]) == (48, 12, {"filtered": 12})
    assert score["score"] == best.quality
    assert (score["low"], score["high"]) == mean_interval(best.values)
    assert {key: score[key] for key in ("macro_f1", "matthews")} == label_scores(
        [r.target for r in rows], chosen, ("a", "b")
    )
    assert found["1"]["gain"] == pytest.approx(best.quality - start.quality)
    assert found["0"]["test"]["n"] == 60


@pytest.mark.parametrize(
    ("instead", "sentence"),
    [
        (
            Unscored("filtered"),
            r"refused by a content filter \(30\); the server's content filter rejects the rows",
        ),
        (
            Unscored("cut"),
            r"reply cut off before its answer \(30\); the model may reason before it answers",
        ),
        ((-1.0, -1.0), r"labels are equally likely \(30\); the model cannot tell the labels apart"),
    ],
)
def test_a_run_that_scores_nothing_says_why(
    tmp_path: Path, instead: Outputs, sentence: str
) -> None:
    """In one sentence, the second time without a question."""
    task = replace(TASK, train=ROWS[:60], dev=ROWS[60:90], test=ROWS[90:])
    for calls in (1, 0):
        model = Partial(*range(10), instead=instead)
        with pytest.raises(
            InputError,
            match=r"none of the 30 dev rows could be scored with the starting prompt: " + sentence,
        ):
            optimize(
                task,
                backend=cast("Backend", model),
                answers="choice",
                storage=f"sqlite:///{tmp_path}/a.db",
                study=f"{calls}",
            )
        assert len(model.calls) == calls


def test_reasons_are_listed_by_number() -> None:
    """The most frequent first, in words."""
    found = count(["tie", None, "empty", "empty", None])
    assert list(found.items()) == [("empty", 2), ("tie", 1)]
    assert listed(found) == "empty reply (2), labels are equally likely (1)"


def half_silent(folder: str, target: Path, silent: Sequence[str], others: Sequence[str]) -> str:
    """Return the folder of a tiny model that ends its reply to some texts at once."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def state(texts: Sequence[str]) -> torch.Tensor:
        read = [
            model.model(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0, -1]
            for text in texts
        ]
        return torch.stack(read).mean(0)

    with torch.no_grad():
        one, other = state(silent), state(others)
        middle = (one + other) / 2
        apart = (one - other) - middle * ((one - other) @ middle) / (middle @ middle)
        model.get_output_embeddings().weight[tokenizer.eos_token_id] = 1000 * apart
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return str(target)


def first_words(folder: str, texts: Sequence[str], most: int) -> list[str]:
    """Return what a model writes, by plain forward passes."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    replies = []
    for text in texts:
        ids = read = tokenizer(text)["input_ids"]
        while len(ids) < len(read) + most:
            new = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if new == tokenizer.eos_token_id:
                break
            ids = [*ids, new]
        replies.append(tokenizer.decode(ids[len(read) :]).strip())
    return replies


def test_a_mean_of_a_real_model_by_hand(tiny: Callable[..., str], tmp_path: Path) -> None:
    """Its replies and the mean of those that are not empty follow from forward passes.

    Plan, table, JSON and export count.
    """
    rows = tuple(
        Example((("text", f"film {i} was {'good' if i % 2 else 'bad'}"),), str(i))
        for i in range(40)
    )
    (tmp_path / "s.py").write_text(
        "def metric(reply, example):\n    return len(reply) / (1 + len(reply))\n"
    )
    start = Prompt("Say a word.", Structure(("Text",), "Word"))
    task = Task(
        "words",
        "here",
        start,
        ("text",),
        "word",
        (),
        (),
        rows[:20],
        rows[20:],
        f"{tmp_path}/s.py:metric",
    )
    task = replace(task, max_tokens=2)
    texts = [str(render(start, row.inputs)) for row in rows]
    folder = half_silent(tiny("base"), tmp_path / "model", texts[1::2], texts[::2])
    storage, plans = f"sqlite:///{tmp_path}/a.db", list["Plan"]()
    front = optimize(task, budget=1, model=folder, storage=storage)
    for split, found, reasons in (
        (texts[:20], front.start.quality, front.start.trial.reasons),
        (
            texts[20:],
            front.start.test and front.start.test.score,
            front.start.test and front.start.test.reasons,
        ),
    ):
        replies = first_words(folder, split, 2)
        written = [len(reply) / (1 + len(reply)) for reply in replies if reply]
        assert 5 <= len(written) <= 15
        assert found == pytest.approx(fmean(written), abs=1e-12)
        assert reasons == {"empty": 20 - len(written)}
    lost = front.start.unscored
    lines = result_lines(front)
    assert lines[0] == (
        f"{lost} of 20 dev rows could not be scored with the starting prompt: "
        f"empty reply ({lost}); its dev score is that of the other {20 - lost}"
    )
    assert " of 20 test rows could not be scored" in lines[1]
    assert front.to_dict()["start"]["reasons"] == {"empty": lost}
    document, _ = export_prompt(storage)
    assert document["scores"]["dev"]["n"] == 20 - lost
    assert document["scores"]["dev"]["reasons"] == {"empty": lost}
    (tmp_path / "p.json").write_text(json.dumps(document))
    assert verify(tmp_path / "p.json", task).found == document["scores"]["test"]["score"]
    optimize(task, budget=1, model=folder, storage=storage, on_plan=plans.append)
    assert (
        f"unscored   {lost} of 20 dev rows with the starting prompt: empty reply ({lost})"
        in plan_lines(plans[0])
    )
