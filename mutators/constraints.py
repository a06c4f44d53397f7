"""Constraints: rules about the answer that a prompt states or not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.contracts import Constraint
from .wording import listed, task_is_chinese

if TYPE_CHECKING:
    from ..search.contracts import Gene, MutationContext, Prompt, Task

_MOST = 3


class AddConstraint:
    """State one more rule, from the task's own and the built-in ones."""

    gene: Gene = "constraints"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a rule it did not have."""
        names = {constraint.name for constraint in prompt.constraints}
        free = [c for c in known_constraints(prompt, context.task) if c.name not in names]
        if not free or len(names) >= _MOST:
            return prompt
        place = context.rng.randrange(len(names) + 1)
        added = (*prompt.constraints[:place], context.rng.choice(free), *prompt.constraints[place:])
        return replace(prompt, constraints=added)


class RemoveConstraint:
    """State one rule less."""

    gene: Gene = "constraints"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt without one of its rules."""
        kept = list(prompt.constraints)
        if not kept:
            return prompt
        del kept[context.rng.randrange(len(kept))]
        return replace(prompt, constraints=tuple(kept))


class TightenConstraint:
    """Lower the limit of one rule."""

    gene: Gene = "constraints"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one limit halved."""
        places = [i for i, c in enumerate(prompt.constraints) if c.limit is not None and c.limit > 1]
        if not places:
            return prompt
        place = context.rng.choice(places)
        old = prompt.constraints[place]
        tighter = replace(old, limit=max(1, (old.limit or 2) // 2))
        return replace(prompt, constraints=(*prompt.constraints[:place], tighter, *prompt.constraints[place + 1 :]))


def known_constraints(prompt: Prompt, task: Task) -> list[Constraint]:
    """Return the rules that can be stated for a task: its own first, then the built-in ones that fit its labels and language."""
    labels = [prompt.structure.verbalize(label) for label in task.labels]
    if task_is_chinese(task):
        built_in = [
            Constraint("length", "回答不超过{limit}个字。", 8),
            Constraint("no-explanation", "不要解释。"),
            Constraint("overall", "根据整体语气判断，不要只看个别词语。"),
        ]
        only = f"只回答{listed(labels, chinese=True)}。" if labels else ""
    else:
        built_in = [
            Constraint("length", "Answer in at most {limit} words.", 4),
            Constraint("no-explanation", "Do not explain."),
            Constraint("overall", "Judge the overall tone, not single words."),
        ]
        only = f"Answer only with {listed(labels)}." if labels else ""
    built_in += [Constraint("labels-only", only)] if only else []
    built_in += (
        [Constraint("closest", "If unsure, choose the closest label.")] if only and not task_is_chinese(task) else []
    )
    own = {constraint.name for constraint in task.constraints}
    return [*task.constraints, *(constraint for constraint in built_in if constraint.name not in own)]
