"""The best prompt, made simpler: what does not cost more than its noise goes.

A search keeps what did no harm: chatter of the proposer, labels in other words, a strange
separator. So each part of the best prompt is set back to the starting prompt's or left out
(`prompts/simpler.py`), on rows that the prompt has been judged by: confirmation rows first, which
it was not chosen by, then dev rows. This is backward elimination, from large steps to small ones,
and each is judged by its loss against the prompt that the search found, not against the step
before: losses do not add up.

- Wording goes if its loss is less than one standard error of the paired difference: of prompts
  that rows cannot tell apart the simplest (the one-standard-error rule; Breiman et al. 1984, CART).
- Examples go only if nothing is lost: they read as they are, and each does a little.
- An instruction that says neither what is asked for nor all labels, as the start does, stays only
  where rows say that it is better (p < .05): such a text won by chance.
- Nothing simpler may cost many more tokens, read or written, leave more rows without a score, or do
  worse on confirmation rows than the starting prompt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..budget import blocks
from ..errors import flaw
from ..prompts.simpler import says_what_to_do, steps
from ..records.unscored import count, too_many
from .statistics import paired, paired_p_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..contracts import Example, Prompt, Task
    from ..prompts.simpler import Step
    from .evaluator import Evaluator

_ROWS = 150
"""Rows that a step is judged by at most; the prompt that all lead to is judged by all."""
_SIMILAR = 1.25
"""Times its tokens that a prompt may have once it is simpler: the start's words may be longer."""
_HOPELESS = 3.0
"""Standard errors of loss at which more rows are not worth their evaluations; set by hand."""
_SIGNIFICANT = 0.05

Rule = Literal["wording", "examples", "chatter"]


class Simplified(NamedTuple):
    """The simplest prompt that does as well, and the evaluations that it took to find it."""

    prompt: Prompt
    evaluations: int


def simplify(
    evaluator: Evaluator,
    best: Prompt,
    confirming: Sequence[Example],
    most: int,
    allowed: Callable[[Prompt], bool],
) -> Simplified:
    """Return the simplest prompt that does as well as the best, within ``most`` evaluations.

    Parameters
    ----------
    evaluator
        Scores prompts.
    best
        What the search found.
    confirming
        The confirmation rows that the best and the starting prompt were scored on.
    most
        How many evaluations there are for it.
    allowed
        Whether a prompt keeps to what every candidate must.
    """
    start = evaluator.task.start
    judge = _Judge(evaluator, best, confirming, most)
    chain: list[tuple[Prompt, Rule]] = [(best, "wording")]
    for step in steps(best, start):
        simpler, rule = step.take(chain[-1][0]), _rule(step, best, evaluator.task)
        if simpler not in judge.seen and allowed(simpler) and judge.accepts(simpler, rule):
            chatter = "chatter" in (rule, chain[-1][1])
            chain.append((simpler, "chatter" if chatter else "wording"))
    while len(chain) > 1 and not judge.confirms(*chain[-1]):
        chain.pop()
    return Simplified(chain[-1][0], judge.spent)


def _rule(step: Step, best: Prompt, task: Task) -> Rule:
    if step.gene == "demonstrations":
        return "examples"
    says = says_what_to_do(best, task) or not says_what_to_do(task.start, task)
    if step.gene == "instruction" and not says:
        return "chatter"
    return "wording"


class _Judge:
    """Compares what is simpler with the best prompt, row by row, and counts evaluations."""

    def __init__(
        self, evaluator: Evaluator, best: Prompt, confirming: Sequence[Example], most: int
    ) -> None:
        self._evaluator = evaluator
        self._best = best
        self._confirming = len(confirming)
        self._rows = [*confirming, *evaluator.task.dev]
        self._cheap = _SIMILAR * evaluator.tokens.of_prompt(best)
        self._most = most
        self.spent = 0
        self.seen = {best}
        # Both are scored on all these rows already.
        self._known = {best: len(self._rows), evaluator.task.start: len(self._rows)}

    def accepts(self, simpler: Prompt, rule: Rule) -> bool:
        """Return whether a prompt loses no more than the rule allows on some of the rows."""
        self.seen.add(simpler)
        best, rows = self._best, self._rows[:_ROWS]
        if self._evaluator.tokens.of_prompt(simpler) > self._cheap:
            return False
        for end in blocks(len(rows)):
            if not self._take(simpler, end) or self._broken(simpler, end):
                return False
            loss = self._loss(simpler, end)
            if loss.total > _HOPELESS * loss.noise:
                return False
        return loss.within(rule) and self._cost(simpler, end) <= _SIMILAR * self._cost(best, end)

    def confirms(self, simpler: Prompt, rule: Rule) -> bool:
        """Return whether the result holds on all rows, and on confirmation rows over the start."""
        everything = len(self._rows)
        if not self._take(simpler, everything, last=True) or self._broken(simpler, everything):
            return False
        start = self._values(self._evaluator.task.start, self._confirming)
        gains = [a - b for a, b in paired(self._values(simpler, self._confirming), start)]
        return self._loss(simpler, everything).within(rule) and sum(gains) >= 0

    def _take(self, prompt: Prompt, end: int, *, last: bool = False) -> bool:
        """Count a prompt's rows up to ``end``, unless there is nothing left for the last check."""
        new = max(0, end - self._known.get(prompt, 0))
        kept = 0 if last else max(0, len(self._rows) - max(end, _ROWS))
        if self.spent + new + kept > self._most and new:
            return False
        self.spent += new
        self._known[prompt] = max(end, self._known.get(prompt, 0))
        return True

    def _broken(self, prompt: Prompt, end: int) -> bool:
        """Return whether it cannot be scored, or leaves more without a score than the best."""
        rows = self._rows[:end]
        if flaw(lambda: self._evaluator.evaluate(prompt, rows)):
            return True
        ours = count(self._evaluator.evaluate(prompt, rows).reasons)
        theirs = count(self._evaluator.evaluate(self._best, rows).reasons)
        return too_many(ours, end) and sum(ours.values()) > sum(theirs.values())

    def _cost(self, prompt: Prompt, end: int) -> float:
        """Return the tokens that are read and written for one of the rows, but for its inputs."""
        written = self._evaluator.reply_tokens(prompt, self._rows[:end])
        return self._evaluator.tokens.of_prompt(prompt) + written

    def _loss(self, simpler: Prompt, end: int) -> _Loss:
        return _Loss(tuple(paired(self._values(self._best, end), self._values(simpler, end))))

    def _values(self, prompt: Prompt, end: int) -> tuple[float, ...]:
        return self._evaluator.evaluate(prompt, self._rows[:end]).values


@dataclass(frozen=True, slots=True)
class _Loss:
    """What a simpler prompt loses, from pairs of the best prompt's score and its own."""

    pairs: tuple[tuple[float, float], ...]

    @property
    def total(self) -> float:
        """The sum of its losses."""
        return math.fsum(best - simpler for best, simpler in self.pairs)

    @property
    def noise(self) -> float:
        """The standard error of that sum."""
        squares = math.fsum((best - simpler) ** 2 for best, simpler in self.pairs)
        return math.sqrt(max(0.0, squares - self.total**2 / max(1, len(self.pairs))))

    def within(self, rule: Rule) -> bool:
        """Return whether the loss is what the rule allows."""
        if not self.pairs:
            return False
        if self.total <= 0:
            return True
        if rule == "chatter":
            return paired_p_value(self.pairs) >= _SIGNIFICANT
        return rule == "wording" and self.total < self.noise
