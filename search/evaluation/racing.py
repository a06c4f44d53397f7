"""Racing: candidates are scored in growing blocks of examples; most never see the last block.

All of a batch see the first block; after that those *contend* that may still be the best. What is
compared are estimates of the score on all dev examples (`estimates.py`), as leads over the
incumbent: the best front member of not much greater cost (as in epsilon-dominance; Laumanns et al.
2002). A lead is given or taken a doubt that shrinks with the examples seen. The next block goes to
the contender with the highest upper bound and to the leader (after LUCB; Kalyanakrishnan et al.
2012), until one saw all examples and nobody may pass it, none may pass the front, or the race
budget is used. Who is left there was *stopped*: a decision about the budget and no claim about the
prompt. A candidate is *eliminated* when the evidence that it is worse than its incumbent reaches
``1 / ALPHA``; the evidence is an e-process, so looking after every block is accounted for. Only
candidates that saw all dev examples can enter the front.

Nobody wins by examples without a score: who leaves more than a tenth of them so, and more than its
incumbent does, is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..budget import end_of_block, race_budget
from ..errors import flaw
from ..records.trials import Trial
from .standings import Challenger, Standing, standings

if TYPE_CHECKING:
    from ..contracts import Candidate, Example, Prompt
    from .evaluator import Evaluator

BeforeBlock = Callable[[Sequence["Prompt"], Sequence["Example"]], None]


def race(
    evaluator: Evaluator,
    prompts: Mapping[Prompt, int],
    front: Sequence[Candidate],
    references: Sequence[Prompt],
    before_block: BeforeBlock,
) -> dict[Prompt, Trial]:
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
        Called with the prompts and examples of a block before it is scored; it may raise to end
        the search.

    Returns
    -------
    trials
        How far each came.
    """
    rows = {Challenger.of(evaluator, prompt, front): seen for prompt, seen in prompts.items()}
    references = [*references, *(candidate.prompt for candidate in front)]
    examples = len(evaluator.task.dev)
    failed: dict[Prompt, Trial] = {}
    budget = race_budget(len(rows), examples)
    going = [challenger for challenger, seen in rows.items() if not seen]
    while True:
        evaluations, flaws = _score(evaluator, going, rows, before_block)
        budget -= evaluations
        for challenger, why in flaws.items():
            failed[challenger.prompt] = Trial(challenger.prompt, error=why)
            del rows[challenger]
        standing = standings(evaluator, rows, references)
        going = _next(standing, examples, budget)
        if not going:
            ended = {one.prompt: _ended(at.trial, examples) for one, at in standing.items()}
            return failed | ended


def _score(
    evaluator: Evaluator,
    going: Sequence[Challenger],
    rows: dict[Challenger, int],
    before_block: BeforeBlock,
) -> tuple[int, dict[Challenger, str]]:
    """Score each that goes on with its next block, and count that in ``rows``.

    Returns
    -------
    evaluations
        How many evaluations that were.
    flaws
        Who cannot be scored, and why.
    """
    evaluations, dev, flaws = 0, evaluator.task.dev, dict[Challenger, str]()
    for start in {rows[challenger] for challenger in going}:
        together = [challenger for challenger in going if rows[challenger] == start]
        prompts = [challenger.prompt for challenger in together]
        end = end_of_block(start, len(dev))
        before_block(prompts, dev[start:end])
        why = _flaws(evaluator, prompts, dev[start:end], dev[:end])
        flaws |= {one: why[one.prompt] for one in together if one.prompt in why}
        rows |= dict.fromkeys(together, end)
        evaluations += len(together) * (end - start)
    return evaluations, flaws


def _flaws(
    evaluator: Evaluator,
    prompts: Sequence[Prompt],
    block: Sequence[Example],
    rows: Sequence[Example],
) -> dict[Prompt, str]:
    """Score prompts on the last block of their rows; return which cannot be scored, and why.

    Raises
    ------
    PromptfrontError
        If none of several can be, and the starting prompt no more either: then no other would
        fare better.
    """
    # All in one call; whose fault an error is shows when each is scored.
    flaw(lambda: evaluator.measure(prompts, block))
    flaws: dict[Prompt, str] = {}
    for prompt in prompts:
        if why := flaw(partial(evaluator.evaluate, prompt, rows)):
            flaws[prompt] = why
    if len(flaws) == len(prompts) > 1:
        evaluator.ask_again()
    return flaws


def _next(standing: Mapping[Challenger, Standing], examples: int, budget: int) -> list[Challenger]:
    """Return who sees the next block: the leader, and the contender with the highest upper bound.

    Only those that the race budget can still evaluate in full: more rows of the others are better
    left to the next batch.
    """
    alive = {one: at for one, at in standing.items() if not at.trial.stopped}
    left = {one: examples - at.trial.rows for one, at in alive.items()}
    affordable = [one for one in alive if left[one] <= budget]
    leader = max(affordable, key=lambda one: alive[one].lead, default=None)
    if leader is None:
        return []
    contenders = [one for one, at in alive.items() if _may_win(one, at, examples)]
    going = [leader] if leader in contenders else []
    spare = budget - (left[leader] if going else 0)
    budget -= _block(alive[leader], examples) if going else 0
    others = [
        one
        for one in contenders
        if one != leader
        and alive[one].upper > alive[leader].lower
        and _block(alive[one], examples) <= spare
        and left[one] <= budget
    ]
    return [*going, max(others, key=lambda one: alive[one].upper)] if others else going


def _block(standing: Standing, examples: int) -> int:
    """Return how many examples the candidate's next block has."""
    return end_of_block(standing.trial.rows, examples) - standing.trial.rows


def _may_win(challenger: Challenger, standing: Standing, examples: int) -> bool:
    """Return whether more rows could show that a candidate belongs to the front."""
    return standing.trial.rows < examples and (
        standing.upper >= 0 or challenger.cheapest or challenger.incumbent is None
    )


def _ended(trial: Trial, examples: int) -> Trial:
    if trial.stopped or trial.rows == examples:
        return trial
    return replace(trial, stopped=f"stopped after {trial.rows} rows")
