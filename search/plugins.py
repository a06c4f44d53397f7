"""Plugins: found by entry point, the built-in ones included, or in a file of the user's own."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import os
import sys
from contextlib import redirect_stdout
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from .contracts import GENES
from .errors import InputError
from .sources import modules_beside

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .contracts import Mutator

_OURS = "promptfront"


def available(group: str) -> dict[str, EntryPoint]:
    """Return what is installed under a group such as ``promptfront.mutators``, by name.

    Raises
    ------
    InputError
        If two distributions provide the same name.
    """
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            raise InputError(
                f"{group}: {point.name!r} is provided by both {_distribution(other)} and "
                f"{_distribution(point)}; uninstall one of them"
            )
    return points


def load(group: str, name: str) -> object:
    """Return what an entry point names.

    Raises
    ------
    InputError
        If nothing of that name is installed, or it cannot be imported.
    """
    points = available(group)
    if name not in points:
        kind = group.rsplit(".", 1)[1].removesuffix("s")
        raise InputError(
            f"unknown {kind} {name!r}{closest(name, points)}; "
            f"installed: {', '.join(points) or 'none'}"
        )
    try:
        return points[name].load()
    except Exception as error:  # (a plugin's own code, run for the first time)
        raise InputError(
            f"{group}: {name!r} of {_distribution(points[name])} cannot be imported: "
            f"{type(error).__name__}: {error}{_remedy(error)}"
        ) from error


def _remedy(error: Exception) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return f"; pip install {missing.partition('.')[0]}" if missing else ""


def mutator_from_file(text: str) -> Mutator:
    """Return the mutator named by ``path/to/file.py:Name``.

    Raises
    ------
    InputError
        If the file, the name or what it names is not a mutator.
    """
    made_by: Any = from_file("mutators", text)
    try:
        made = made_by()
    except (Exception, SystemExit) as error:  # (the user's own code, run for the first time)
        raise InputError(f"`mutators` {text}: {type(error).__name__}: {error}") from error
    if getattr(made, "gene", None) not in GENES or not callable(getattr(made, "mutate", None)):
        raise InputError(
            f"`mutators` {text}: expected a class with gene (one of {', '.join(GENES)}) and "
            "mutate(prompt, context)"
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
        raise InputError(f"`{option}`: expected path/to/file.py:Name, found {text!r}")
    if not Path(path).is_file():
        raise InputError(f"`{option}` {text}: there is no file {path}")
    try:
        with redirect_stdout(sys.stderr):  # what it prints is not a result
            plugin: object = getattr(_run(Path(path).resolve()), name)
    except (Exception, SystemExit) as error:  # (the user's own code, run for the first time)
        raise InputError(f"`{option}` {text}: {type(error).__name__}: {error}") from error
    return plugin


def _run(path: Path) -> ModuleType:
    """Run a file as a module that may import what lies beside it; that is read anew each time.

    Files of one name in two folders are two modules, and so are the modules beside them.
    """
    module = ModuleType(
        f"promptfront_user_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    )
    module.__file__, module.__package__ = str(path), ""
    for other in modules_beside(path) | _beside:
        if other in _beside or _is_users(sys.modules.get(other)):
            sys.modules.pop(other, None)
    _beside.clear()
    importlib.invalidate_caches()
    beside = {name for name in modules_beside(path) if name not in sys.modules}
    folder, wrote = str(path.parent), sys.dont_write_bytecode
    # Compiled files are told apart by second and size: one that was just edited could be mistaken.
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 (the user's own code)
    finally:
        sys.dont_write_bytecode = wrote
        # What is imported when it is called is found last: nothing installed is hidden by it.
        _folders[:] = [folder, *(other for other in _folders if other != folder)]
        sys.path[:] = [*(other for other in sys.path[1:] if other not in _folders), *_folders]
        _beside.update(beside)
    return module


def _is_users(module: ModuleType | None) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and any(Path(file).is_relative_to(folder) for folder in _folders)


_folders: list[str] = []
"""Folders of files that were run, the latest first."""
_beside: set[str] = set()
"""Modules that files of the user's own import from beside them."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return a "did you mean" for a misspelt name, or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def package_of(group: str, text: str) -> str | None:
    """Return the distributions, with versions, of what is named alone or with weights.

    That is None where all is promptfront's.
    """
    names = {part.rpartition("*")[2].strip() for part in text.split("+")} if "*" in text else {text}
    distributions = [
        point.dist for name, point in available(group).items() if name in names and point.dist
    ]
    others = sorted(f"{dist.name} {dist.version}" for dist in distributions if dist.name != _OURS)
    return ", ".join(others) or None


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"
