"""What is proposed next: new, from the history alone, and safe from mutators that misbehave."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import optuna
import pytest

from promptfront.search.contracts import (
    Candidate,
    Example,
    Gene,
    MutationContext,
    Mutator,
    NextTokens,
    Prompt,
    Structure,
    Task,
    Text,
)
from promptfront.search.errors import BackendError, InputError, InterruptedCallError, StorageError
from promptfront.search.plugins import available, load
from promptfront.search.proposals.composer import Space
from promptfront.search.proposals.sampler import make_sampler
from promptfront.search.records.trials import SLOTS, History, Outcome, Proposal, Tried

POOL = tuple(Example((("text", f"pool {i}"),), "ab"[i % 2]) for i in range(40))
DEV = tuple(Example((("text", f"dev {i}"),), "ab"[i % 2]) for i in range(9))
START = Prompt("Say a or b, please. Be careful.", Structure(("Text",), "Label"))
TASK = Task("t", "here", START, ("text",), "label", ("a", "b"), POOL, DEV, ())


FIT = "fit-verbalizers"


def context(rng: random.Random) -> MutationContext:
    """Return a context with the starting prompt on the front and a proposer that says nothing."""
    front = (Candidate(START, 0.5, 10),)
    return MutationContext(
        TASK, front, rng, lambda prompts, _: [""] * len(prompts), lambda _, rows: [0.0] * len(rows)
    )


def built_in() -> dict[str, Mutator]:
    """Return all built-in mutators."""
    names = sorted(available("promptfront.mutators"))
    return {
        name: cast("Callable[[], Mutator]", load("promptfront.mutators", name))() for name in names
    }


def tried(*prompts: Prompt) -> Tried:
    """Return prompts as written down."""
    found = Tried()
    for prompt in prompts:
        found.add(prompt)
    return found


def told(*outcomes: Outcome) -> History:
    """Return finished trials."""
    found = History()
    for outcome in outcomes:
        found.add(outcome)
    return found


def outcomes(proposals: list[Proposal]) -> History:
    """Return made-up results: more demonstrations are better."""
    start = Outcome(0, START, (), 0.5, 10, complete=True)
    return told(
        start,
        *(
            Outcome(
                i,
                p.prompt,
                p.mutators,
                0.5 + len(p.prompt.demonstrations) / 20,
                10 * i,
                complete=i % 3 == 0,
            )
            for i, p in enumerate(proposals, start=1)
            if p.prompt
        ),
    )


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
def test_same_history_same_proposals(sampler: str) -> None:
    """With every sampler a batch follows from seed, number and history, and holds new prompts but for second looks."""
    make: Callable[[], Space] = lambda: Space(built_in(), sampler, 3, context)  # noqa: E731
    first = make().compose(1, 20, tried(START), told())
    written = [START, *(p.prompt for p in first if p.prompt)]
    second = make().compose(2, 8, tried(*written), outcomes(first))
    assert second == make().compose(2, 8, tried(*written), outcomes(first))
    assert second != make().compose(3, 8, tried(*written), outcomes(first))
    again = [p.prompt for p in second if p.parents and not p.mutators]
    new = [p.prompt for p in second if p.prompt not in again]
    assert len(again) <= 2
    assert set(again) <= set(written)
    assert len({*written, *new}) == len(written) + len(new) == 29 - len(again)


@dataclass
class Bad:
    """A mutator that does whatever it is given."""

    do: Callable[[Prompt], object]
    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Misbehave."""
        return cast("Prompt", self.do(prompt))


def _raise(_: Prompt) -> object:
    raise ValueError("boom {x}")


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (_raise, "mutator 'bad' raised ValueError: boom {x}"),
        (lambda _: "a string", "must return a Prompt, but returned str"),
        (lambda _: None, "must return a Prompt, but returned NoneType"),
        (lambda p: replace(p, constraints=("x",)), "a gene of the wrong type"),
        (lambda p: replace(p, instruction=7), "a gene of the wrong type"),
        (lambda p: replace(p, demonstrations=[POOL[0]]), "a gene of the wrong type"),
        (
            lambda p: replace(p, demonstrations=POOL[:1]),
            "may change instruction only, but changed demonstrations",
        ),
    ],
)
def test_a_misbehaving_mutator_fails_its_candidate_only(
    do: Callable[[Prompt], object], says: str
) -> None:
    """Its candidates are recorded with the reason, and the others are made."""
    proposals = Space({"bad": Bad(do)}, "random", 0, context).compose(1, 6, tried(START), told())
    assert 6 == len(proposals)
    assert all(p.prompt is None and says in p.error and p.mutators == ("bad",) for p in proposals)


def test_demonstrations_from_dev_are_refused() -> None:
    """A mutator cannot leak dev or test rows into a prompt."""
    leak = Bad(lambda p: replace(p, demonstrations=DEV[:1]), "demonstrations")
    assert (
        "not in train"
        in Space({"leak": leak}, "random", 0, context).compose(1, 1, tried(START), told())[0].error
    )


def test_unknown_sampler_is_told() -> None:
    """The sentence lists the samplers."""
    with pytest.raises(InputError, match="expected one of tpe, nsga2, gp, random, found 'cma'"):
        Space({}, "cma", 0, context)


def test_alleles_are_numbered_in_the_order_found() -> None:
    """A prompt is one number per gene and back; a full gene takes no more."""
    alleles = Tried()
    for i in range(SLOTS + 1):
        alleles.add(replace(START, instruction=str(i)))
    last, first = replace(START, instruction=str(SLOTS)), replace(START, instruction="0")
    assert alleles.numbers(last) is None
    assert {
        "instruction": 0,
        "demonstrations": 0,
        "constraints": 0,
        "structure": 0,
    } == alleles.numbers(first)
    assert first == alleles.prompt(alleles.numbers(first) or {})


def test_the_proposer_is_called_once_a_batch() -> None:
    """However many mutators want to ask the model, a batch costs one call of it."""
    calls: list[int] = []

    def propose(prompts: Sequence[Text], _: int) -> list[str]:
        calls.append(len(prompts))
        return [f"Say a or b, number {len(calls)}."] * len(prompts)

    names = ("paraphrase", "induce", "random-demonstrations")
    mutators = {name: mutator for name, mutator in built_in().items() if name in names}
    space = Space(mutators, "random", 0, lambda rng: replace(context(rng), propose=propose))
    proposals = space.compose(1, 16, tried(START), told())
    assert [4] == calls
    assert len({p.prompt for p in proposals}) == 16


def test_a_fully_evaluated_prompt_is_read_both_ways() -> None:
    """What was scored without calibration is tried with it, which costs no new score; free text has no labels to calibrate."""
    history = [Outcome(0, START, (), 0.5, 10, complete=True)]
    first = Space(built_in(), "random", 0, context).compose(1, 4, tried(START), told(*history))[0]
    calibrated = replace(START, structure=replace(START.structure, calibration="batch"))
    assert Proposal(calibrated, (0,), ("calibration",)) == first
    made = context(random.Random(0))
    free = replace(made, task=replace(made.task, labels=()))
    proposals = Space(built_in(), "random", 0, lambda rng: replace(free, rng=rng)).compose(
        1, 8, tried(START), told(*history)
    )
    assert {"none"} == {p.prompt.structure.calibration for p in proposals if p.prompt}


def test_what_was_outpaced_but_looks_best_races_again() -> None:
    """Its estimate is above that of all that were evaluated in full; once it is among them it is left alone."""
    other = replace(START, instruction="A or b?")
    outpaced = [
        Outcome(0, START, (), 0.5, 10, complete=True, rows=100),
        Outcome(1, other, (), 0.8, 6, complete=False, rows=10),
        Outcome(2, replace(START, instruction="Which?"), (), 0.4, 6, complete=False, rows=10),
    ]
    space = Space({}, "random", 0, context)
    written = tried(*(o.prompt for o in outpaced if o.prompt))
    assert Proposal(other, (1,), rows=10) == space.compose(2, 1, written, told(*outpaced))[0]
    whole = Outcome(3, other, (), 0.7, 6, complete=True, rows=100)
    bad = Space({"x": Bad(lambda p: replace(p, instruction="new"))}, "random", 0, context)
    assert other != bad.compose(3, 1, written, told(*outpaced, whole))[0].prompt


def test_what_is_levelled_is_not_calibrated() -> None:
    """Calibration has no label_bias left to take away: the prompt without it is levelled, with or without a score of its own."""
    calibrated = replace(
        START, demonstrations=POOL[:12], structure=replace(START.structure, calibration="batch")
    )
    history = told(
        Outcome(0, START, (), 0.5, 10, complete=True, potential=0.5, rows=9),
        Outcome(1, calibrated, (), 0.8, 99, complete=True, potential=0.8, rows=9),
    )

    def label_bias(prompt: Prompt) -> tuple[float, ...]:
        last = sum(example.target == "b" for example in prompt.demonstrations[-4:])
        return (2.0 - last, last - 2.0)

    space = Space(built_in(), "random", 0, lambda rng: replace(context(rng), label_bias=label_bias))
    written = tried(START, calibrated)
    batches = [space.compose(number, 8, written, history) for number in range(1, 7)]
    levelled = [
        p for batch in batches for p in batch if "debias-demonstrations" in p.mutators and p.prompt
    ]
    assert levelled
    assert {"none"} == {p.prompt.structure.calibration for p in levelled if p.prompt}


def test_the_users_other_instructions_come_first_and_calibration_can_be_left_out() -> None:
    """Further instructions are the first candidates; without the mutator there are no calibrated twins."""
    mutators = {name: mutator for name, mutator in built_in().items() if name != "calibration"}
    history = [Outcome(0, START, (), 0.5, 10, complete=True)]
    found = Space(mutators, "random", 0, context, first=("A or b?", "Which?")).compose(
        1, 12, tried(START), told(*history)
    )
    assert ["A or b?", "Which?"] == [p.prompt.instruction for p in found[:2] if p.prompt]
    assert {"none"} == {p.prompt.structure.calibration for p in found if p.prompt}


def test_the_gene_whose_candidates_go_far_is_changed_most() -> None:
    """The bandit learns from what candidates gained over the starting prompt."""
    quality = {"demonstrations": 0.9, "instruction": 0.5, "constraints": 0.4, "structure": 0.5}
    mutators = built_in()
    history = [Outcome(0, START, (), 0.5, 10, complete=True)]
    for i, (name, mutator) in enumerate(list(mutators.items()) * 4, start=1):
        prompt = replace(START, instruction=f"number {i}")
        history.append(Outcome(i, prompt, (name,), quality[mutator.gene], 10, complete=False))
    proposals = Space(mutators, "random", 0, context).compose(1, 64, tried(START), told(*history))
    used = [
        mutators[name].gene
        for proposal in proposals
        for name in proposal.mutators
        if name != "calibration"
    ]
    assert used.count("demonstrations") > len(used) / 2


def test_words_are_read_again_only_where_it_paid() -> None:
    """Verbalizers are fitted once in a batch, and for another instruction only when fitted ones are on the front."""
    other = replace(START, instruction="a or b?")
    fitted = replace(
        START, structure=replace(START.structure, verbalizers=(("a", "one"), ("b", "two")))
    )

    def next_tokens(_: Prompt, rows: Sequence[Example]) -> NextTokens:
        return NextTokens(
            ("uno", "dos", "tres"),
            [(-1.0, -4.0, -9.0) if r.target == "a" else (-4.0, -1.0, -9.0) for r in rows],
        )

    def fits(front: Prompt) -> list[Proposal]:
        """Return what is fitted in some batches with this prompt on the front, once words were read after the start."""

        def make(rng: random.Random) -> MutationContext:
            return replace(context(rng), front=(Candidate(front, 0.6, 5),), next_tokens=next_tokens)

        space = Space(built_in(), "random", 0, make)
        seen, history = (
            tried(START, other, fitted),
            told(Outcome(0, START, (), 0.5, 10, complete=True)),
        )
        history.add(Outcome(1, fitted, (FIT,), 0.6, 10, complete=True))
        batches = [space.compose(number, 8, seen, history) for number in range(1, 7)]
        assert all(sum(FIT in p.mutators for p in batch) <= 1 for batch in batches)
        return [p for batch in batches for p in batch if FIT in p.mutators and p.prompt]

    assert fits(fitted)
    assert fits(START)
    assert not fits(other)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp", "random"])
@pytest.mark.parametrize("seed", [-1, 2**32, 10**30])
def test_any_whole_number_is_a_seed(name: str, seed: int) -> None:
    """What Optuna does not take is reduced; the same seed gives the same search, another one another."""

    def drawn(seed: int) -> list[float]:
        study = optuna.create_study(
            directions=["maximize", "minimize"], sampler=make_sampler(name, seed)
        )
        return [
            study.ask({"x": optuna.distributions.FloatDistribution(0, 1)}).params["x"]
            for _ in range(3)
        ]

    assert drawn(seed) == drawn(seed) == drawn(seed % 2**32) != drawn(seed + 1)


def test_a_seed_is_a_whole_number() -> None:
    """Anything else is told."""
    with pytest.raises(InputError, match="`seed`: expected a whole number"):
        make_sampler("tpe", cast("int", 1.5))


@pytest.mark.parametrize(
    "error", [InterruptedCallError("silent"), StorageError("the disk is full")]
)
def test_a_proposer_that_is_gone_ends_the_run(error: Exception) -> None:
    """What is no candidate's fault is not recorded as one's."""
    with pytest.raises(type(error)):
        composed_with(error)


def test_a_proposer_that_refuses_costs_the_candidate() -> None:
    """An error of the model that a mutator asks is the candidate's."""
    (proposal,) = composed_with(BackendError("too long"))
    assert proposal.error == "mutator 'bad' raised BackendError: too long"


def composed_with(error: Exception) -> list[Proposal]:
    """Compose one candidate with a mutator that raises."""

    def do(_: Prompt) -> object:
        raise error

    space = Space({"bad": Bad(do)}, "random", 0, context)
    return space.compose(1, 1, tried(START), History())
