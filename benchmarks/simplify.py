"""What a search returns before and after it is made simpler: tokens, test score, and the text.

What: searches of the sentiment task from several seeds; of each the prompt that it chose and what
was returned in its place, both scored on all test rows. Why: a prompt should read like something a
colleague wrote, and cost nothing for it.

    python benchmarks/simplify.py --seeds 10 --budget 40

The prompts are printed in full and, with their scores, written to `--output`. The last line of
stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from promptfront.search import load_task, optimize
from promptfront.search.assembly import make_backend, make_evaluator
from promptfront.search.evaluation.holdout import held_out
from promptfront.search.evaluation.statistics import scored_mean
from promptfront.search.prompts.render import prompt_to_dict, render
from promptfront.search.storage.database import Store
from promptfront.search.storage.study import Study

if TYPE_CHECKING:
    from promptfront.search.contracts import Backend
    from promptfront.search.evaluation.evaluator import Evaluator
    from promptfront.search.records.results import Entry


def searched(backend: Backend, url: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Search from one seed; return the start and the best prompt before and after."""
    name = f"simplify-{seed}"
    front = optimize(
        options.task,
        backend=backend,
        budget=options.budget,
        seed=seed,
        storage=url,
        study=name,
        answers=options.answers,
    )
    store = Store(url)
    task = load_task(options.task, seed=seed, answers=options.answers)
    evaluator = make_evaluator(task, backend=backend, store=store)
    study = Study(store, name)
    entries = {"start": front.start, "before": study.found().best, "after": front.best}
    spent = sum(batch.payload["evaluations"] for batch in study.batches.of("simplify"))
    told = {which: described(evaluator, entry) for which, entry in entries.items()}
    return {"seed": seed, "evaluations": front.evaluations, "to_simplify": spent} | told


def described(evaluator: Evaluator, entry: Entry) -> dict[str, Any]:
    """Return a prompt's tokens, its test score and its text."""
    test = evaluator.task.test
    values = held_out(evaluator, entry.prompt, entry.trial.offsets, test).values
    text = render(entry.prompt, {name: f"{{{name}}}" for name in evaluator.task.input_fields})
    shown = text if isinstance(text, str) else [[turn.role, turn.content] for turn in text]
    scores = {"tokens": entry.tokens, "test": scored_mean(values)}
    return scores | {"text": shown, "prompt": prompt_to_dict(entry.prompt)}


def main() -> None:
    """Search from every seed and show what is returned."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--model")
    parser.add_argument("--answers", default="written")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path("simplify.json"))
    options = parser.parse_args()
    backend = make_backend("hf", options.model, {})
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            found.append(searched(backend, f"sqlite:///{folder}/a.db", options, seed))
            options.output.write_text(json.dumps(found, ensure_ascii=False, indent=1))
            for which in ("before", "after"):
                one = found[-1][which]
                print(f"--- seed {seed} {which}: {one['tokens']} tokens, test {one['test']:.3f}")
                print(one["text"] if isinstance(one["text"], str) else json.dumps(one["text"]))
            print(f"--- {found[-1]['to_simplify']} evaluations", flush=True)
    means = {
        f"{which}_{what}": fmean(one[which][what] for one in found)
        for which in ("start", "before", "after")
        for what in ("tokens", "test")
    }
    print(json.dumps({"benchmark": "simplify", "seeds": options.seeds} | means))


if __name__ == "__main__":
    main()
