"""Directed mutators: when they are used, and on which prompts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from promptfront.search import optimize
from promptfront.search.contracts import (
    Candidate,
    Direction,
    Example,
    LikelihoodRequest,
    MutationContext,
    NextTokens,
    Prompt,
    Text,
)
from promptfront.search.options import Limits
from promptfront.search.proposals.composer import Composer
from promptfront.search.proposals.inventory import load_mutators, suited, token_readers
from promptfront.search.records.trials import Trial
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study
from tests.records import trial
from tests.search.evaluation.test_racing import KnownModel
from tests.search.proposals.made_up import (
    START,
    TASK,
    TRAIN,
    built_in,
    context,
    told,
    tried,
)

FIT = "fit-verbalizers"
PLUGIN = f"{Path(__file__).parents[2] / 'plugin_example' / 'fit_words.py'}:FitWords"


class Reader(KnownModel):
    """A model for pure logic that also says which words it would write next."""

    model = fingerprint = "reader"

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Tell the labels of some prompts apart better than those of others."""
        return [tuple(-self._chance(r.prompt, c) for c in r.continuations) for r in requests]

    def next_tokens(self, prompts: Sequence[Text], lead: str, most: int) -> NextTokens:
        """Write one of three words, by what the input is."""
        words = ("uno", "dos", "tres")
        return NextTokens(words, [tuple(-5 * self._chance(p, w) for w in words) for p in prompts])

    def _chance(self, *texts: object) -> float:
        return self._luck(" ".join(map(str, texts))) % 1000 / 1000


def test_what_is_debiased_is_not_calibrated() -> None:
    """Calibration has no label_bias left to take away.

    The prompt without it is debiased, with or without a score of its own.
    """
    calibrated = replace(
        START, demonstrations=TRAIN[:12], structure=replace(START.structure, calibration="batch")
    )
    history = told(
        trial(0, START, 0.5, 10, potential=0.5, rows=9),
        trial(1, calibrated, 0.8, 99, potential=0.8, rows=9),
    )

    def label_bias(prompt: Prompt) -> tuple[float, ...]:
        last = sum(example.target == "b" for example in prompt.demonstrations[-4:])
        return (2.0 - last, last - 2.0)

    composer = Composer(
        built_in(), "random", 0, lambda rng: replace(context(rng), label_bias=label_bias)
    )
    written = tried(START, calibrated)
    batches = [composer.compose(number, 8, written, history) for number in range(1, 7)]
    debiased = [
        p for batch in batches for p in batch if "debias-demonstrations" in p.mutators and p.prompt
    ]
    assert debiased
    assert {"none"} == {p.prompt.structure.calibration for p in debiased if p.prompt}


def test_words_are_read_again_only_where_it_paid() -> None:
    """Verbalizers are fitted once a batch, for a new instruction only with fitted ones ahead."""
    other = replace(START, instruction="a or b?")
    fitted = replace(
        START, structure=replace(START.structure, verbalizers=(("a", "one"), ("b", "two")))
    )

    def next_tokens(_: Prompt, rows: Sequence[Example]) -> NextTokens:
        return NextTokens(
            ("uno", "dos", "tres"),
            [(-1.0, -4.0, -9.0) if r.target == "a" else (-4.0, -1.0, -9.0) for r in rows],
        )

    def fits(front: Prompt) -> list[Trial]:
        """Return what is fitted in some batches with this prompt on the front."""

        def make(rng: random.Random) -> MutationContext:
            return replace(context(rng), front=(Candidate(front, 0.6, 5),), next_tokens=next_tokens)

        composer = Composer(built_in(), "random", 0, make)
        seen, history = (
            tried(START, other, fitted),
            told(trial(0, START, 0.5, 10)),
        )
        history.add(trial(1, fitted, 0.6, 10, mutators=(FIT,)))
        batches = [composer.compose(number, 8, seen, history) for number in range(1, 7)]
        assert all(sum(FIT in p.mutators for p in batch) <= 1 for batch in batches)
        return [p for batch in batches for p in batch if FIT in p.mutators and p.prompt]

    assert fits(fitted)
    assert fits(START)
    assert not fits(other)


def test_a_directed_plugin_is_used_as_the_built_in_is(tmp_path: Path) -> None:
    """What a mutator is it declares.

    With a plugin in a built-in one's place every trial is the same.
    """

    def trials(name: str, mutators: Sequence[str], without: Sequence[str]) -> list[object]:
        url = f"sqlite:///{tmp_path}/{name}.db"
        front = optimize(
            replace(TASK, train=TRAIN),
            backend=Reader(),
            answers="likelihood",
            budget=33,
            mutators=mutators,
            without=(*without, "diverse-demonstrations", "reflect"),
            limits=Limits(max_evaluations=4000),
            storage=url,
            study=name,
        )
        held = Study(Store(url), name)
        names = [[FIT if m == PLUGIN else m for m in o.mutators] for o in held.history().latest]
        prompts = [outcome.prompt for outcome in held.history().latest]
        return [front.evaluations, *zip(prompts, names, strict=True)]

    built = trials("built-in", (), ())
    assert built == trials("plugin", (PLUGIN,), (FIT,))
    assert any(FIT in trial[1] for trial in built[1:])  # type: ignore[index]


def test_what_rows_must_not_judge_is_left_out_where_they_are_shared() -> None:
    """A plugin that learns from rows that no prompt shows needs some.

    With few rows there are none.
    """
    mutators = load_mutators((PLUGIN,))
    shared = replace(TASK, dev=TASK.train)
    assert mutators.keys() == suited(mutators, TASK, by_reply=True).keys()
    without = mutators.keys() - suited(mutators, shared, by_reply=True).keys()
    assert {FIT, PLUGIN, "rationales"} == without
    assert [FIT, PLUGIN] == token_readers(mutators)


def test_a_directed_mutator_suits_tasks_by_their_labels() -> None:
    """Fewest and most labels say which."""
    assert [2] == [n for n in range(5) if Direction(fewest_labels=2, most_labels=2).suits(n)]
    assert [2, 3, 4] == [n for n in range(5) if Direction(fewest_labels=2).suits(n)]
    assert Direction().suits(0)


def test_mutators_alone_that_are_directed_are_tried_like_others() -> None:
    """A search that is left with them has candidates all the same."""
    composer = Composer({FIT: built_in()[FIT]}, "random", 0, context)
    assert 4 == len(composer.compose(1, 4, tried(START), told()))
