"""The scoring engine against every other way to score the same prompts, in one run.

What: log-likelihoods of labels for real reviews on the default model in float32, by ours, padded
batches and expanded prefix caches in transformers, lm-evaluation-harness, vLLM and llama.cpp; and
by ours in bfloat16 and int8. Why: scoring is nearly all that a search spends.

    python benchmarks/engine.py --python lm-eval=/path/to/python --python vllm=/path/to/python

Peers run in a Python of their own, since their requirements exclude one another; one that is not
named is left out. vLLM is run by promptfront's own backend, installed in that Python. Servers are
left out unless the environment has their address: LLAMA_CPP_URL, and VLLM_URL (with /v1) for
promptfront's backend for servers and a plain loop of the official client on the same one; each
started anew, with the same model in float32, vLLM's with VLLM_SERVER_DEV_MODE=1, so that its prefix
cache can be emptied. Workloads:

a  zero-shot instruction, 500 examples; engines that share nothing get every fourth request b  2 of
16 candidates with 600-token prefixes, 200 examples each: engines that share nothing get every 12th
request c  6 labels of two tokens, each of which begins like one other, 200 examples; every fourth
request as above; without llama.cpp, whose
   server gives likely tokens only
full-b, full-d  ours alone: all 16 candidates, half of which share their first demonstrations, in
one call and in racing blocks of 16 growth  ours alone: 1x, 4x and 16x the examples and the
candidates

The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine_workloads import GRADES, INSTRUCTION, LABELS, Request, Workloads, distinct_tokens, flops

from promptfront.backends.default_model import default_model_folder

SHARES_NOTHING = {"padded", "lm-eval"}


class Worker:
    """An engine in a process of its own, which waits while another one works."""

    def __init__(self, name: str, python: str, folder: Path, dtype: str) -> None:
        script = Path(__file__).with_name("engine_peers.py")
        self._process = subprocess.Popen(
            [python, str(script), name, str(folder), dtype],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"OMP_NUM_THREADS": str(os.cpu_count()), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"},
        )
        self._failure = f"{name} did not start with {python}"

    def wait(self) -> None:
        """Wait until the engine is loaded."""
        if self._read() != "ready\n":
            raise SystemExit(self._failure)

    def run(self, calls: list[list[Request]]) -> dict[str, Any]:
        """Score calls one after the other from a cold cache."""
        assert self._process.stdin  # noqa: S101 (a pipe was asked for)
        self._process.stdin.write(json.dumps(calls) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._read()))

    def _read(self) -> str:
        assert self._process.stdout  # noqa: S101
        return self._process.stdout.readline()


def compare(
    workers: dict[str, Worker], requests: list[Request], repeats: int, step: int
) -> dict[str, dict[str, Any]]:
    """Time every engine on a workload, in turn.

    Return the median rate and the largest difference to ours.
    """
    rates: dict[str, list[float]] = {name: [] for name in workers}
    scores: dict[str, dict[str, list[float]]] = {}
    for _ in range(repeats):
        for name, worker in workers.items():
            some = requests[:: step if name in SHARES_NOTHING else 1]
            found = worker.run([some])
            rates[name].append(len(some) / found["seconds"])
            scores[name] = {r["text"]: s for r, s in zip(some, found["scores"], strict=True)}
    rows = {}
    for name in workers:
        pairs = [(scores["ours"][text], s) for text, s in scores[name].items()]
        rate = statistics.median(rates[name])
        rows[name] = {
            "examples_per_s": round(rate, 2),
            "ours_over_it": round(statistics.median(rates["ours"]) / rate, 2),
            "rates": [round(r, 2) for r in rates[name]],
            "scored": len(pairs),
            "largest_difference": max(
                abs(a - b) for ours, its in pairs for a, b in zip(ours, its, strict=True)
            ),
            "same_argmax": statistics.fmean(a.index(max(a)) == b.index(max(b)) for a, b in pairs),
        }
    return rows


def alone(worker: Worker, gemm: Worker, calls: list[list[Request]], config: Any) -> dict[str, Any]:  # noqa: ANN401
    """Time ours on calls, with the machine's matrix product measured before and after."""
    requests = [request for call in calls for request in call]
    sequences = [
        (*r["prompt"], *c[:i]) for r in requests for c in r["continuations"] for i in range(len(c))
    ]
    before = gemm.run([[]])["scores"][0][0]
    found = worker.run(calls)
    peak = statistics.fmean([before, gemm.run([[]])["scores"][0][0]])
    return {
        "scored": len(requests),
        "seconds": round(found["seconds"], 1),
        "examples_per_s": round(len(requests) / found["seconds"], 2),
        "computed_over_distinct": round(found["computed"] / distinct_tokens(sequences), 4),
        "share_of_gemm_peak": round(
            flops(sequences, found["computed"], config) / found["seconds"] / peak, 3
        ),
        "gemm_gflops": round(peak / 1e9),
        "peak_mb": found["peak_mb"],
    }


def main() -> None:
    """Run the workloads and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", action="append", default=[], metavar="ENGINE=PYTHON", help="lm-eval or vllm"
    )
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", default="a,b,c,full,growth", help="workloads (default: all)")
    parser.add_argument(
        "--model", type=Path, metavar="FOLDER", help="the model (default: the default model)"
    )
    parser.add_argument(
        "--dtype", default="float32", help="of every engine but those named by another"
    )
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := {*only} - {"a", "b", "c", "full", "growth"}:
        parser.error(f"--only takes a, b, c, full and growth, not {', '.join(sorted(unknown))}")
    import torch
    from transformers import AutoConfig

    folder = options.model or default_model_folder()
    config = AutoConfig.from_pretrained(folder)
    dtypes = () if torch.cuda.is_available() else ("ours-bfloat16", "ours-int8")
    pythons = dict.fromkeys(("ours", *dtypes, "padded", "expanded"), sys.executable)
    servers = {
        "llama.cpp": "LLAMA_CPP_URL",
        "vllm-server": "VLLM_URL",
        "vllm-server-loop": "VLLM_URL",
    }
    pythons |= {name: sys.executable for name, address in servers.items() if address in os.environ}
    pythons |= dict(entry.split("=", 1) for entry in options.python)
    gemm = Worker("gemm", sys.executable, folder, options.dtype)
    peers = {"a", "b", "c"} & {*only}
    workers = {
        name: Worker(name, p, folder, options.dtype)
        for name, p in pythons.items()
        if peers or name == "ours"
    }
    for worker in (gemm, *workers.values()):
        worker.wait()
    made = Workloads(folder)
    prefixes = made.prefixes(16)
    zero_shot = made.requests(INSTRUCTION, 500, LABELS)
    few_shot = [made.requests(prefix, 200, LABELS) for prefix in prefixes]
    graded = made.requests(INSTRUCTION, 200, GRADES)
    result: dict[str, Any] = {
        "benchmark": "engine",
        "threads": os.cpu_count(),
        "dtype": options.dtype,
    }
    compared = {"a": (zero_shot, 4), "b": (few_shot[0] + few_shot[1], 12), "c": (graded, 4)}
    for name, (requests, step) in compared.items():
        if name in only:
            able = {n: w for n, w in workers.items() if n != "llama.cpp" or name != "c"}
            result[name] = compare(able, requests, options.repeats, step)
            show(name, result[name])
    everything = [request for candidate in few_shot for request in candidate]
    blocks = [[r for c in few_shot for r in c[start : start + 16]] for start in range(0, 200, 16)]
    singles = {"full-a": [zero_shot], "full-b": [everything], "full-c": [graded], "full-d": blocks}
    growth = {
        f"examples x{n}": [[r for p in prefixes[:4] for r in made.requests(p, 25 * n, LABELS)]]
        for n in (1, 4, 16)
    }
    growth |= {f"candidates x{n}": [[r for p in few_shot[:n] for r in p[:50]]] for n in (1, 4, 16)}
    for name, calls in (
        (singles if "full" in only else {}) | (growth if "growth" in only else {})
    ).items():
        result[name] = alone(workers["ours"], gemm, calls, config)
    show(
        "ours alone",
        {
            name: row
            for name, row in result.items()
            if isinstance(row, dict) and "gemm_gflops" in row
        },
    )
    print(json.dumps(result))


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print one table."""
    columns = [column for column in next(iter(rows.values()), {}) if column != "rates"]
    print(f"\n{title:16}" + "".join(f"{column:>24}" for column in columns))
    for name, row in rows.items():
        cells = [f"{row[c]:.2g}" if c == "largest_difference" else f"{row[c]:g}" for c in columns]
        print(f"{name:16}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
