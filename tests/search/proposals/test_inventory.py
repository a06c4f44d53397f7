"""The mutators of a search, and that none is known by name."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import promptfront.search
from promptfront.search.contracts import Structure, Usage, usage_of
from promptfront.search.errors import InputError
from promptfront.search.plugins import available
from promptfront.search.proposals.inventory import load_mutators

SEARCH = Path(promptfront.search.__file__).parent


def test_no_mutator_is_known_by_name() -> None:
    """What the search knows of a mutator the mutator declares: a plugin is what a built-in is."""
    # The parts of a structure are called as the mutators that change them.
    names = available("promptfront.mutators").keys() - {part.name for part in fields(Structure)}
    known = []
    for path in SEARCH.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in names:
                known.append((path.name, node.value))
    assert not known


def test_what_limits_a_mutator_keeps_what_it_declares() -> None:
    """A limit on demonstrations does not make a directed mutator one that just tries."""
    whole, limited = load_mutators(()), load_mutators((), max_demonstrations=2)
    assert {name: usage_of(m) for name, m in whole.items()} == {
        name: usage_of(m) for name, m in limited.items()
    }


def test_a_usage_of_another_kind_is_told(tmp_path: Path) -> None:
    """What a mutator declares is a `Usage`.

    Anything else is one sentence before anything is spent.
    """
    file = tmp_path / "m.py"
    file.write_text(
        "class X:\n    gene = 'instruction'\n    usage = {'asks_model': True}\n"
        "    def mutate(self, prompt, context): return prompt\n"
    )
    with pytest.raises(InputError, match=r"m\.py:X'.*expected its usage to be a Usage, found {"):
        load_mutators((f"{file}:X",))
    assert Usage() == usage_of(load_mutators(())["rewrite"])
