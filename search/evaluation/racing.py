"""Racing: candidates are scored in growing blocks of dev examples, and most never see the last block.

All of a batch see the first block; after that those *contend* that may still be the best. What is compared are estimates
of the score on all dev examples (`completion.py`), as leads over the best front member of not much greater cost (as in
epsilon-dominance; Laumanns et al. 2002), give or take a doubt that shrinks with the examples seen. The next block goes to
the contender with the highest upper bound and to the leader (after LUCB; Kalyanakrishnan et al. 2012), until one saw all
examples and nobody may pass it, none may pass the front, or the batch's evaluations are used. Who is left there was *outpaced*:
a decision about the budget and no claim about the prompt. A candidate is *eliminated* when the evidence that it is worse
than that front member reaches ``1 / ALPHA``; the evidence is an e-process, so looking after every block is accounted for.
Only candidates that saw all dev examples can enter the front.

Nobody wins by examples without a score: who leaves more than a tenth of them so, and more than its rival does, is stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import pvariance
from typing import TYPE_CHECKING

from ..budget import FIRST_BLOCK
from ..errors import flaw
from ..records.unscored import count, listed, too_many
from .estimates import Estimate
from .statistics import e_value, paired, scored

if TYPE_CHECKING:
    from ..contracts import Candidate, Example, Prompt
    from .evaluator import Evaluation, Evaluator

ALPHA = 0.05
_GROWTH = 1.5
_SHARED = 1.5
"""The batch's evaluations after the first block, in full evaluations."""
_WIDTH = 0.8
"""Standard errors that an estimate is given or taken; as benchmarks/racing.py has it."""
_SPREAD = 0.5
"""Of labels' scores, which are 0 or 1."""
_SIMILAR = 1.25
"""Times a prompt's tokens that its rival may have: few tokens less are no reason to take a far worse prompt."""
_DOUBT = 10
"""A free text's lead over few rows is believed as far as these rows more, without a lead, would leave of it."""


@dataclass(frozen=True, slots=True)
class Finish:
    """How far a candidate came.

    ``quality`` is the mean over the ``rows`` it saw, ``estimate`` what it would have on all dev examples, ``potential``
    the same were its label bias taken away. ``offsets`` are its calibration, ``reasons`` count the rows that have
    no score. Of one that cannot be scored there is only the ``error`` that says why.
    """

    tokens: int
    rows: int
    quality: float
    estimate: float
    potential: float
    offsets: tuple[float, ...]
    stopped: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Runner:
    prompt: Prompt
    tokens: int
    rival: Candidate | None
    cheapest: bool


def blocks(examples: int) -> list[int]:
    """Return the ends of the blocks: 10, 15, 22 … and all examples."""
    ends, end = list[int](), FIRST_BLOCK
    while end * _GROWTH <= examples:
        ends.append(end)
        end = int(end * _GROWTH)
    return [*ends, examples]


def most_evaluations(candidates: int, examples: int, batch: int) -> int:
    """Return how many evaluations racing so many candidates takes at most."""
    full, rest = divmod(max(candidates, 0), batch)
    return full * _purse(batch, examples) + (_purse(rest, examples) if rest else 0)


def _purse(candidates: int, examples: int) -> int:
    first = blocks(examples)[0]
    return candidates * first + int(min(candidates, _SHARED) * (examples - first))


def race(
    evaluator: Evaluator,
    prompts: Mapping[Prompt, int],
    front: Sequence[Candidate],
    references: Sequence[Prompt],
    before_block: Callable[[Sequence[Prompt], Sequence[Example]], None],
) -> dict[Prompt, Finish]:
    """Race the prompts of a batch against the front.

    Parameters
    ----------
    evaluator
        Scores prompts on the task's dev examples.
    prompts
        The candidates, and how many dev examples each has seen in an earlier race.
    front
        Fully evaluated prompts on the Pareto front, in order of tokens.
    references
        Other fully evaluated prompts, which tell how hard the dev examples are.
    before_block
        Called with the prompts and examples of a block before it is scored; it may raise to end the search.

    Returns
    -------
    finishes
        How far each came.
    """
    seen = {_runner(evaluator, prompt, front): rows for prompt, rows in prompts.items()}
    references = [*references, *(candidate.prompt for candidate in front)]
    examples = len(evaluator.task.dev)
    failed: dict[Prompt, Finish] = {}
    purse = _purse(len(seen), examples)
    going = [runner for runner, rows in seen.items() if not rows]
    while True:
        evaluations, flaws = _show(evaluator, going, seen, before_block)
        purse -= evaluations
        failed |= {runner.prompt: _failed(runner, why) for runner, why in flaws.items()}
        seen = {runner: rows for runner, rows in seen.items() if runner not in flaws}
        standings = _standings(evaluator, seen, references) if seen else {}
        going = _next(standings, examples, purse)
        if not going:
            ended = {
                runner.prompt: _outpaced(standing.finish, examples)
                for runner, standing in standings.items()
            }
            return failed | ended


def _show(
    evaluator: Evaluator,
    going: Sequence[_Runner],
    seen: dict[_Runner, int],
    before_block: Callable[[Sequence[Prompt], Sequence[Example]], None],
) -> tuple[int, dict[_Runner, str]]:
    """Score each that goes on with its next block; return how many evaluations that were, and who could not be scored and why."""
    evaluations, dev, flaws = 0, evaluator.task.dev, dict[_Runner, str]()
    for start in {seen[runner] for runner in going}:
        block = [runner for runner in going if seen[runner] == start]
        rows = dev[start : _end(start, len(dev))]
        before_block([runner.prompt for runner in block], rows)
        found = _flaws(
            evaluator, [runner.prompt for runner in block], rows, dev[: start + len(rows)]
        )
        flaws |= {runner: found[runner.prompt] for runner in block if runner.prompt in found}
        seen |= dict.fromkeys(block, start + len(rows))
        evaluations += len(block) * len(rows)
    return evaluations, flaws


def _flaws(
    evaluator: Evaluator,
    prompts: Sequence[Prompt],
    block: Sequence[Example],
    rows: Sequence[Example],
) -> dict[Prompt, str]:
    """Score prompts on the last block of their rows; return which of them cannot be scored, and why.

    Raises
    ------
    PromptfrontError
        If none of several can be, and the starting prompt no more either: then no other would fare better.
    """
    flaw(
        lambda: evaluator.measure(prompts, block)
    )  # in one call; whose fault an error is shows when each is scored
    found = {
        prompt: why
        for prompt in prompts
        if (why := flaw(partial(evaluator.evaluate, prompt, rows)))
    }
    if len(found) == len(prompts) > 1:
        evaluator.ask_again()
    return found


def _end(start: int, examples: int) -> int:
    return next(end for end in blocks(examples) if end > start)


def _next(standings: dict[_Runner, _Standing], examples: int, purse: int) -> list[_Runner]:
    """Return who sees the next block: the leader and whoever else has the highest upper bound, while they contend.

    Only those that the purse can still evaluate in full: more rows of the others are better left to the next batch.
    """
    alive = {
        runner: standing for runner, standing in standings.items() if not standing.finish.stopped
    }
    left = {runner: examples - standing.finish.rows for runner, standing in alive.items()}
    leader = max(
        (r for r in alive if left[r] <= purse), key=lambda runner: alive[runner].lead, default=None
    )
    if leader is None:
        return []
    waiting = {
        runner: alive[runner].upper for runner in alive if _may_win(runner, alive[runner], examples)
    }
    block = {
        runner: _end(alive[runner].finish.rows, examples) - alive[runner].finish.rows
        for runner in waiting
    }
    going = [leader] if leader in waiting else []
    spare = purse - (left[leader] if going else 0)
    purse -= block.get(leader, 0)
    challengers = [
        runner
        for runner in waiting
        if runner != leader
        and waiting[runner] > alive[leader].lower
        and block[runner] <= spare
        and left[runner] <= purse
    ]
    return [*going, max(challengers, key=waiting.__getitem__)] if challengers else going


def _may_win(runner: _Runner, standing: _Standing, examples: int) -> bool:
    """Return whether more rows could show that a candidate belongs to the front."""
    return standing.finish.rows < examples and (
        standing.upper >= 0 or runner.cheapest or runner.rival is None
    )


def _failed(runner: _Runner, why: str) -> Finish:
    return Finish(runner.tokens, 0, math.nan, math.nan, math.nan, (), error=why)


def _outpaced(finish: Finish, examples: int) -> Finish:
    if finish.stopped or finish.rows == examples:
        return finish
    return replace(finish, stopped=f"stopped after {finish.rows} rows")


def _runner(evaluator: Evaluator, prompt: Prompt, front: Sequence[Candidate]) -> _Runner:
    tokens = evaluator.tokens.of_prompt(prompt)
    cheapest = not any(candidate.tokens <= tokens for candidate in front)
    rivals = [candidate for candidate in front if candidate.tokens <= _SIMILAR * tokens]
    rival = max(
        rivals, key=lambda candidate: candidate.quality, default=front[0] if front else None
    )
    return _Runner(prompt, tokens, rival, cheapest)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a candidate stands after a block, and how far its estimate is above its rival's, give or take ``doubt``."""

    finish: Finish
    lead: float
    doubt: float

    @property
    def upper(self) -> float:
        return self.lead + self.doubt

    @property
    def lower(self) -> float:
        return self.lead - self.doubt


def _standings(
    evaluator: Evaluator, seen: dict[_Runner, int], references: Sequence[Prompt]
) -> dict[_Runner, _Standing]:
    estimates = _estimates(evaluator, seen, references)
    width = _WIDTH * (_SPREAD if evaluator.task.labels else _spread(evaluator, seen))
    return {
        runner: _standing(evaluator, runner, rows, estimates, width)
        for runner, rows in seen.items()
    }


def _differences(evaluator: Evaluator, ours: Prompt, theirs: Prompt, end: int) -> list[float]:
    """Return how much better one prompt did than another on each of the first rows that both have a score of."""
    rows = evaluator.task.dev[:end]
    return [
        a - b
        for a, b in paired(
            evaluator.evaluate(ours, rows).values, evaluator.evaluate(theirs, rows).values
        )
    ]


def _spread(evaluator: Evaluator, seen: dict[_Runner, int]) -> float:
    """Return the standard deviation of the differences to rivals, pooled, and as if one more were that of labels.

    Graded scores of free text differ far less than those of labels: with their spread no race of few rows would end.
    """
    squares, free = _SPREAD**2, 1
    for runner, end in seen.items():
        if runner.rival:
            differences = _differences(evaluator, runner.prompt, runner.rival.prompt, end)
            squares += len(differences) * pvariance(differences) if differences else 0.0
            free += max(0, len(differences) - 1)
    return math.sqrt(squares / free)


def _estimates(
    evaluator: Evaluator, seen: dict[_Runner, int], references: Sequence[Prompt]
) -> dict[Prompt, Estimate]:
    """Return estimates of all that race and of their rivals."""
    dev = evaluator.task.dev
    if evaluator.task.labels:
        raced = {runner.prompt: rows for runner, rows in seen.items()}
        return evaluator.estimates(dict.fromkeys(references, len(dev)) | raced)
    found = {}
    for runner, end in seen.items():
        ours, rival = evaluator.evaluate(runner.prompt, dev[:end]), runner.rival
        mean = ours.quality if scored(ours.values) else 0.0
        if rival:
            differences = _differences(evaluator, runner.prompt, rival.prompt, end)
            lead = sum(differences) / (len(differences) + _DOUBT)
            mean = min(1.0, max(0.0, rival.quality + lead))
            found[rival.prompt] = Estimate(rival.quality, rival.quality)
        found[runner.prompt] = Estimate(mean, mean)
    return found


def _standing(
    evaluator: Evaluator, runner: _Runner, end: int, estimates: dict[Prompt, Estimate], width: float
) -> _Standing:
    rows = evaluator.task.dev[:end]
    ours, (estimate, potential) = evaluator.evaluate(runner.prompt, rows), estimates[runner.prompt]
    stopped, lead = "", estimate
    if runner.rival:
        lead -= estimates[runner.rival.prompt].quality
        evidence = e_value(_differences(evaluator, runner.rival.prompt, runner.prompt, end))
        # The cheapest extends the front even where it is worse than the cheapest there, so nothing rules it out.
        if evidence >= 1 / ALPHA and not runner.cheapest:
            stopped = f"eliminated after {end} rows (e-value {evidence:.0f})"
    stopped = _unscored(evaluator, runner, rows, ours) or stopped
    quality = evaluator.mean(ours.values, rows) if scored(ours.values) else 0.0
    doubt = width * math.sqrt((1 - end / len(evaluator.task.dev)) / end)
    finish = Finish(
        runner.tokens, end, quality, estimate, potential, ours.offsets, stopped, count(ours.reasons)
    )
    return _Standing(finish, lead, doubt)


def _unscored(
    evaluator: Evaluator, runner: _Runner, rows: Sequence[Example], ours: Evaluation
) -> str:
    """Return why a candidate is stopped that leaves too many rows without a score; empty if it does not."""
    counts, shown = (
        count(ours.reasons),
        {example.inputs for example in runner.prompt.demonstrations},
    )
    judged = sum(example.inputs not in shown for example in rows)
    theirs = count(evaluator.evaluate(runner.rival.prompt, rows).reasons) if runner.rival else {}
    more = too_many(counts, judged) and sum(counts.values()) > sum(theirs.values())
    if more or (counts and not scored(ours.values)):
        return f"unscored on {sum(counts.values())} of {judged} rows: {listed(counts)}"
    return ""
