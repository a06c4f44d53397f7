"""What a file of the user's own is made of, with all that it imports from beside it: one hash."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FILE = re.compile(r"(?:^|(?<=[*+]))\s*(?P<path>[^*+]*\.py):")


def files_named(text: str) -> list[str]:
    """Return the files in ``path/to/file.py:name``, or in several of these with weights."""
    return [match["path"] for match in _FILE.finditer(text)] if "*" in text else _path(text)


def _path(text: str) -> list[str]:
    path, colon, _ = text.rpartition(":")
    return [path] if colon and path.endswith(".py") else []


def source_hash(texts: Sequence[str]) -> str | None:
    """Return what identifies the source of scorers or mutators given as files, if any is.

    Besides each file there are the modules and packages of its folder that it imports, and those
    that these import. How a path is spelt does not matter. What a file reads while it runs cannot
    be known.
    """
    files = [Path(path).resolve() for text in texts for path in files_named(text)]
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        for name, source in sorted(_closure(file).items()):
            digest.update(
                f"{name}\0{hashlib.sha256(source).hexdigest()}\n".encode("utf-8", "surrogatepass")
            )
    return digest.hexdigest()[:32]


def modules_beside(file: Path) -> set[str]:
    """Return the names of the modules that a file, or what it imports, imports from its folder."""
    paths = [Path(name).with_suffix("") for name in _closure(file)]
    names = {".".join(path.parts[:-1] if path.name == "__init__" else path.parts) for path in paths}
    return names - {file.stem}


def _closure(file: Path) -> dict[str, bytes]:
    """Return the sources of a file and of all it imports from its folder, by path there."""
    root, waiting, contents = file.parent, [file], dict[str, bytes]()
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name in contents:
            continue
        try:
            contents[name] = b"\n".join(path.read_bytes().splitlines())
        except OSError:
            contents[name] = b""
        waiting += [
            module
            for module in _imported(path, root, contents[name])
            if module.is_relative_to(root)
        ]
    return contents


def _imported(path: Path, root: Path, source: bytes) -> Iterator[Path]:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):  # whoever imports it is told
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else root
            if node.level:
                yield from (
                    file for file in [base / "__init__.py"] if base != root and file.is_file()
                )
            for alias in node.names:
                yield from _modules(
                    base, ".".join(part for part in (node.module, alias.name) if part)
                )


def _modules(base: Path, name: str) -> Iterator[Path]:
    """Return the files of a dotted name and of the packages it lies in."""
    folder = base
    for part in name.split("."):
        folder = folder / part
        yield from (
            file
            for file in (folder.with_name(f"{part}.py"), folder / "__init__.py")
            if file.is_file()
        )
