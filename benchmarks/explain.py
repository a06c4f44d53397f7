"""What leave-one-out of a prompt costs: `explain` against padded batches without sharing.

What: seconds for the parts of a prompt of twenty, each left out in turn, on the same rows: as
`explain` scores them, and by transformers in padded batches of full prompts, sorted by length.
Why: what is left of a prompt shares nearly all of its tokens with the others, so an engine that
computes each distinct token once can say what each part is worth for little.

    python benchmarks/explain.py --rows 300 --peer-rows 16 --repeats 3

Both score as `--answers choice` does, the likeliest label, on movie reviews. The peer is given
fewer rows, for it takes the same time for each; its seconds are told for as many evaluations. The
order of the two alternates. Then how far their labels agree. The last line of stdout is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

from engine_peers import padded

from promptfront.backends.default_model import default_model_folder
from promptfront.backends.hf import HFBackend
from promptfront.backends.tokenization import Encoder
from promptfront.scorers.labels import LabelScorer
from promptfront.search import load_task
from promptfront.search.contracts import Constraint, LikelihoodRequest, Prompt
from promptfront.search.evaluation.answers import AnswerScores
from promptfront.search.evaluation.effects import Effects
from promptfront.search.evaluation.evaluator import Evaluator
from promptfront.search.prompts.parts import PromptParts

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptfront.search.contracts import Example, Task

INSTRUCTION = (
    "You read reviews of films. Decide whether the writer liked the film. "
    "Look at the whole sentence, not at single words. "
    "Irony is negative. Praise of one actor alone is no praise of the film. "
    "Classify the sentiment of the movie review as positive or negative."
)
RULES = ("Answer with one word.", "Do not explain the answer.")
DEMONSTRATIONS = 12


def main() -> None:
    """Time both, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a folder or id; by default the default model")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--peer-rows", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    folder = args.model or str(default_model_folder())
    task = replace(load_task("sentiment"), answers="choice")
    backend = HFBackend(folder, dtype=args.dtype)
    rows, few = task.dev[: args.rows], task.dev[: args.peer_rows]
    parts = PromptParts(prompt(task), task.start.structure, task.input_fields)
    print(f"{len(parts.all())} parts, {len(rows)} and {len(few)} rows, {args.dtype}", flush=True)
    peer = Peer(folder, args.dtype, task, parts)
    ours, theirs = list[float](), list[float]()
    for repeat in range(args.repeats):
        runs = [(ours, lambda: explain(task, backend, parts, rows)), (theirs, lambda: peer(few))]
        for times, run in runs if repeat % 2 else reversed(runs):
            times.append(seconds(run))
            print(f"{'explain' if times is ours else 'padded'} {times[-1]:.1f} s", flush=True)
    scaled = [one * len(rows) / len(few) for one in theirs]
    told: dict[str, Any] = {
        "parts": len(parts.all()),
        "rows": len(rows),
        "seconds": median(ours),
        "padded_seconds": median(scaled),
        "ratio": median(b / a for a, b in zip(ours, scaled, strict=True)),
        "ratios": [b / a for a, b in zip(ours, scaled, strict=True)],
        "agreement": agreement(task, backend, parts, few, peer),
    }
    print(f"explain {told['seconds']:.1f} s, padded {told['padded_seconds']:.1f} s")
    print(f"ratio {told['ratio']:.1f}, labels agree on {100 * told['agreement']:.1f} %")
    print(json.dumps(told))


def prompt(task: Task) -> Prompt:
    """Return a prompt of twenty parts."""
    rules = tuple(Constraint(f"rule-{i}", text) for i, text in enumerate(RULES))
    return replace(
        task.start,
        instruction=INSTRUCTION,
        demonstrations=task.train[:DEMONSTRATIONS],
        constraints=rules,
    )


def explain(
    task: Task, backend: HFBackend, parts: PromptParts, rows: tuple[Example, ...]
) -> Evaluator:
    """Score what `explain` scores, from nothing; return what knows the scores."""
    backend._engine.forget()
    evaluator = Evaluator(task, backend, LabelScorer())
    Effects(evaluator, parts, rows).of_each(parts.all())
    return evaluator


class Peer:
    """The same prompts and rows through transformers, full prompts in padded batches."""

    def __init__(self, folder: str, dtype: str, task: Task, parts: PromptParts) -> None:
        from transformers import AutoTokenizer

        self._encoder = Encoder(AutoTokenizer.from_pretrained(folder), folder)
        self._score = padded(folder, dtype)
        self._task = task
        self.prompts = [parts.prompt, *(parts.without([part]) for part in parts.all())]

    def __call__(self, rows: tuple[Example, ...]) -> list[list[float]]:
        """Return the log-likelihood of each label, prompt after prompt."""
        scoring = AnswerScores(LabelScorer())
        asked = [scoring.request(self._task, one, row) for one in self.prompts for row in rows]
        encoded = self._encoder.encode([one for one in asked if isinstance(one, LikelihoodRequest)])
        requests = [{"prompt": one.prompt, "continuations": one.continuations} for one in encoded]
        scores: list[list[float]] = self._score(requests)
        return scores


def agreement(
    task: Task,
    backend: HFBackend,
    parts: PromptParts,
    rows: tuple[Example, ...],
    peer: Peer,
) -> float:
    """Return the share of evaluations in which both find the same label likeliest."""
    evaluator = explain(task, backend, parts, rows)
    ours = [one for each in evaluator.measure(peer.prompts, rows) for one in each]
    pairs = zip(ours, peer(rows), strict=True)
    same = [isinstance(a, tuple) and _likeliest(a) == _likeliest(tuple(b)) for a, b in pairs]
    return sum(same) / len(same)


def _likeliest(logs: tuple[float, ...]) -> int:
    return max(range(len(logs)), key=lambda i: logs[i])


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
