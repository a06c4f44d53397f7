"""Constraints met: whether a reply keeps to what the task demands, whatever the prompt says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..search.contracts import ReplyScorer, Score
from ..search.errors import InputError
from ..search.prompts.rules import constraints_met, obeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Constraint, Example, Likelihoods, Task


@dataclass(frozen=True, slots=True)
class ConstraintsMet(ReplyScorer):
    """The share of the task's constraints with a rule that a reply meets.

    A reply that says little meets most, so this is a part of a score and not one to search by
    alone: ``0.8*rouge-l+0.2*constraints-met``.

    Parameters
    ----------
    constraints
        What replies are to meet; a search takes those of its task (`prepare`).
    """

    constraints: tuple[Constraint, ...] = ()

    def prepare(self, task: Task, judge: Likelihoods) -> ConstraintsMet:  # noqa: ARG002
        """Return this scorer with a task's constraints.

        Raises
        ------
        InputError
            If none of them has a rule.
        """
        measured = tuple(constraint for constraint in task.constraints if constraint.rule)
        if not measured:
            raise InputError(
                f"`scorer` constraints-met: the task {task.name!r} has no constraint with a rule; "
                "add one to its task file, such as "
                '{name: length, text: "Use at most {limit} words.", limit: 20, rule: max_words}'
            )
        return ConstraintsMet(measured)

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the share of each reply, with those that it breaks; None without constraints."""
        return [
            self._score(example, reply) for example, reply in zip(examples, replies, strict=True)
        ]

    def _score(self, example: Example, reply: str) -> float | None:
        share = constraints_met(self.constraints, [example], [reply])
        broken = [one.text for one in self.constraints if obeys(one, reply, example) is False]
        return (
            Score(share, f"it breaks: {' '.join(broken)}")
            if share is not None and broken
            else share
        )
