"""Where the candidates of a race stand, each against the front member that it has to beat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import pvariance
from typing import TYPE_CHECKING

from ..records.trials import Trial
from ..records.unscored import count, listed, too_many
from .estimates import Estimate
from .statistics import e_value, paired, scored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Candidate, Example, Prompt
    from .evaluator import Evaluation, Evaluator

ALPHA = 0.05
"""How often a candidate that is no worse than its incumbent may be eliminated."""
_WIDTH = 0.8
"""Standard errors that an estimate is given or taken; chosen by benchmarks/racing.py."""
_SPREAD = 0.5
"""The standard deviation of labels' scores, which are 0 or 1."""
_SIMILAR = 1.25
"""Times a prompt's tokens that its incumbent may have.

A few tokens less are no reason to take a far worse prompt.
"""
_DOUBT = 10
"""Shrink a free text's lead as if it rested on this many more rows without one."""


@dataclass(frozen=True, slots=True)
class Challenger:
    """A candidate in a race.

    Parameters
    ----------
    prompt, tokens
        The candidate and its cost.
    incumbent
        The best front member of no much greater cost, which it has to beat; missing where the
        front is empty.
    cheapest
        Whether it costs less than the whole front: it extends the front however it scores.
    """

    prompt: Prompt
    tokens: int
    incumbent: Candidate | None
    cheapest: bool

    @classmethod
    def of(cls, evaluator: Evaluator, prompt: Prompt, front: Sequence[Candidate]) -> Challenger:
        """Return a prompt as a challenger of the front, whose members are in order of cost.

        What the model will write to it is not known yet: costs are the prompts' own here.
        """
        tokens = evaluator.tokens.of_prompt(prompt)
        cheapest = not any(candidate.tokens <= tokens for candidate in front)
        similar = [candidate for candidate in front if candidate.tokens <= _SIMILAR * tokens]
        incumbent = max(
            similar, key=lambda candidate: candidate.quality, default=front[0] if front else None
        )
        return cls(prompt, tokens, incumbent, cheapest)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a candidate is, and its estimate's lead over its incumbent, give or take a doubt."""

    trial: Trial
    lead: float
    doubt: float

    @property
    def upper(self) -> float:
        """The largest lead that is still likely."""
        return self.lead + self.doubt

    @property
    def lower(self) -> float:
        """The smallest lead that is still likely."""
        return self.lead - self.doubt


def standings(
    evaluator: Evaluator, rows: Mapping[Challenger, int], references: Sequence[Prompt]
) -> dict[Challenger, Standing]:
    """Return where each challenger stands.

    Parameters
    ----------
    evaluator
        Scores prompts on the task's dev examples.
    rows
        The challengers, and how many of the dev examples each was scored on.
    references
        Fully evaluated prompts, which tell how hard the dev examples are.
    """
    if not rows:
        return {}
    guessed = {one: end for one, end in rows.items() if not evaluator.log_odds.known(one.prompt)}
    estimates = _estimates(evaluator, rows, guessed, references)
    spread = _spread(evaluator, guessed)
    return {
        one: _standing(evaluator, one, end, estimates, spread if one in guessed else _SPREAD)
        for one, end in rows.items()
    }


def _standing(
    evaluator: Evaluator,
    challenger: Challenger,
    end: int,
    estimates: Mapping[Prompt, Estimate],
    spread: float,
) -> Standing:
    examples = evaluator.task.dev[:end]
    evaluation = evaluator.evaluate(challenger.prompt, examples)
    estimate, potential = estimates[challenger.prompt]
    lead = estimate
    if challenger.incumbent:
        lead -= estimates[challenger.incumbent.prompt].quality
    unscored = _unscored(evaluator, challenger, examples, evaluation)
    known = scored(evaluation.values)
    trial = Trial(
        challenger.prompt,
        rows=end,
        tokens=challenger.tokens,
        reply_tokens=evaluator.reply_tokens(challenger.prompt, examples),
        dev_mean=evaluator.mean(evaluation.values, examples) if known else 0.0,
        estimate=estimate,
        potential=potential,
        offsets=evaluation.offsets,
        stopped=unscored or _eliminated(evaluator, challenger, end),
        reasons=count(evaluation.reasons),
    )
    doubt = _WIDTH * spread * math.sqrt((1 - end / len(evaluator.task.dev)) / end)
    return Standing(trial, lead, doubt)


def _eliminated(evaluator: Evaluator, challenger: Challenger, end: int) -> str:
    """Return the evidence that rules a candidate out; empty where there is not enough."""
    # The cheapest extends the front even where it is worse than the cheapest there.
    if challenger.incumbent is None or challenger.cheapest:
        return ""
    differences = _differences(evaluator, challenger.incumbent.prompt, challenger.prompt, end)
    evidence = e_value(differences)
    return f"eliminated after {end} rows (e-value {evidence:.0f})" if evidence >= 1 / ALPHA else ""


def _unscored(
    evaluator: Evaluator, challenger: Challenger, rows: Sequence[Example], ours: Evaluation
) -> str:
    """Return why a candidate that leaves too many rows without a score is stopped; else nothing."""
    counts = count(ours.reasons)
    shown = {example.inputs for example in challenger.prompt.demonstrations}
    counted = sum(example.inputs not in shown for example in rows)
    theirs = dict[str, int]()
    if challenger.incumbent:
        theirs = count(evaluator.evaluate(challenger.incumbent.prompt, rows).reasons)
    more = too_many(counts, counted) and sum(counts.values()) > sum(theirs.values())
    if more or (counts and not scored(ours.values)):
        return f"unscored on {sum(counts.values())} of {counted} rows: {listed(counts)}"
    return ""


def _differences(evaluator: Evaluator, ours: Prompt, theirs: Prompt, end: int) -> list[float]:
    """Return by how much one prompt did better than another on each row scored for both."""
    rows = evaluator.task.dev[:end]
    pairs = paired(evaluator.evaluate(ours, rows).values, evaluator.evaluate(theirs, rows).values)
    return [a - b for a, b in pairs]


def _spread(evaluator: Evaluator, rows: Mapping[Challenger, int]) -> float:
    """Return the pooled standard deviation of the differences to incumbents.

    It is pooled with one more that is that of labels. Graded scores of free text differ far less
    than those of labels: with their spread no race of few rows would end.
    """
    squares, free = _SPREAD**2, 1
    for challenger, end in rows.items():
        if challenger.incumbent is None:
            continue
        differences = _differences(evaluator, challenger.prompt, challenger.incumbent.prompt, end)
        squares += len(differences) * pvariance(differences) if differences else 0.0
        free += max(0, len(differences) - 1)
    return math.sqrt(squares / free)


def _estimates(
    evaluator: Evaluator,
    rows: Mapping[Challenger, int],
    guessed: Mapping[Challenger, int],
    references: Sequence[Prompt],
) -> dict[Prompt, Estimate]:
    """Return estimates of all that race and of their incumbents.

    Those of the ``guessed`` are their leads so far, drawn towards none.
    """
    dev = evaluator.task.dev
    estimates: dict[Prompt, Estimate] = {}
    if known := {one.prompt: end for one, end in rows.items() if one not in guessed}:
        whole = [prompt for prompt in references if evaluator.log_odds.known(prompt)]
        estimates = evaluator.log_odds.estimates(dict.fromkeys(whole, len(dev)) | known)
    for challenger in rows:
        if (one := challenger.incumbent) and one.prompt not in estimates:
            estimates[one.prompt] = Estimate(one.quality, one.quality)
    for challenger, end in guessed.items():
        evaluation = evaluator.evaluate(challenger.prompt, dev[:end])
        mean = evaluation.quality if scored(evaluation.values) else 0.0
        if incumbent := challenger.incumbent:
            differences = _differences(evaluator, challenger.prompt, incumbent.prompt, end)
            lead = sum(differences) / (len(differences) + _DOUBT)
            mean = min(1.0, max(0.0, estimates[incumbent.prompt].quality + lead))
        estimates[challenger.prompt] = Estimate(mean, mean)
    return estimates
