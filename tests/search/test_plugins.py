"""Plugins: found, loaded, and told what is wrong with them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from promptfront.search.contracts import GENES, MutationContext, Task
from promptfront.search.errors import InputError
from promptfront.search.plugins import available, load, mutator_from_file
from promptfront.search.proposals.inventory import load_mutators

EXAMPLES = Path(__file__).parent.parent / "plugin_example"


@pytest.mark.parametrize("group", ["tasks", "mutators", "scorers", "backends"])
def test_every_built_in_loads(group: str) -> None:
    """What the packaging promises is there."""
    found = available(f"promptfront.{group}")
    assert found
    for name in found:
        assert callable(load(f"promptfront.{group}", name))


def test_unknown_names_get_the_closest() -> None:
    """The sentence says what is installed."""
    with pytest.raises(
        InputError,
        match=r"unknown task 'sentimnt' \(did you mean 'sentiment'\?\); installed: .*sentiment",
    ):
        load("promptfront.tasks", "sentimnt")


def install(folder: Path, distribution: str, module: str, code: str) -> None:
    """Lay out a distribution that provides the task ``example``, as an installer would."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[promptfront.tasks]\nexample = {module}:make\n")
    (folder / f"{module}.py").write_text(code)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import nonsense_module\n", "ModuleNotFoundError: No module named 'nonsense_module'"),
        ("x = 1\n", "AttributeError"),
        ("def broken(:\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    """Whatever a plugin raises while it is imported, the sentence names its distribution."""
    module = f"broken_{says.partition(':')[0].lower()}"
    install(tmp_path, "acme-tasks", module, code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=f"'example' of acme-tasks cannot be imported: {says}"):
        load("promptfront.tasks", "example")


def test_two_providers_of_a_name_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither wins: the sentence names both."""
    for distribution in ("acme-tasks", "other-tasks"):
        install(
            tmp_path / distribution, distribution, distribution.replace("-", "_"), "make = print\n"
        )
        monkeypatch.syspath_prepend(tmp_path / distribution)
    with pytest.raises(
        InputError, match=r"'example' is provided by both (acme|other)-tasks and (acme|other)-tasks"
    ):
        available("promptfront.tasks")


def test_a_mutator_in_a_file() -> None:
    """The example of the documentation is a mutator, in under 15 lines of code."""
    assert mutator_from_file(f"{EXAMPLES}/polite.py:Polite").gene in GENES
    for path in (EXAMPLES / "polite.py", EXAMPLES / "promptfront_shout" / "__init__.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        assert len([line for line in code.splitlines() if line.strip()]) < 15


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        (
            "X",
            "class X:\n    gene = 'nose'\n    def mutate(self, p, c): return p\n",
            "expected a class with gene",
        ),
        ("X", "class X:\n    gene = 'instruction'\n", "expected a class with gene"),
        ("Y", "class X: pass\n", "AttributeError"),
        ("X", "import nonsense_module\n", "ModuleNotFoundError"),
        ("X", "def broken(:\n", "SyntaxError"),
        ("not a name", "", "expected path/to/file.py:Name"),
    ],
)
def test_bad_mutator_files_are_told(tmp_path: Path, name: str, code: str, says: str) -> None:
    """A mutator that cannot be made is one sentence before anything is spent."""
    (tmp_path / "m.py").write_text(code)
    with pytest.raises(InputError, match=says):
        mutator_from_file(f"{tmp_path}/m.py:{name}")


def test_missing_mutator_file_is_told() -> None:
    """A file that is not there is named."""
    with pytest.raises(InputError, match=r"there is no file nowhere\.py"):
        mutator_from_file("nowhere.py:X")


def test_a_mutator_to_leave_out_must_be_there() -> None:
    """`--without` takes names of installed mutators; a misspelt one is told with the nearest."""
    assert "calibration" not in load_mutators((), ("calibration",))
    with pytest.raises(
        InputError, match=r"`without`: there is no mutator 'calibratio'.*'calibration'"
    ):
        load_mutators((), ("calibratio",))


def test_demonstrations_have_a_limit(reviews: Task) -> None:
    """Of what is drawn the first are shown; with none allowed nothing draws."""
    context = MutationContext(reviews, (), random.Random(0), lambda *_: [], lambda *_: [])
    limited = load_mutators((), max_demonstrations=2)
    shown = [
        limited["random-demonstrations"].mutate(reviews.start, context).demonstrations
        for _ in range(20)
    ]
    assert max(map(len, shown)) == 2
    assert "demonstrations" not in {
        mutator.gene for mutator in load_mutators((), max_demonstrations=0).values()
    }
    with pytest.raises(
        InputError, match="`max_demonstrations`: expected a number of at least 0, found -1"
    ):
        load_mutators((), max_demonstrations=-1)
