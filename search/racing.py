"""Racing: candidates are scored in growing blocks of dev examples, and most never see the last block.

After each block a candidate leaves the race in one of two ways. It is *eliminated* when the evidence that it is worse
than the best front member of no greater cost reaches ``1 / ALPHA``; the evidence is an e-process, so looking after
every block is accounted for. Or it is *outpaced*: only the better half goes on to the next, larger block (successive
halving; Jamieson & Talwalkar 2016), and none that is more than a standard error behind that front member. This is a
decision about the budget and no claim about the prompt. Only candidates that saw all dev examples can enter the
front.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import pstdev
from typing import TYPE_CHECKING

from .statistics import e_value

if TYPE_CHECKING:
    from .contracts import Candidate, Example, Prompt
    from .evaluate import Evaluation, Evaluator

ALPHA = 0.05
FIRST_BLOCK = 20
SURVIVORS = 2
"""The better half of a batch is never fewer than this."""
_DENSE = 0.1
_DOUBT = 10
"""A lead over few rows is believed as far as these rows more, without a lead, would leave of it."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How far a candidate came.

    ``quality`` is the mean over the ``rows`` it saw. ``estimate`` is what it would have on all dev examples, judged
    by its lead over the front member it raced against on the same rows, which few rows count for
    less. ``offsets`` are its calibration.
    """

    tokens: int
    rows: int
    quality: float
    estimate: float
    offsets: tuple[float, ...]
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class _Runner:
    prompt: Prompt
    tokens: int
    rival: Candidate | None
    cheapest: bool


def blocks(examples: int) -> list[int]:
    """Return the ends of the blocks: 20, 40, 80 … and all examples."""
    ends, end = list[int](), FIRST_BLOCK
    while end <= examples // 2:
        ends.append(end)
        end *= 2
    return [*ends, examples]


def expected_pairs(candidates: int, examples: int, batch: int) -> int:
    """Return about how many pairs racing so many candidates takes: what it takes if none is eliminated."""
    pairs, sizes = 0, [min(batch, candidates - start) for start in range(0, max(candidates, 0), batch)]
    for size in sizes:
        running, seen = size, 0
        for end in blocks(examples):
            pairs += running * (end - seen)
            running, seen = _going(running), end
    return pairs


def _going(running: int) -> int:
    return min(running, max(SURVIVORS, running // 2))


def race(
    evaluator: Evaluator,
    prompts: Sequence[Prompt],
    front: Sequence[Candidate],
    before_block: Callable[[Sequence[Prompt], Sequence[Example]], None],
) -> list[Finish]:
    """Race the prompts of a batch against the front.

    Parameters
    ----------
    evaluator
        Scores prompts on the task's dev examples.
    prompts
        The candidates.
    front
        Fully evaluated prompts on the Pareto front, in order of tokens.
    before_block
        Called with the prompts and examples of a block before it is scored; it may raise to end the search.

    Returns
    -------
    finishes
        One per prompt, in order.
    """
    runners = [_runner(evaluator, prompt, front) for prompt in prompts]
    finishes: dict[Prompt, Finish] = {}
    running, seen = list(dict.fromkeys(runners)), 0
    dev = evaluator.task.dev
    for end in blocks(len(dev)):
        if not running:
            break
        block = [runner.prompt for runner in running]
        before_block(block, dev[seen:end])
        evaluator.measure(block, dev[seen:end])
        standings = {runner: _standing(evaluator, runner, end) for runner in running}
        finishes |= {runner.prompt: standing.finish for runner, standing in standings.items()}
        seen = end
        if end < len(dev):
            running = _cut(standings, finishes)
    return [finishes[runner.prompt] for runner in runners]


def _runner(evaluator: Evaluator, prompt: Prompt, front: Sequence[Candidate]) -> _Runner:
    tokens = evaluator.prompt_tokens(prompt)
    rivals = [candidate for candidate in front if candidate.tokens <= tokens]
    rival = max(rivals, key=lambda candidate: candidate.quality, default=front[0] if front else None)
    return _Runner(prompt, tokens, rival, cheapest=not rivals)


def _signal(evaluation: Evaluation) -> list[float]:
    # The probability of the gold answer only tells apart prompts that agree on the metric: with more weight it loses the
    # best candidate more often (benchmarks/RESULTS.md).
    return [(1 - _DENSE) * score.value + _DENSE * score.dense for score in evaluation.scores]


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a candidate stands after a block: its mean lead over its rival, and that mean's standard error."""

    finish: Finish
    lead: float
    error: float


def _standing(evaluator: Evaluator, runner: _Runner, end: int) -> _Standing:
    rows = evaluator.task.dev[:end]
    ours = evaluator.evaluate(runner.prompt, rows)
    finish = Finish(runner.tokens, end, ours.quality, ours.quality, ours.offsets)
    if runner.rival is None:
        return _Standing(finish, sum(_signal(ours)) / end, math.inf)
    theirs = evaluator.evaluate(runner.rival.prompt, rows)
    leads = [a - b for a, b in zip(_signal(ours), _signal(theirs), strict=True)]
    lead = (ours.quality - theirs.quality) * end / (end + _DOUBT)
    finish = replace(finish, estimate=min(1.0, max(0.0, runner.rival.quality + lead)))
    if runner.cheapest:  # it extends the front even where it is worse than the cheapest there, so nothing rules it out
        return _Standing(finish, sum(leads) / end, math.inf)
    evidence = e_value([-lead for lead in leads])
    stopped = f"eliminated after {end} rows (e-value {evidence:.0f})" if evidence >= 1 / ALPHA else ""
    return _Standing(replace(finish, stopped=stopped), sum(leads) / end, pstdev(leads) / math.sqrt(end))


def _cut(standings: dict[_Runner, _Standing], finishes: dict[Prompt, Finish]) -> list[_Runner]:
    """Return who goes on; note of the others why they do not."""
    ranked = sorted((r for r, s in standings.items() if not s.finish.stopped), key=lambda r: -standings[r].lead)
    best = ranked[: _going(len(standings))]
    going = {runner for runner in best if standings[runner].lead >= -standings[runner].error}
    for runner in ranked:
        if runner not in going:
            finish = finishes[runner.prompt]
            finishes[runner.prompt] = replace(finish, stopped=f"outpaced after {finish.rows} rows")
    return [runner for runner in standings if runner in going]
