"""How often a gate lets a prompt through, stops it, or cannot tell.

What: `promptfront.search.gating.judge`, which `optimize gate` asks, on simulated rows of which it
is known how many a new prompt wins and loses against an old one. Why: a gate that stops what is as
good is switched off, and one that lets losses through is not worth its time.

    python benchmarks/gate.py

Of each case as many comparisons are drawn as asked for. A row is won, lost or the same by itself;
scores that are not right or wrong have normal noise, as large as the same number of rows that
differ would make. The last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter

import numpy as np

from promptfront.search.gating import judge

CASES = ((0, 5), (0, 10), (0, 20), (1, 10), (5, 7), (5, 10), (5, 20), (-3, 10))
"""Points that the new prompt loses, and rows of a hundred on which the two prompts differ."""


def main() -> None:
    """Print a table of verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--comparisons", type=int, default=1000)
    parser.add_argument("--rows", default="100,300,1000")
    parser.add_argument("--margin", type=float, default=0.01)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    found = []
    print("| rows | points lost | rows that differ | scores | pass | fail | cannot tell |")
    print("|---|---|---|---|---|---|---|")
    for rows in map(int, given.rows.split(",")):
        for lost, differ in CASES:
            for graded in (False, True):
                verdicts = Counter(
                    judge(_differences(rng, rows, lost, differ, graded=graded), given.margin)[0]
                    for _ in range(given.comparisons)
                )
                shares = [
                    verdicts[one] / given.comparisons for one in ("pass", "fail", "undecided")
                ]
                kind = "graded" if graded else "0 or 1"
                told = " | ".join(f"{100 * one:.1f} %" for one in shares)
                print(f"| {rows} | {lost} | {differ} % | {kind} | {told} |")
                found.append([rows, lost, differ, kind, *shares])
    print(json.dumps({"margin": given.margin, "cases": found}))


def _differences(
    rng: np.random.Generator, rows: int, lost: int, differ: int, *, graded: bool
) -> list[float]:
    """Return the new prompt's score less the old one's on each of so many rows."""
    mean = -lost / 100
    if graded:
        spread = (differ / 100 - mean**2) ** 0.5
        return [float(one) for one in np.clip(rng.normal(mean, spread, rows), -1, 1)]
    won = (differ - lost) / 200
    drawn = rng.choice([1.0, -1.0, 0.0], rows, p=[won, differ / 100 - won, 1 - differ / 100])
    return [float(one) for one in drawn]


if __name__ == "__main__":
    main()
