"""Racing: candidates are scored in growing blocks of dev examples, and most never see the last block.

After each block a candidate leaves the race in one of two ways. It is *eliminated* when the evidence that it is worse
than the best front member of no greater cost reaches ``1 / ALPHA``; the evidence is an e-process, so looking after
every block is accounted for. Or it is *outpaced*: only the best third goes on to the next, three times larger block
(successive halving; Jamieson & Talwalkar 2016), and none whose estimate is below that front member's. What is
compared are estimates of the score on all dev examples (`completion.py`). This is a decision about the budget and
no claim about the prompt. Only candidates that saw all dev examples can enter the front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .completion import Estimate
from .evaluate import FIRST_BLOCK
from .statistics import e_value

if TYPE_CHECKING:
    from .contracts import Candidate, Example, Prompt
    from .evaluate import Evaluator

ALPHA = 0.05
_GROWTH = 3
_DOUBT = 10
"""A free text's lead over few rows is believed as far as these rows more, without a lead, would leave of it."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How far a candidate came.

    ``quality`` is the mean over the ``rows`` it saw, ``estimate`` what it would have on all dev examples, ``potential``
    the same were its lean to some labels taken away. ``offsets`` are its calibration.
    """

    tokens: int
    rows: int
    quality: float
    estimate: float
    potential: float
    offsets: tuple[float, ...]
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class _Runner:
    prompt: Prompt
    tokens: int
    rival: Candidate | None
    cheapest: bool


def blocks(examples: int) -> list[int]:
    """Return the ends of the blocks: 10, 30, 90 … and all examples."""
    ends, end = list[int](), FIRST_BLOCK
    while end <= examples // 2:
        ends.append(end)
        end *= _GROWTH
    return [*ends, examples]


def expected_pairs(candidates: int, examples: int, batch: int) -> int:
    """Return about how many pairs racing so many candidates takes: what it takes if as many go on as may."""
    pairs, sizes = 0, [min(batch, candidates - start) for start in range(0, max(candidates, 0), batch)]
    for size in sizes:
        running, seen = size, 0
        for end in blocks(examples):
            pairs += running * (end - seen)
            running, seen = _going(running), end
    return pairs


def _going(running: int) -> int:
    return max(1, running // _GROWTH)


def race(
    evaluator: Evaluator,
    prompts: Sequence[Prompt],
    front: Sequence[Candidate],
    references: Sequence[Prompt],
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
    references
        Other fully evaluated prompts, which tell how hard the dev examples are.
    before_block
        Called with the prompts and examples of a block before it is scored; it may raise to end the search.

    Returns
    -------
    finishes
        One per prompt, in order.
    """
    runners = [_runner(evaluator, prompt, front) for prompt in prompts]
    dev = evaluator.task.dev
    seen = dict.fromkeys([*references, *(candidate.prompt for candidate in front)], len(dev))
    finishes: dict[Prompt, Finish] = {}
    running, start = list(dict.fromkeys(runners)), 0
    for end in blocks(len(dev)):
        if not running:
            break
        block = [runner.prompt for runner in running]
        before_block(block, dev[start:end])
        evaluator.measure(block, dev[start:end])
        seen |= dict.fromkeys(block, end)
        estimates = _estimates(evaluator, running, seen)
        standings = {runner: _standing(evaluator, runner, end, estimates) for runner in running}
        finishes |= {runner.prompt: standing.finish for runner, standing in standings.items()}
        start = end
        if end < len(dev):
            running = _cut(standings, finishes)
    return [finishes[runner.prompt] for runner in runners]


def _runner(evaluator: Evaluator, prompt: Prompt, front: Sequence[Candidate]) -> _Runner:
    tokens = evaluator.prompt_tokens(prompt)
    rivals = [candidate for candidate in front if candidate.tokens <= tokens]
    rival = max(rivals, key=lambda candidate: candidate.quality, default=front[0] if front else None)
    return _Runner(prompt, tokens, rival, cheapest=not rivals)


def _estimates(evaluator: Evaluator, running: Sequence[_Runner], seen: dict[Prompt, int]) -> dict[Prompt, Estimate]:
    """Return estimates of all that race and of their rivals."""
    if evaluator.task.labels:
        return evaluator.estimates(seen)
    found = {}
    for prompt, rival in [(r.prompt, r.rival) for r in running] + [(r.rival.prompt, None) for r in running if r.rival]:
        rows = evaluator.task.dev[: seen[prompt]]
        mean = evaluator.evaluate(prompt, rows).quality
        if rival:
            lead = mean - evaluator.evaluate(rival.prompt, rows).quality
            mean = min(1.0, max(0.0, rival.quality + lead * len(rows) / (len(rows) + _DOUBT)))
        found[prompt] = Estimate(mean, mean)
    return found


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a candidate stands after a block, and how far its estimate is above its rival's."""

    finish: Finish
    lead: float


def _standing(evaluator: Evaluator, runner: _Runner, end: int, estimates: dict[Prompt, Estimate]) -> _Standing:
    rows = evaluator.task.dev[:end]
    ours, (estimate, potential) = evaluator.evaluate(runner.prompt, rows), estimates[runner.prompt]
    stopped, lead = "", estimate
    if runner.rival:
        lead -= estimates[runner.rival.prompt].quality
        theirs = evaluator.evaluate(runner.rival.prompt, rows)
        evidence = e_value([b - a for a, b in zip(ours.values, theirs.values, strict=True)])
        # The cheapest extends the front even where it is worse than the cheapest there, so nothing rules it out.
        if evidence >= 1 / ALPHA and not runner.cheapest:
            stopped = f"eliminated after {end} rows (e-value {evidence:.0f})"
    quality = evaluator.mean(ours.values, rows)
    return _Standing(Finish(runner.tokens, end, quality, estimate, potential, ours.offsets, stopped), lead)


def _cut(standings: dict[_Runner, _Standing], finishes: dict[Prompt, Finish]) -> list[_Runner]:
    """Return who goes on; note of the others why they do not."""
    ranked = sorted((r for r, s in standings.items() if not s.finish.stopped), key=lambda r: -standings[r].lead)
    best = ranked[: _going(len(standings))]
    going = {runner for runner in best if standings[runner].lead >= 0 or runner.cheapest or runner.rival is None}
    for runner in ranked:
        if runner not in going:
            finish = finishes[runner.prompt]
            finishes[runner.prompt] = replace(finish, stopped=f"outpaced after {finish.rows} rows")
    return [runner for runner in standings if runner in going]
