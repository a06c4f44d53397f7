"""Candidates that wait for a reply while others are made."""

from __future__ import annotations

from threading import Event

import pytest

from promptfront.search.contracts import Prompt, Structure
from promptfront.search.proposals.waiting import Waiting, answered
from promptfront.search.records.efforts import Effort
from promptfront.search.records.trials import Trial

STRUCTURE = Structure(("Text",), "Label")


class Elsewhere:
    """A proposer whose replies come when they are let."""

    def __init__(self) -> None:
        self.come = Event()

    def candidate(self, *texts: str) -> Trial:
        """Return what is made of replies that are asked for one after the other."""
        replies = [answered(lambda text=text: self._reply(text)) for text in texts]  # type: ignore[misc]
        return Trial(Prompt(" ".join(replies), STRUCTURE))

    def _reply(self, text: str) -> str:
        assert self.come.wait(10)
        return text


def said(trials: list[Trial]) -> list[str]:
    """Return the instructions of candidates."""
    return [trial.prompt.instruction for trial in trials if trial.prompt]


def test_one_that_asks_waits_and_the_others_go_on() -> None:
    """All asked at once; taken up in the order in which they were begun."""
    waiting, proposer = Waiting(Effort), Elsewhere()
    assert waiting.begin(lambda: proposer.candidate("a")) is None
    assert waiting.begin(lambda: proposer.candidate("b", "c")) is None
    at_once = waiting.begin(proposer.candidate)
    assert at_once is not None
    proposer.come.set()
    assert said(waiting.take_up()) == ["a", "b c"]
    assert waiting.take_up() == []


def test_outside_a_candidate_a_call_is_waited_for() -> None:
    """Nothing is left anywhere."""
    assert answered(lambda: 3) == 3


def test_what_a_call_raises_is_raised_where_the_candidate_goes_on() -> None:
    """As if it had not waited."""
    waiting = Waiting(Effort)

    def refuse() -> str:
        raise KeyError("no")

    def make() -> Trial:
        try:
            return Trial(Prompt(answered(refuse), STRUCTURE))
        except KeyError:
            return Trial(None, error="refused")

    assert waiting.begin(make) is None
    assert [trial.error for trial in waiting.take_up()] == ["refused"]


def test_what_others_spend_meanwhile_is_not_its_own() -> None:
    """Neither their evaluations nor their time."""
    total = Effort()

    def spend(evaluations: int) -> None:
        nonlocal total
        total += Effort(evaluations=evaluations, seconds=1.0)

    waiting, own = Waiting(lambda: total), list[Effort]()

    def make() -> Trial:
        before = waiting.spent()
        spend(2)
        answered(lambda: None)
        spend(1)
        own.append(waiting.spent() - before)
        return Trial(None)

    waiting.begin(make)
    waiting.begin(make)
    spend(50)
    waiting.take_up()
    assert own == [Effort(evaluations=3, seconds=2.0)] * 2


@pytest.mark.parametrize("raised", [MemoryError, KeyboardInterrupt])
def test_what_ends_a_program_is_not_kept_from_it(raised: type[BaseException]) -> None:
    """An error that no mutator may catch comes out where candidates are taken up."""
    waiting = Waiting(Effort)

    def call() -> None:
        raise raised

    def make() -> Trial:
        answered(call)
        return Trial(None)

    waiting.begin(make)
    with pytest.raises(raised):
        waiting.take_up()
