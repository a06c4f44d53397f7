"""Writing replies: promptfront against transformers' own generation, on a block of a race.

What: eight candidates with up to twelve demonstrations each, ten news headlines after every one, 32
tokens of reply at most, in seconds. Why: a race's prompts have few beginnings, and those are long;
read once for each prompt they cost more than the replies.

    python benchmarks/replies.py --repeats 3

Repeats are in turn. "same" is the share of replies that are the plain ones' to the letter: batches
differ in the last digits.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.backends.hf import HFBackend

TOKENS = 32


def prompts() -> list[str]:
    """Return a block's prompts: ten rows after each of eight candidates."""
    from dataclasses import replace

    from promptfront.search.data.load_task import load_task
    from promptfront.search.prompts.render import render

    task, rng = load_task("news"), random.Random(0)
    shown = [tuple(rng.sample(task.train, count)) for count in (0, 1, 2, 3, 4, 6, 8, 12)]
    plain = replace(
        task.start, structure=replace(task.start.structure, layout="plain"), constraints=()
    )
    return [
        str(render(replace(plain, demonstrations=d), row.inputs))
        for d in shown
        for row in task.dev[:10]
    ]


def padded(backend: HFBackend, texts: Sequence[str], batch: int) -> list[str]:
    """Return transformers' completions in batches that are padded on the left, sorted by length."""
    model, tokenizer = backend._model, backend._tokenizer
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.eos_token
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: dict[int, str] = {}
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        inputs = tokenizer([texts[i] for i in some], return_tensors="pt", padding=True).to(
            model.device
        )
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                max_new_tokens=TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                stop_strings=["\n"],
                tokenizer=tokenizer,
            )
        written = tokenizer.batch_decode(
            output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        found |= dict(zip(some, written, strict=True))
    return [found[i].split("\n")[0] for i in range(len(texts))]


def main() -> None:
    """Print seconds of each, and the ratio to ours."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    from promptfront.backends.hf import HFBackend

    backend, texts = HFBackend(device=options.device), prompts()
    ways: dict[str, Any] = {
        "ours": lambda: backend.generate(
            texts, max_tokens=TOKENS, temperature=0, seed=0, stop=["\n"]
        ),
        "padded, 16 at once": lambda: padded(backend, texts, 16),
        "padded, 64 at once": lambda: padded(backend, texts, 64),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    replies: dict[str, list[str]] = {}
    for _ in range(options.repeats):
        for name, write in ways.items():
            started = time.monotonic()
            replies[name] = write()
            seconds[name].append(time.monotonic() - started)
            print(name, round(seconds[name][-1], 2), flush=True)
    plain, ours = replies["padded, 16 at once"], median(seconds["ours"])
    for name, values in seconds.items():
        same = sum(a == b for a, b in zip(replies[name], plain, strict=True)) / len(plain)
        print(
            f"{name}: {median(values):.2f} s, {median(values) / ours:.2f} of ours, same {same:.0%}"
        )
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
