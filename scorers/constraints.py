"""Compliance: whether a reply keeps to what the task demands, whatever the prompt says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..search.errors import InputError
from ..search.prompts.rules import compliance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Constraint, Example, Task


@dataclass(frozen=True, slots=True)
class Compliance:
    """The share of the task's constraints with a rule that a reply keeps to.

    A reply that says little keeps to most, so this is a part of a score and not one to search by alone: ``0.8*rouge-l+0.2*compliance``.

    Parameters
    ----------
    constraints
        What replies are to keep to; a search takes those of its task.
    """

    constraints: tuple[Constraint, ...] = ()

    def of(self, task: Task) -> Compliance:
        """Return this scorer with a task's constraints.

        Raises
        ------
        InputError
            If none of them has a rule.
        """
        found = tuple(constraint for constraint in task.constraints if constraint.rule)
        if not found:
            raise InputError(
                f"`scorer` compliance: the task {task.name!r} has no constraint with a rule; "
                'name one in its file, such as {name: length, text: "Use at most {limit} words.", limit: 20, rule: words}'
            )
        return Compliance(found)

    def score_replies(
        self, examples: Sequence[Example], replies: Sequence[str]
    ) -> list[float | None]:
        """Return the share of each reply; None without constraints."""
        return [
            compliance(self.constraints, [example], [reply])
            for example, reply in zip(examples, replies, strict=True)
        ]
