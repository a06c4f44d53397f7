"""The public names: complete, importable in any order, and with the reach of the command line."""

from __future__ import annotations

import inspect
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import promptfront.search
from promptfront.search import Limits, load_frontier, load_prompt, optimize, verify
from promptfront.search.api import export_prompt
from promptfront.search.cli.tables import plan_lines
from promptfront.search.contracts import Backend, Task, Text
from promptfront.search.errors import InputError
from promptfront.search.export.formats import format_prompt
from promptfront.search.plan import Plan
from promptfront.search.plugins import available
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from promptfront.backends.hf import HFBackend

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted(
    ".".join(("promptfront", *path.relative_to(ROOT).with_suffix("").parts))
    for folder in ("search", "mutators", "scorers", "backends")
    for path in (ROOT / folder).rglob("*.py")
    if not path.stem.startswith("__") and "_top" not in path.parts
)


def test_exported_names_are_complete_and_sorted() -> None:
    """Every public name can be had, is documented, and stands in order."""
    assert sorted(promptfront.search.__all__) == promptfront.search.__all__
    for name in promptfront.search.__all__:
        assert inspect.getdoc(getattr(promptfront.search, name))


@pytest.mark.slow
def test_every_module_can_be_imported_first() -> None:
    """There is no import order to know."""
    code = "import sys, importlib\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += (
        "    for loaded in [m for m in sys.modules if m.partition('.')[0] == 'promptfront']: del "
        "sys.modules[loaded]"
    )
    subprocess.run([sys.executable, "-c", code, *MODULES], check=True)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_search_export_verify_from_python(
    reviews: Task, tiny: Callable[..., str], tmp_path: Path
) -> None:
    """A `Task` object is searched, read back, exported and verified without the command line."""
    storage = f"sqlite:///{tmp_path}/a.db"
    plans: list[Plan] = []
    stages: list[str] = []
    found = optimize(
        reviews, model=tiny(), budget=9, seed=1, storage=storage,
        limits=Limits(max_evaluations=5000), max_demonstrations=2, on_plan=plans.append,
        on_progress=lambda p: stages.append(p.stage),
    )  # fmt: skip
    assert 9 == found.trials
    assert found.best.quality >= found.start.quality
    assert all(a.tokens < b.tokens and a.quality < b.quality for a, b in pairwise(found.front))
    assert found.best.test is not None
    assert 30 == found.best.test.n
    assert {"search", "headroom", "confirm", "test"} == set(stages) - {"simplify"}
    assert plans[0].budget == 9
    assert found == load_frontier(storage)
    document, entry = export_prompt(storage, pick="shortest")
    (tmp_path / "p.json").write_text(format_prompt(document, entry.prompt, "json"))
    assert entry.prompt == load_prompt(tmp_path / "p.json").prompt
    checked = verify(tmp_path / "p.json", reviews)
    assert (checked.exported, checked.exported_fingerprint) == (
        checked.found,
        checked.found_fingerprint,
    )
    document["scores"]["test"] = None  # as it is while a search runs
    (tmp_path / "p.json").write_text(format_prompt(document, entry.prompt, "json"))
    checked = verify(tmp_path / "p.json", reviews)
    assert ("dev", 40, checked.exported) == (checked.split, checked.n, checked.found)


class Writer:
    """A proposer that knows one instruction; it is never asked for a score."""

    model = fingerprint = "writer"
    writes = True
    answer = "Say whether this review of a film is negative or positive."

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
    ) -> list[str]:
        """Return the same instruction for every prompt."""
        return [self.answer] * len(prompts)

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Count words."""
        return [len(str(text).split()) for text in texts]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_proposals_come_from_the_proposer(
    reviews: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """Another model writes, the plan names it, and a study goes on with the same one only."""
    storage, plans = f"sqlite:///{tmp_path}/a.db", list[Plan]()
    without = sorted(available("promptfront.mutators").keys() - {"paraphrase", "induce"})
    keywords: dict[str, Any] = {
        "backend": backend,
        "budget": 4,
        "storage": storage,
        "study": "s",
        "without": without,
    }
    optimize(reviews, proposer=cast("Backend", Writer()), on_plan=plans.append, **keywords)
    tried = {prompt.instruction for prompt in Study(Store(storage), "s").history().numbers}
    assert Writer.answer in tried
    assert "proposals by writer" in "\n".join(plan_lines(plans[0]))
    with pytest.raises(InputError, match="another proposer"):
        optimize(reviews, **keywords)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_few_evaluations_mean_few_dev_rows_for_the_whole_study(
    reviews: Task, backend: HFBackend, tmp_path: Path
) -> None:
    """A full evaluation takes a tenth of the evaluations at most, or thirty.

    The plan says so, and a larger limit changes nothing.
    """
    plans: list[Plan] = []
    for budget, evaluations in ((1, 200), (2, 4000)):
        front = optimize(
            reviews, backend=backend, budget=budget, storage=f"sqlite:///{tmp_path}/a.db",
            limits=Limits(max_evaluations=evaluations), on_plan=plans.append,
            without=("debias-demonstrations", "fit-verbalizers"),
        )  # fmt: skip
        assert front.trials == budget
    assert plans[0].study == plans[1].study
    assert [30, 30] == [len(plan.task.dev) for plan in plans]
    assert any("30 of 40 dev rows" in note for note in plans[0].task.notes)


def test_a_misspelt_task_leaves_no_database(tmp_path: Path) -> None:
    """What is asked for is looked at before anything is created."""
    with pytest.raises(InputError, match="unknown task 'sentimnt'"):
        optimize("sentimnt", storage=f"sqlite:///{tmp_path}/a.db")
    assert not list(tmp_path.iterdir())
