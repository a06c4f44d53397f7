"""Mutators are held to their contract, and what breaks it costs one candidate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from promptfront.search.contracts import (
    Prompt,
)
from promptfront.search.errors import BackendError, InterruptedCallError, StorageError
from promptfront.search.proposals.composer import Composer
from promptfront.search.records.trials import History, Trial
from tests.search.proposals.made_up import (
    DEV,
    START,
    TRAIN,
    Bad,
    context,
    told,
    tried,
)


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
        (lambda p: replace(p, demonstrations=[TRAIN[0]]), "a gene of the wrong type"),
        (
            lambda p: replace(p, demonstrations=TRAIN[:1]),
            "may change instruction only, but changed demonstrations",
        ),
    ],
)
def test_a_misbehaving_mutator_fails_its_candidate_only(
    do: Callable[[Prompt], object], says: str
) -> None:
    """Its candidates are recorded with the reason, and the others are made."""
    proposals = Composer({"bad": Bad(do)}, "random", 0, context).compose(1, 6, tried(START), told())
    assert 6 == len(proposals)
    assert all(p.prompt is None and says in p.error and p.mutators == ("bad",) for p in proposals)


def test_demonstrations_from_dev_are_refused() -> None:
    """A mutator cannot leak dev or test rows into a prompt."""
    leak = Bad(lambda p: replace(p, demonstrations=DEV[:1]), "demonstrations")
    assert (
        "not in train"
        in Composer({"leak": leak}, "random", 0, context)
        .compose(1, 1, tried(START), told())[0]
        .error
    )


def composed_with(error: Exception) -> list[Trial]:
    """Compose one candidate with a mutator that raises."""

    def do(_: Prompt) -> object:
        raise error

    composer = Composer({"bad": Bad(do)}, "random", 0, context)
    return composer.compose(1, 1, tried(START), History())


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
