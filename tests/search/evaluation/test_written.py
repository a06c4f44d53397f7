"""A label is right when the reply says it: read off greedy answers, or off what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import pytest

from promptfront.scorers.labels import LabelScorer
from promptfront.search.assembly import make_evaluator
from promptfront.search.contracts import (
    Candidate,
    Example,
    Greedy,
    LikelihoodRequest,
    Prompt,
    Structure,
    Task,
    Text,
    Unscored,
    Written,
)
from promptfront.search.errors import InputError, InterruptedCallError
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.pasted import pasted
from promptfront.search.evaluation.standings import Challenger, standings
from promptfront.search.storage.database import Store

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Answers, Backend

ROWS = tuple(Example((("text", f"row {i}"),), "yes" if i % 2 else "no") for i in range(8))
START = Prompt("Is it odd? Answer yes or no.", Structure(("Text",), "Answer", layout="chat"))
TASK = Task(
    "odd", "made up", START, ("text",), "label", ("no", "yes"), ROWS, ROWS, (), answers="written"
)
REPLIES = ("no", "Yes.", "The answer is no.", "yes", "yes or no", "", "blah", "**yes**")
"""What is written to the rows, in order."""
RIGHT = (1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass
class Writer:
    """Writes the replies; where a reply is a label it may say so while it scores."""

    reads_greedily: bool = True
    replies: Sequence[str | Unscored] = REPLIES
    written: list[int] = field(default_factory=list)
    model: str = "made up"
    fingerprint: str = "made up"
    max_context: int = 1000
    writes: bool = True

    def greedy(self, requests: Sequence[LikelihoodRequest]) -> list[Greedy]:
        """Say which label is written where one is to the letter; the gold one is likelier."""
        answers = []
        for request in requests:
            row = _row(request.prompt)
            labels = list(request.continuations)
            reply = self.replies[row]
            logs = tuple(-0.1 if i == row % 2 else -2.0 for i in range(len(labels)))
            answers.append(Greedy(logs, labels.index(reply) if reply in labels else None))
        return answers

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str | Unscored]:
        """Write the replies."""
        self.written += map(_row, prompts)
        return [self.replies[_row(prompt)] for prompt in prompts]

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Count words."""
        return [len(str(text).split()) for text in texts]


def _row(prompt: Text) -> int:
    return int(str(prompt[-1].content if prompt and not isinstance(prompt, str) else prompt)[-1])


def evaluator(
    writer: Writer, answers: Answers = "written", store: Store | None = None
) -> Evaluator:
    """Return what scores prompts with a model."""
    task = replace(TASK, answers=answers)
    return Evaluator(task, cast("Backend", writer), LabelScorer(), store)


@pytest.mark.parametrize("reads_greedily", [True, False])
def test_what_is_written_is_right_or_wrong(reads_greedily: bool) -> None:
    """However it is known; only where no label is written to the letter a reply is asked for."""
    writer = Writer(reads_greedily)
    ours = evaluator(writer)
    assert ours.evaluate(START, ROWS).values == RIGHT
    said = [0, 3] if reads_greedily else []
    assert writer.written == [i for i in range(len(ROWS)) if i not in said]
    assert ours.chosen(START, ROWS, ()) == ["no", "yes", "no", "yes", "", "", "", "yes"]
    assert ours.log_odds.known(START) == reads_greedily
    assert ours.reply_tokens(START, ROWS) == 12 / 8


def test_replies_without_a_label_are_told() -> None:
    """Each of them, however it is known."""
    assert evaluator(Writer()).unread(START, ROWS) == ["yes or no", "", "blah"]
    assert evaluator(Writer(), "choice").scoring.unread(TASK, START, [(-1.0, -2.0)]) == []


def test_what_was_never_written_is_unknown() -> None:
    """A filtered reply and unfinished thinking are neither right nor wrong."""
    replies = ("no", Unscored("filtered"), "<think> hm", "yes", *REPLIES[4:])
    reasons = evaluator(Writer(replies=replies)).evaluate(START, ROWS).reasons
    assert reasons == (None, "filtered", "cut", None, None, None, None, None)


def test_written_answers_are_stored(tmp_path: Path) -> None:
    """Reply and log-likelihoods come back from the database as they were."""
    path = f"sqlite:///{tmp_path}/a.db"
    first, second = Writer(), Writer()
    before = evaluator(first, store=Store(path)).measure([START], ROWS)
    assert evaluator(second, store=Store(path)).measure([START], ROWS) == before
    assert first.written
    assert not second.written
    assert cast("Written", before[0][0]).logs == (-0.1, -2.0)


def test_an_interrupted_call_keeps_its_answers() -> None:
    """Those whose reply was there, under their own rows."""

    class Stopping(Writer):
        def generate(self, prompts: Sequence[Text], **options: object) -> list[str | Unscored]:
            replies = super().generate(prompts, **options)
            raise InterruptedCallError("silent", {1: replies[1]})

    ours = evaluator(Stopping())
    with pytest.raises(InterruptedCallError) as error:
        ours.measure([START], ROWS)
    kept = error.value.answered
    assert kept[2] == Written("The answer is no.", (-0.1, -2.0))
    assert set(kept) == {0, 2, 3}


def test_the_estimate_is_of_what_is_written() -> None:
    """Labels that are likelier but not written count as little as they are written."""
    ours = evaluator(Writer())
    shouted = replace(START, instruction="IS IT ODD? yes or no")
    estimates = ours.log_odds.estimates({START: 8, shouted: 4})
    assert estimates[START].quality < 0.8 < estimates[shouted].quality


@pytest.mark.parametrize("answers", ["written", "choice"])
def test_a_prompt_that_needs_more_than_its_text_is_refused(answers: Answers) -> None:
    """Calibration, and words for labels that it does not name."""
    ours = evaluator(Writer(), answers)
    calibrated = replace(START, structure=replace(START.structure, calibration="batch"))
    with pytest.raises(InputError, match="calibration needs `answers` likelihood"):
        ours.check_answers(calibrated)
    others = (("no", "Wolf"), ("yes", "Fox"))
    unnamed = replace(START, structure=replace(START.structure, verbalizers=others))
    with pytest.raises(InputError, match=r"that the prompt does not name \(Wolf, Fox\)"):
        ours.check_answers(unnamed)
    ours.check_answers(replace(unnamed, instruction="Say fox, or wolf."))
    ours.check_answers(replace(unnamed, demonstrations=ROWS[:2]))
    evaluator(Writer(), "likelihood").check_answers(unnamed)


REASONING = replace(START, structure=replace(START.structure, reasoning="Think; {marker} last."))
REASONED = (
    "0 is no odd number, yes?\n**Answer:** no",
    "Answer: no, wait.\nAnswer: yes",
    "<think>odd: yes</think>It is even.\nAnswer: no",
    "yes",
    "It may be yes or no.\nAnswer:",
    Unscored("filtered"),
    "<think>It is even: no",
    "One says yes, one no.",
)


def test_a_label_is_read_after_the_reasoning() -> None:
    """Where a prompt asks for it; a label alone is one, and thinking is none."""
    writer = Writer(replies=REASONED)
    ours = evaluator(writer)
    evaluation = ours.evaluate(REASONING, ROWS)
    assert writer.written == list(range(len(ROWS)))
    assert evaluation.values[:5] == (1.0, 1.0, 1.0, 1.0, 0.0)
    assert evaluation.reasons[5:] == ("filtered", "cut", None)
    assert evaluation.values[7] == 0.0
    assert not ours.log_odds.known(REASONING)
    assert ours.probes.label_bias(REASONING, known=True) == ()
    assert ours.reply_tokens(REASONING, ROWS[1:4]) == (5 + 6 + 1) / 3
    assert ours.unread(REASONING, ROWS) == [REASONED[4], REASONED[6], REASONED[7]]
    first = ours.probes.answers(REASONING, ROWS[:1])[0]
    assert (first.text, first.rationale) == ("no", "0 is no odd number, yes?")
    assert pasted(ours, REASONING, ROWS) == (4 / 7, 7)


def test_one_that_reasons_races_with_those_that_do_not() -> None:
    """Either may be whom the other has to beat; the better one leads."""
    ours = evaluator(Writer(replies=[f"Answer: {row.target}" for row in ROWS]))
    silent = replace(START, instruction="Odd? yes or no")
    for incumbent, challenger in ((START, REASONING), (REASONING, silent)):
        front = [Candidate(incumbent, quality=ours.evaluate(incumbent, ROWS).quality, tokens=1)]
        one = Challenger.of(ours, challenger, front)
        assert one.incumbent == front[0]
        standing = standings(ours, {one: 4}, [incumbent])[one]
        assert standing.trial.rows == 4
        assert -0.5 < standing.lead < 0.5
        assert 0 < standing.doubt < 0.5


def test_pasted_is_what_is_written() -> None:
    """Whatever the score rests on."""
    for answers in ("written", "choice", "likelihood"):
        assert pasted(evaluator(Writer(), answers), START, ROWS) == (5 / 8, 8)


@pytest.mark.parametrize("layout", ["plain", "chat"])
def test_greedy_is_what_a_model_writes(backend: HFBackend, layout: str) -> None:
    """With a real model: the flag says of each row what writing says."""
    labels = ("no", "yes")
    texts = ["good film", "bad film\nreally", "很好 🎬", "{x}", "it is 7", "</s>"]
    for i, text in enumerate(texts):
        structure = replace(START.structure, layout="chat" if layout == "chat" else "plain")
        rows = (Example((("text", text),), labels[i % 2]),)
        task = replace(TASK, start=replace(START, structure=structure), dev=rows, test=rows)
        ours = make_evaluator(task, backend=backend)
        [[output]] = ours.measure([task.start], rows)
        assert ours.evaluate(task.start, rows).quality == pasted(ours, task.start, rows)[0]  # type: ignore[index]
        assert len(cast("Written", output).logs) == 2


def test_answers_are_written_where_they_can_be(backend: HFBackend) -> None:
    """By default; what cannot be asked for is one sentence."""
    anew = replace(TASK, answers=None)
    assert make_evaluator(anew, backend=backend).task.answers == "written"
    free = replace(anew, scorer="exact-match", labels=())
    assert make_evaluator(free, backend=backend).task.answers is None
    with pytest.raises(
        InputError, match="expected a scorer of labels, but 'exact-match' scores replies"
    ):
        make_evaluator(replace(free, answers="choice"), backend=backend)
