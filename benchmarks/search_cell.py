"""One cell of benchmarks/search.py: an optimizer on a task with a seed, and its record."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from search_arena import Arena, Incumbent
from search_table import SHARES
from search_tasks import hand_prompts, instructions, load_bench_task

from promptfront.search import budget, optimize
from promptfront.search.assembly import make_evaluator
from promptfront.search.options import Limits
from promptfront.search.proposals import composer
from promptfront.search.storage.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from search_arena import Meter

    from promptfront.search.contracts import Backend, Prompt, Task
    from promptfront.search.evaluation.evaluator import Evaluator

CANDIDATES = 100_000
"""More than any budget of evaluations lets be tried."""


class Cell(NamedTuple):
    """A task, an optimizer and a seed."""

    task: str
    optimizer: str
    seed: int

    def __str__(self) -> str:
        return "-".join(map(str, self))


class Setting(NamedTuple):
    """What all cells have in common; ``rows`` of train, dev and test.

    Without a ``proposer`` the model writes for itself.
    """

    out: Path
    data_dir: Path
    model: str | None
    dtype: str
    rows: tuple[int, int, int]
    evaluations: int
    seconds: float
    proposer: Backend | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """promptfront as it is, or with a part of it switched off, or from what a person wrote."""

    calibrated: bool = False
    sampler: str = "tpe"
    without: tuple[str, ...] = ()
    racing: bool = True
    bandit: bool = True
    reasoning: bool | None = None
    from_hand: bool = False


OURS = {
    "promptfront": Variant(),
    "promptfront-from-hand": Variant(from_hand=True),
    "promptfront-calibrated": Variant(calibrated=True),
    "promptfront-random": Variant(sampler="random"),
    "promptfront-no-fitting": Variant(without=("fit-verbalizers",)),
    "promptfront-no-levelling": Variant(without=("debias-demonstrations",)),
    "promptfront-no-model": Variant(without=("paraphrase", "induce", "crossover")),
    "promptfront-no-definitions": Variant(without=("define-labels",)),
    "promptfront-no-reflection": Variant(without=("reflect", "from-history", "ground", "merge")),
    "promptfront-reasoning": Variant(reasoning=True),
    "promptfront-no-racing": Variant(racing=False),
    "promptfront-no-bandit": Variant(bandit=False),
}


def run_cell(cell: Cell, setting: Setting, backend: Backend, meter: Meter) -> dict[str, Any]:
    """Run one optimizer on one task and return its record."""
    written = setting.model is not None
    task = load_bench_task(cell.task, setting.data_dir, cell.seed, setting.rows, written=written)
    evaluator = make_evaluator(task, backend=backend)
    arena = Arena(
        evaluator,
        instructions(cell.task),
        setting.evaluations,
        cell.seed,
        hand_prompts(cell.task, setting.data_dir, task.start.structure),
        setting.seconds,
    )
    shares = () if setting.model else SHARES
    started, read, wrote = time.perf_counter(), meter.read, meter.written
    if cell.optimizer in OURS:
        variant, database = OURS[cell.optimizer], setting.out / f"{cell}.db"
        held = run_ours(arena, variant, shares, database, setting.proposer)
    else:
        held = run_peer(arena, cell.optimizer, course=bool(shares))
    seconds = time.perf_counter() - started
    read, wrote = meter.read - read, meter.written - wrote
    tester = _Tester(task, backend, setting.out)
    return {
        **cell._asdict(),
        "model": setting.model,
        "scoring": backend.scoring,
        "answers": task.answers,
        "rows": setting.rows,
        "evaluations": setting.evaluations,
        "spent": arena.spent,
        "seconds": round(held[-1].seconds if shares and cell.optimizer in OURS else seconds, 1),
        "read": read,
        "written": wrote,
        "proposer_calls": arena.proposer_calls,
        "proposer_seconds": round(arena.proposer_seconds, 1),
        "dev": held[-1].quality,
        "held": {
            share: tester.test(_held_at(held, share * setting.evaluations)) for share in shares
        }
        | {1.0: tester.test(held[-1])},
        "front": [
            tester.test(Incumbent(0, 0, prompt, 0.0)) for prompt in dict.fromkeys(arena.front)
        ],
        "start": tester.test(Incumbent(0, 0, task.start, 0.0)),
    }


def run_ours(
    arena: Arena,
    variant: Variant,
    shares: tuple[float, ...],
    database: Path,
    proposer: Backend | None,
) -> list[Incumbent]:
    """Run promptfront on the arena's task; the test rows stay outside.

    As it is, it runs once with each share of the evaluations as its budget; with a part switched
    off, with all of them.
    """
    start, *others = arena.hand if variant.from_hand else (arena.task.start,)
    task = replace(
        arena.task,
        test=arena.task.test[:2],
        start=start,
        starts=tuple(others),
        instructions=() if variant.from_hand else arena.instructions[1:],
    )
    calibration = () if variant.calibrated else ("calibration",)
    held = []
    for share in (*(shares if variant == Variant() else ()), 1.0):
        started = time.perf_counter()
        with _switched_off(variant):
            front = optimize(
                task,
                backend=arena.evaluator.backend,
                proposer=proposer,
                reasoning=variant.reasoning,
                budget=CANDIDATES,
                seed=arena.seed,
                sampler=variant.sampler,
                without=(*variant.without, *calibration),
                limits=Limits(max_evaluations=round(share * arena.evaluations)),
                storage=f"sqlite:///{database}",
                study=f"share-{share}",
            )
        best = front.best
        claimed = best.confirmation.score if best.confirmation else best.quality
        held.append(
            Incumbent(front.evaluations, time.perf_counter() - started, best.prompt, claimed)
        )
    arena.spent = front.evaluations
    arena.front = [entry.prompt for entry in front.front] if shares else []
    return held


@contextmanager
def _switched_off(variant: Variant) -> Iterator[None]:
    """Take a part out of promptfront: a user has no switch for these two."""
    with ExitStack() as stack:
        if not variant.racing:
            stack.enter_context(patch.object(budget, "blocks", lambda examples: [examples]))
        if not variant.bandit:
            any_mutator = lambda mutators, _, __, rng, *_more: rng.choice(sorted(mutators))  # noqa: E731
            stack.enter_context(patch.object(composer, "choose_mutator", any_mutator))
        yield


def run_peer(arena: Arena, name: str, *, course: bool) -> list[Incumbent]:
    """Run a peer in the arena; all that it held counts as its front where its course is wanted."""
    from peers import PEERS

    PEERS[name](arena)
    held: list[Incumbent] = arena.incumbents
    if course:
        arena.front = [incumbent.prompt for incumbent in held]
    return held


def _held_at(held: list[Incumbent], evaluations: float) -> Incumbent | None:
    return next((i for i in reversed(held) if i.evaluations <= evaluations), None)


class _Tester:
    """Tests prompts; what the model answered is kept for other cells."""

    def __init__(self, task: Task, backend: Backend, out: Path) -> None:
        store = Store(f"sqlite:///{out}/answers.db")
        self.evaluator: Evaluator = make_evaluator(task, backend=backend, store=store)

    def test(self, incumbent: Incumbent | None) -> dict[str, Any] | None:
        """Return what a prompt gives on the test rows; calibration offsets are of dev inputs.

        Of each row its id, gold label, the reply, and the label read in it.
        """
        if incumbent is None:
            return None
        evaluator, prompt = self.evaluator, incumbent.prompt
        rows = evaluator.task.test
        offsets = (
            evaluator.evaluate(prompt, evaluator.task.dev).offsets
            if prompt.structure.calibration == "batch"
            else ()
        )
        right = [value == 1.0 for value in evaluator.evaluate(prompt, rows, offsets).values]
        answers = Arena(evaluator, (), 0, 0).answers(prompt, rows)
        return {
            "accuracy": sum(right) / len(right),
            "right": "".join(str(int(value)) for value in right),
            "tokens": evaluator.tokens.of_prompt(prompt),
            "evaluations": incumbent.evaluations,
            "seconds": round(incumbent.seconds, 1),
            "prompt": _described(prompt),
            "answers": [
                (row.id, row.target, answer.reply, answer.label)
                for row, answer in zip(rows, answers, strict=True)
            ],
        }


def _described(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt as plain values: its demonstrations by their ids, without the data's text."""
    shown = [{"row": row.id, "answer": row.target} for row in prompt.demonstrations]
    return asdict(replace(prompt, demonstrations=())) | {"demonstrations": shown}
