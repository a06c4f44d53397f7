"""Rows longer than a model reads are cut to what its context leaves; what cannot be cut is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from promptfront.search import DataOptions, optimize
from promptfront.search.contracts import Example, Prompt, Structure, Task, Text
from promptfront.search.data.lengths import field_limit
from promptfront.search.errors import InputError
from tests.tiny import save_tiny

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def words(texts: Sequence[Text]) -> list[int]:
    """Count words."""
    return [len(str(text).split()) for text in texts]


def limit(context: int, *lengths: int, instruction: str = "Judge it.") -> tuple[int, str]:
    """Return the limit of a task whose longest row has fields of these lengths.

    Start and answer have five words or so.
    """
    names = tuple(f"f{i}" for i in range(len(lengths)))
    long, short = (
        [(name, "w " * n) for name, n in zip(names, some, strict=True)]
        for some in (lengths, lengths[::-1])
    )
    rows = (Example(tuple(long), "a"), Example(tuple(short[:1] + long[1:]), "b"))
    start = Prompt(instruction, Structure(tuple(name.upper() for name in names), "Label"))
    task = Task("t", "rows.csv", start, names, "label", ("a", "b"), rows, rows, rows)
    return field_limit(task, words, context, "small")


@pytest.mark.parametrize("lengths", [(20,), (5000,), (5000, 5000, 5000), (512, 3)])
def test_a_long_context_changes_nothing(lengths: tuple[int, ...]) -> None:
    """Where every row fits at 512 tokens a field, that is the limit."""
    assert limit(8192, *lengths) == (512, "")
    assert limit(1100, lengths[0]) == (512, "")
    assert limit(1100, 512, 480) == (512, "")


def test_half_a_short_context_is_for_inputs() -> None:
    """The rest is for other prompts; the reason is told."""
    assert limit(512, 5000) == (256, ", because the context of small has 512")
    assert limit(256, 200) == (128, ", because the context of small has 256")


def test_the_longest_fields_are_cut() -> None:
    """A short field beside a long one keeps its text; two long ones share what there is."""
    assert limit(1024, 600, 600)[0] == 256
    assert limit(1024, 5000, 100)[0] == 512
    assert limit(512, 5000, 100)[0] == 156
    assert limit(200, 3, 3)[0] == 512


def test_a_long_start_leaves_less() -> None:
    """Beside a long start inputs have the rest of the context, or the sentence says what to do."""
    assert 80 <= limit(256, 5000, instruction="w " * 150)[0] < 106
    with pytest.raises(
        InputError,
        match=r"rows.csv: the starting prompt has 249 .*\(256 tokens\) .* shorten the prompt",
    ):
        limit(256, 5000, instruction="w " * 247)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("fields", [1, 2])
def test_a_search_on_long_rows_reaches_its_table(kind: str, fields: int, tmp_path: Path) -> None:
    """A model of few tokens is searched on rows of many, which are cut with a note."""
    body = [
        f"{i} {'warm and funny film' if i % 2 else 'dull'} "
        f"{'b ' * 400},{'good' if i % 2 else 'bad'}"
        for i in range(16)
    ]
    more = [f"{'c ' * 300}{i}," if fields > 1 else "" for i in range(16)]
    lines = [
        f"{'more,' if fields > 1 else ''}text,label",
        *(m + b for m, b in zip(more, body, strict=True)),
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    notes: list[str] = []
    found = optimize(
        None,
        data=DataOptions(str(tmp_path / "rows.csv"), input_columns=("more", "text")[2 - fields :]),
        model=save_tiny(tmp_path, kind, context=192),
        budget=3,
        without=("debias-demonstrations", "fit-verbalizers"),
        storage=f"sqlite:///{tmp_path}/a.db",
        on_plan=lambda plan: notes.extend(plan.task.notes),
    )
    assert found.trials == 3
    assert [
        note
        for note in notes
        if note.startswith("16 dev or test rows over") and note[-3:] in ("192", "191")
    ]
