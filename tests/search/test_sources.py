"""What a scorer or mutator file is made of decides numbers: it is part of a study's identity."""

from __future__ import annotations

import datetime
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.backends import chat
from promptfront.search.api import export_prompt, optimize
from promptfront.search.errors import InputError, VerificationError
from promptfront.search.export.verify import verify
from promptfront.search.options import DataOptions
from promptfront.search.plugins import from_file
from promptfront.search.scoring import load_scorer
from promptfront.search.sources import source_hash
from promptfront.search.storage.config import own_sources
from tests.tiny import TEMPLATE, byte_tokenizer, save_tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCORER = "import near\ndef mine(reply, example):\n    return near.VALUE\n"


def scorer(folder: Path, value: str = "0.9", code: str = SCORER) -> str:
    """Write a scorer and what it imports, and return its name."""
    folder.mkdir(exist_ok=True)
    (folder / "s.py").write_text(code)
    (folder / "near.py").write_text(f"VALUE = {value}\n")
    return f"{folder}/s.py:mine"


def run(scorer: str, model: str, storage: str, **more: Any) -> Any:
    """Search a moment for a prompt that a scorer of one's own likes."""
    rows = "\n".join(f"question {i},answer {i}" for i in range(20))
    data = storage.removeprefix("sqlite:///") + ".csv"
    with open(data, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"text,answer\n{rows}\n")
    options = DataOptions(data=data, scorer=scorer)
    return optimize(None, budget=1, model=model, data=options, storage=storage, **more)


def test_another_scorer_source_is_another_study(tmp_path: Path, tiny: Callable[..., str]) -> None:
    """After an edit of what a scorer imports no old number is left.

    By default a new study, under a name a sentence.
    """
    model, storage = tiny("llama"), f"sqlite:///{tmp_path}/x.db"
    name = scorer(tmp_path / "a")
    first = run(name, model, storage)
    assert first.best.quality == pytest.approx(0.9)
    assert run(name, model, storage).study == first.study
    scorer(tmp_path / "a", "0.1")
    second = run(name, model, storage)
    assert second.study != first.study
    assert second.best.quality == pytest.approx(0.1)
    with pytest.raises(
        InputError, match=f"study '{first.study}' was started with another scorer source: choose"
    ):
        run(name, model, storage, study=first.study)


def test_the_source_is_all_that_is_imported_from_beside(tmp_path: Path) -> None:
    """Modules, packages, relative imports and imports within functions count.

    Other files, line ends and spelling do not.
    """
    code = "def mine(reply, example):\n    from box.inner import value\n    return value\n"
    name = scorer(tmp_path / "a", code=code)
    box = tmp_path / "a" / "box"
    box.mkdir()
    (box / "__init__.py").write_text("from . import other\n")
    (box / "inner.py").write_text("from .deep import value\n")
    (box / "deep.py").write_text("import s\nvalue = 1\n")
    (box / "other.py").write_text("")
    seen = [source_hash([name])]
    assert from_file("--scorer", name)("", None) == 1  # type: ignore[operator]
    (tmp_path / "a" / "unused.py").write_text("x = 1")
    (tmp_path / "a" / "near.py").write_text("x = 1")
    (tmp_path / "a" / "s.py").write_bytes(code.replace("\n", "\r\n").encode())
    assert seen == [source_hash([f"{tmp_path}/a/../a/s.py:mine"])]
    for file in ("box/__init__.py", "box/inner.py", "box/deep.py", "box/other.py", "s.py"):
        (tmp_path / "a" / file).write_text((tmp_path / "a" / file).read_text() + "# changed\n")
        seen.append(source_hash([name]))
    assert len(set(seen)) == 6
    weighted = f"0.5*exact-match+0.5*{name}"
    assert source_hash([weighted]) == seen[-1]
    assert source_hash([f"0.5*{name}+0.5*{scorer(tmp_path / 'b')}"]) not in (seen[-1], None)


def test_what_is_built_in_adds_nothing() -> None:
    """The identity of a study without files of one's own has no further keys."""
    for name in ("labels", "exact-match", "0.5*exact-match+0.5*rouge-l"):
        assert own_sources(name) == {}


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    """Each has the module that lies beside it, and sees it as it is now."""
    names = [scorer(tmp_path / folder, value) for folder, value in (("a", "0.1"), ("b", "0.2"))]
    assert [from_file("--scorer", n)("", None) for n in names] == [0.1, 0.2]  # type: ignore[operator]
    scorer(tmp_path / "a", "0.3")
    assert from_file("--scorer", names[0])("", None) == 0.3  # type: ignore[operator]
    assert from_file("--scorer", names[1])("", None) == 0.2  # type: ignore[operator]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def mine(:", "SyntaxError"),
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("from . import near", "ImportError"),
        ("mine = '\0'", "(SyntaxError|ValueError)"),
        ("x = 1", "AttributeError"),
    ],
)
def test_a_file_that_cannot_be_run_is_told(tmp_path: Path, code: str, says: str) -> None:
    """Whatever it does, it is one sentence."""
    with pytest.raises(InputError, match=f"`scorer` .*s.py:mine: {says}"):
        load_scorer(scorer(tmp_path / "a", code=code))
    (tmp_path / "a" / "s.py").write_bytes(b"mine = '\xff'\n")
    with pytest.raises(InputError, match=r"s\.py:mine: SyntaxError"):
        load_scorer(f"{tmp_path}/a/s.py:mine")


def test_what_a_file_prints_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output holds results alone."""
    load_scorer(scorer(tmp_path / "a", code=f"print('hello')\n{SCORER}"))
    assert capsys.readouterr() == ("", "hello\n")


class DatedModel:
    """A model whose template writes the day."""

    def __init__(self, backend: Any) -> None:
        self._backend, self.date, self.writes_date = backend, "2026-03-01", True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @property
    def fingerprint(self) -> str:
        """Identifies the model and its day."""
        return f"{self._backend.fingerprint}{self.date}"


def test_a_study_keeps_the_day_that_its_model_is_told(
    tmp_path: Path, tiny: Callable[..., str]
) -> None:
    """Continued on another day it is the same study, of the first day.

    The plan and the export say which.
    """
    from promptfront.backends.hf import HFBackend

    storage, rows = f"sqlite:///{tmp_path}/x.db", tmp_path / "x.csv"
    labels = [f"{w} film {i},{w}" for i in range(10) for w in ("good", "bad")]
    rows.write_text("\n".join(["text,label", *labels]))
    model, found, notes = DatedModel(HFBackend(tiny("llama"))), [], []
    for day in ("2026-03-01", "2026-03-02"):
        model.date = day
        found.append(
            optimize(
                None, budget=1, data=DataOptions(data=str(rows)), backend=model, storage=storage,
                on_plan=lambda plan: notes.append(plan.task.notes[-1]),
            )
        )  # fmt: skip
        assert model.date == "2026-03-01"
    assert found[0].study == found[1].study
    assert notes == ["the chat template contains the date; this study always uses 2026-03-01"] * 2
    assert export_prompt(storage)[0]["model"]["date"] == "2026-03-01"


def test_an_export_is_verified_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real template writes the day of the search, so the number is the same.

    Told another day it would not be.
    """
    storage, template = f"sqlite:///{tmp_path}/x.db", "{{ strftime_now('%d %b %Y') }}\n" + TEMPLATE
    model = save_tiny(tmp_path / "model", tokenizer=byte_tokenizer(template))
    found = list[float]()
    for day in ("2020-02-03", "2021-12-31"):
        days = SimpleNamespace(
            today=lambda day=day: datetime.date.fromisoformat(day),
            fromisoformat=datetime.date.fromisoformat,
        )
        monkeypatch.setattr(
            chat, "datetime", SimpleNamespace(date=days, datetime=datetime.datetime)
        )
        if not found:
            run("likelihood", model, storage)
            document, _ = export_prompt(storage)
            (tmp_path / "best.json").write_text(json.dumps(document))
        found.append(verify(tmp_path / "best.json").found)
    assert document["model"]["date"] == "2020-02-03"
    assert found == [pytest.approx(document["scores"]["dev"]["score"], rel=1e-6)] * 2
    document["model"]["date"] = "2021-12-31"
    (tmp_path / "best.json").write_text(json.dumps(document))
    with pytest.raises(VerificationError, match="another model, tokenizer or dtype"):
        verify(tmp_path / "best.json")
