"""What fails at one candidate costs that candidate.

Only what makes every further number impossible ends a run.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from promptfront.backends.hf import HFBackend
from promptfront.scorers.labels import LabelScorer
from promptfront.search import DataOptions, Limits, load_frontier, optimize
from promptfront.search.data.load_task import load_task
from promptfront.search.errors import BackendError, InputError, InterruptedCallError, StorageError
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.evaluation.racing import race
from promptfront.search.scoring import Metric
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study
from promptfront.search.storage.trials import CANDIDATE
from tests.search.evaluation.test_racing import START, TASK, KnownModel, prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from promptfront.search.contracts import Backend, Example, LikelihoodRequest, Text

_ASKING_MUTATORS = (
    *("crossover", "define-labels", "from-history", "ground", "induce", "merge", "paraphrase"),
    *("reflect", "rewrite-sentence"),
)
_SLOW = ("debias-demonstrations", "fit-verbalizers")
GOOD, BAD, WORSE = prompt(60), prompt(61), prompt(62)


class Failing(KnownModel):
    """A model that raises at prompts whose instruction is one of some."""

    def __init__(self, refused: Sequence[str], error: Exception) -> None:
        super().__init__()
        self.refused, self.error = refused, error

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Refuse the whole call because of one of its prompts."""
        if any(
            str(request.prompt).startswith(text) for request in requests for text in self.refused
        ):
            raise self.error
        return super().loglikelihoods(requests)


def raced(model: KnownModel, *, store: Store | None = None) -> dict[str, str]:
    """Race three prompts; return the errors by instruction."""
    evaluator = Evaluator(TASK, cast("Backend", model), LabelScorer(), store)
    found = race(evaluator, dict.fromkeys((GOOD, BAD, WORSE), 0), [], [], lambda *_: None)
    return {prompt.instruction: finish.error for prompt, finish in found.items()}


def test_an_error_costs_the_candidates_it_belongs_to() -> None:
    """Of a call that fails the prompts at fault are found, and the others race on."""
    errors = raced(Failing(["61"], BackendError("too long")))
    assert errors == {"60": "", "61": "too long", "62": ""}


def test_all_of_a_batch_may_fail() -> None:
    """If the starting prompt can still be scored, the next batch may fare better."""
    assert set(raced(Failing(["60", "61", "62"], BackendError("refused"))).values()) == {"refused"}


def test_a_model_that_is_gone_ends_the_run() -> None:
    """If not even the starting prompt can be scored any more, no candidate is blamed."""
    with pytest.raises(BackendError, match="the key was revoked"):
        raced(Failing([""], BackendError("the key was revoked")))


@pytest.mark.parametrize(
    "error", [InterruptedCallError("silent"), StorageError("the disk is full"), KeyboardInterrupt()]
)
def test_what_is_nobodys_fault_goes_on(error: BaseException) -> None:
    """A silent server, a failing database and Ctrl-C end a run at once."""
    with pytest.raises(type(error)):
        raced(Failing(["61"], cast("Exception", error)))


def search(task: Any, score: Callable[[str, Example], float | None], url: str) -> list[str]:
    """Search on replies; return the errors of the trials."""
    import promptfront.search.api as api

    task = replace(task, labels=(), scorer="own", instructions=("10", "70 x", "80 x"))
    evaluator = Evaluator(task, cast("Backend", KnownModel()), Metric("own", score), Store(url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "make_evaluator", lambda *_, **__: evaluator)
        optimize(
            task, budget=6, backend=cast("Backend", KnownModel()), storage=url, limits=Limits()
        )
    study = Study(Store(url), load_frontier(url).study)
    return [trial.user_attrs[CANDIDATE].get("error", "") for trial in study.trials()]


def test_a_scorer_that_raises_costs_the_candidate(tmp_path: Path) -> None:
    """A user's scorer that fails on a candidate's replies is that candidate's error alone."""

    def score(reply: str, _: Example) -> float:
        if reply < "0.30":
            raise ValueError("what is this?")
        return float(reply)

    errors = search(TASK, score, f"sqlite:///{tmp_path}/a.db")
    assert len(errors) == 6
    assert [error for error in errors if "ValueError: what is this?" in error]
    assert not errors[0]


def test_a_scorer_that_raises_at_the_start_is_told(tmp_path: Path) -> None:
    """The starting prompt's error is the run's."""
    with pytest.raises(InputError, match="ZeroDivisionError"):
        search(TASK, lambda *_: 1 / 0, f"sqlite:///{tmp_path}/a.db")


@pytest.mark.parametrize("method", ["answers", "fit", "score"])
def test_a_scorer_of_ones_own_that_raises_is_told(method: str, tmp_path: Path) -> None:
    """Whatever a class raises is a sentence with its name."""
    scorer = LabelScorer()

    def fail(*_: object) -> None:
        raise KeyError("colour")

    task = replace(
        TASK,
        scorer="own.py:Own",
        start=replace(START, structure=replace(START.structure, calibration="batch")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LabelScorer, method, fail)
        evaluator = Evaluator(task, cast("Backend", KnownModel()), scorer)
        with pytest.raises(InputError, match=r"the scorer 'own.py:Own' raised KeyError: 'colour'"):
            evaluator.evaluate(task.start, task.dev[:10])


def test_an_error_in_the_test_leaves_the_front(tmp_path: Path) -> None:
    """Where the held-out rows cannot be scored, the sentence says that results so far are saved."""
    held = tuple(
        replace(row, inputs=(("text", f"held {row.inputs[0][1]}"),)) for row in TASK.dev[:8]
    )
    known = {row.inputs for row in TASK.dev}

    def score(reply: str, example: Example) -> float:
        return float(reply) if example.inputs in known else 1 / 0

    url = f"sqlite:///{tmp_path}/a.db"
    with pytest.raises(InputError, match=r"ZeroDivisionError.*the results so far are saved"):
        search(replace(TASK, test=held), score, url)
    assert load_frontier(url).trials == 6


def write_rows(folder: Path, answers: Sequence[str]) -> str:
    """Write rows and return the file."""
    rows = [
        f"{word} film number {i},{answers[k]}"
        for i in range(6)
        for k, word in enumerate(("a funny", "a dull"))
    ]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]))
    return str(folder / "rows.csv")


def trials(url: str) -> list[dict[str, Any]]:
    """Return what the study's trials hold."""
    return [t.user_attrs[CANDIDATE] for t in Study(Store(url), load_frontier(url).study).trials()]


@pytest.mark.parametrize("kind", ["base", "gemma", "mistral", "gpt2", "opt", "t5", "bert"])
def test_every_kind_of_model_reaches_its_table(
    kind: str, tiny: Callable[..., str], tmp_path: Path
) -> None:
    """Models of all kinds, with and without a chat template, are searched; no candidate fails."""
    url = f"sqlite:///{tmp_path}/a.db"
    data = DataOptions(write_rows(tmp_path, ("good", "bad")))
    found = optimize(None, data=data, model=tiny(kind), budget=8, storage=url, without=_SLOW)
    assert found.trials == 8
    assert found.best.test is not None
    assert not [trial["error"] for trial in trials(url) if "error" in trial]


@pytest.mark.parametrize("kind", ["base", "t5"])
def test_models_without_chat_write_free_text(
    kind: str, tiny: Callable[..., str], tmp_path: Path
) -> None:
    """A free-text task is searched where the model writes, without a chat template too."""
    url = f"sqlite:///{tmp_path}/a.db"
    data = DataOptions(write_rows(tmp_path, ("it is funny", "it is dull")), scorer="chrf")
    task = replace(load_task(None, **asdict(data)), max_tokens=4)
    optimize(task, model=tiny(kind), budget=3, storage=url)
    assert len(trials(url)) == 3


_ASKING = """
from dataclasses import asdict, replace
from promptfront.search.contracts import Message, Usage

class Ask:
    gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt, context):
        turns = Message("system", "Be brief."), Message("user", "Say good or bad.")
        reply = context.propose([turns], 3)[0]
        return replace(prompt, instruction=f"{prompt.instruction} {len(reply)}")
"""


def test_proposals_are_asked_for_in_plain_text(tiny: Callable[..., str], tmp_path: Path) -> None:
    """A proposer without a chat template gets the turns as text up to the answer."""
    asked: list[Text] = []

    class Noting(HFBackend):
        def generate(self, prompts: Sequence[Text], **options: Any) -> list[str]:
            written = super().generate(prompts, **options)
            asked.extend(prompts)
            return written

    (tmp_path / "own.py").write_text(_ASKING)
    data = DataOptions(write_rows(tmp_path, ("good", "bad")))
    options: dict[str, Any] = {
        "mutators": [f"{tmp_path}/own.py:Ask"],
        "without": [*_ASKING_MUTATORS, *_SLOW],
    }
    optimize(
        None,
        data=data,
        backend=Noting(tiny("base")),
        answers="choice",
        budget=8,
        storage=f"sqlite:///{tmp_path}/a.db",
        **options,
    )
    assert set(asked) == {"Be brief.\n\nSay good or bad.\n\nAnswer:"}


def test_a_model_that_cannot_write_has_no_proposals(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    """Mutators that ask a model are left out with a note where the model is a masked one."""
    (tmp_path / "own.py").write_text(_ASKING)
    notes: list[str] = []
    data = DataOptions(write_rows(tmp_path, ("good", "bad")))
    url = f"sqlite:///{tmp_path}/a.db"
    own = f"{tmp_path}/own.py:Ask"
    optimize(
        None,
        data=data,
        model=tiny("bert"),
        budget=8,
        mutators=[own],
        without=_SLOW,
        storage=url,
        on_plan=lambda plan: notes.extend(plan.task.notes),
    )
    assert [
        note
        for note in notes
        if f"cannot generate text, so these mutators are off: {', '.join([*_ASKING_MUTATORS, own])}"
        in note
    ]
    assert not {*_ASKING_MUTATORS, own} & {name for t in trials(url) for name in t["mutators"]}
