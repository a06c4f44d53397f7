"""Plugins: found by entry point, the built-in ones included, or in a file of the user's own."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .contracts import GENES
from .errors import InputError

if TYPE_CHECKING:
    from .contracts import Mutator


def available(group: str) -> dict[str, EntryPoint]:
    """Return what is installed under an entry-point group such as ``promptfront.mutators``, by name.

    Raises
    ------
    InputError
        If two distributions provide the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise InputError(
                f"{group}: {point.name!r} is provided by both {_distribution(other)} and {_distribution(point)}; uninstall one of them"
            )
    return found


def load(group: str, name: str) -> object:
    """Return what an entry point names.

    Raises
    ------
    InputError
        If nothing of that name is installed, or it cannot be imported.
    """
    found = available(group)
    if name not in found:
        kind = group.rsplit(".", 1)[1].removesuffix("s")
        raise InputError(f"unknown {kind} {name!r}{closest(name, found)}; installed: {', '.join(found) or 'none'}")
    try:
        return found[name].load()
    except Exception as error:  # (a plugin's own code, run for the first time)
        raise InputError(
            f"{group}: {name!r} of {_distribution(found[name])} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def mutator_from_file(text: str) -> Mutator:
    """Return the mutator named by ``path/to/file.py:Name``.

    Raises
    ------
    InputError
        If the file, the name or what it names is not a mutator.
    """
    made_by: Any = from_file("--mutator", text)
    try:
        made = made_by()
    except Exception as error:  # (the user's own code, run for the first time)
        raise InputError(f"--mutator {text}: {type(error).__name__}: {error}") from error
    if getattr(made, "gene", None) not in GENES or not callable(getattr(made, "mutate", None)):
        raise InputError(
            f"--mutator {text}: expected a class with gene (one of {', '.join(GENES)}) and mutate(prompt, context)"
        )
    return cast("Mutator", made)


def from_file(option: str, text: str) -> object:
    """Return what ``path/to/file.py:name`` names.

    Raises
    ------
    InputError
        If there is no such file or name, or the file cannot be run.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py") or not name.isidentifier():
        raise InputError(f"{option}: expected path/to/file.py:Name, found {text!r}")
    if not Path(path).is_file():
        raise InputError(f"{option} {text}: there is no file {path}")
    module_name = f"promptfront_user_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{option} {text}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
        found: object = getattr(module, name)
    except Exception as error:  # (the user's own code, run for the first time)
        raise InputError(f"{option} {text}: {type(error).__name__}: {error}") from error
    return found


def closest(name: str, known: Iterable[str]) -> str:
    """Return a "did you mean" for a misspelt name, or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"
