"""Search quality against real peers: the same rows, model, rule and budget of evaluations.

What: held-out accuracy of the prompt each optimizer returns, on label tasks in English and Chinese,
with its dev score, prompt tokens, scored evaluations, seconds, and the tokens that the model read
and wrote. Why: a gain over the starting prompt says little; the best of three prompts that a person
wrote, or of some random demonstration sets, often has more.

    export PROMPTFRONT_BENCH_DATA=DIR
    python benchmarks/search.py --model FOLDER --out runs         # runs what is missing
    python benchmarks/search.py --model FOLDER --out runs --table # reads what is there
    python benchmarks/search.py --out runs --seeds 0,1            # the default model

With ``--model`` everyone starts in chat and is right where the reply that the model writes says the
label; the model itself writes proposals. Without, the default model decides by the likeliest label,
from plain text, and what it would have returned with less of the budget is tested too.

Each task, optimizer and seed is a cell with a file of its own, written when it is done, so the
whole can be ended and continued. Of each test row it holds the id, the gold label, the reply and
the label read in it, so that anyone can test it again. Cells come in the order of ``--optimizers``.
Answers to test rows are kept in ``answers.db`` beside them.

DIR holds NAME/{train,test}.jsonl with `input`, `target` and `choices` in each line: SST-5, Subj, AG
News and ChnSentiCorp as their authors split them, sports_understanding of BIG-Bench Hard, and
sentence_similarity of Honovich et al. 2023; of free text (``--tasks asdiv,gsm8k,passive``) ASDiv,
GSM8K and active_to_passive of Honovich et al. The peers need `pip install promptolution gepa dspy`.
"""

from __future__ import annotations

import argparse
import json
import os
import traceback
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from search_arena import Meter
from search_cell import OURS, Cell, Setting, run_cell
from search_table import table

from promptfront.search.assembly import make_backend

if TYPE_CHECKING:
    from promptfront.search.contracts import Backend

HAND_TASKS = "agnews,subj,sst5,sports"
"""Those that a person wrote prompts for."""
OPTIMIZERS = "hand,promptfront,random_demonstrations,capo,gepa,mipro,evoprompt_ga"
PEERS_SECONDS = 400.0
"""When a peer is ended that searches with the default model: set by hand."""


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("PROMPTFRONT_BENCH_DATA"))
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--model", help="a folder or id; then in chat, and as written")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--proposer-model", help="writes for promptfront instead of the model")
    parser.add_argument("--tasks", default=HAND_TASKS)
    parser.add_argument("--optimizers", default=OPTIMIZERS, help=f"also {', '.join(OURS)}")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--rows", default="300,100,500", help="of train, dev and test")
    parser.add_argument("--start", choices=("task", "hand"), default="task", help="promptfront's")
    parser.add_argument("--table", action="store_true", help="print what is there and run nothing")
    given = parser.parse_args()
    if not given.table and given.data_dir is None:
        parser.error("expected --data-dir or PROMPTFRONT_BENCH_DATA: where the data sets are")
    return given


def setting(given: argparse.Namespace, proposer: Backend | None) -> Setting:
    """Return what all cells have in common."""
    train, dev, test = map(int, given.rows.split(","))
    seconds = inf if given.model else PEERS_SECONDS
    return Setting(
        given.out,
        Path(given.data_dir),
        given.model,
        given.dtype,
        (train, dev, test),
        given.evaluations,
        seconds,
        proposer,
    )


def main() -> None:
    """Run the missing cells and print the table."""
    given = options()
    given.out.mkdir(parents=True, exist_ok=True)
    by_hand = given.start == "hand"
    cells = [
        Cell(task, f"{name}-from-hand" if by_hand and name in OURS else name, int(seed))
        for name in given.optimizers.split(",")
        for seed in given.seeds.split(",")
        for task in given.tasks.split(",")
    ]
    paths = {cell: given.out / f"{cell}.json" for cell in cells}
    if missing := [cell for cell in cells if not given.table and not paths[cell].exists()]:
        backend = make_backend("hf", given.model, {"dtype": given.dtype})
        meter = Meter(backend)
        writer = given.proposer_model
        proposer = make_backend("hf", writer, {"dtype": given.dtype}) if writer else None
        for cell in missing:
            print(cell, flush=True)
            try:
                record = run_cell(cell, setting(given, proposer), backend, meter)
            except Exception:  # noqa: BLE001 (a peer that fails is no reason to run no other)
                traceback.print_exc()
            else:
                paths[cell].write_text(json.dumps(record, ensure_ascii=False) + "\n")
    print(table([json.loads(path.read_text()) for path in paths.values() if path.exists()]))


if __name__ == "__main__":
    main()
