"""Constraints: rules about the answer that a prompt states or not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.contracts import Constraint
from .lexicon import is_chinese, is_sentiment, label_texts, listed, task_is_chinese

if TYPE_CHECKING:
    from ..search.contracts import Gene, MutationContext, Prompt, Task

_MOST = 3
"""Rules of a prompt at most: each is paid for with every input. Set by hand."""
_FORM = frozenset({"length", "one-word", "labels-only"})
"""Built-in rules on the form of the answer: a second one repeats the first or contradicts it."""
_LEAST_LIMIT = 4
"""Words that the built-in rule on length allows at least."""
_LEAST_CHINESE_LIMIT = 8
"""Characters that it allows at least."""


class AddConstraint:
    """State one more rule, from the task's own and the built-in ones."""

    gene: Gene = "constraints"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a rule it did not have."""
        stated = {constraint.name for constraint in prompt.constraints}
        barred = stated | (_FORM if stated & _FORM else set())
        free = [c for c in known_constraints(prompt, context.task) if c.name not in barred]
        if not free or len(stated) >= _MOST:
            return prompt
        place = context.rng.randrange(len(prompt.constraints) + 1)
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
        """Return the prompt with one limit halved, though never below what its labels need."""
        texts = label_texts(prompt.structure, context.task.labels)
        tighter = []
        for place, constraint in enumerate(prompt.constraints):
            halved = _halved(constraint, texts)
            if halved != constraint:
                tighter.append((place, halved))
        if not tighter:
            return prompt
        constraints = list(prompt.constraints)
        place, halved = context.rng.choice(tighter)
        constraints[place] = halved
        return replace(prompt, constraints=tuple(constraints))


def known_constraints(prompt: Prompt, task: Task) -> list[Constraint]:
    """Return the rules that can be stated.

    The task's own come first, then the built-in ones that fit labels and language.
    """
    texts = label_texts(prompt.structure, task.labels)
    answers = texts or [example.target for example in task.train]
    longest = max(map(_size, answers), default=1)
    built_in = _chinese(texts, longest) if task_is_chinese(task) else _english(texts, longest)
    own = {constraint.name for constraint in task.constraints}
    return [*task.constraints, *(rule for rule in built_in if rule.name not in own)]


def _english(texts: list[str], longest: int) -> list[Constraint]:
    rules = [
        Constraint(
            "length", "Answer in at most {limit} words.", max(_LEAST_LIMIT, longest), "max_words"
        ),
        Constraint("no-explanation", "Do not explain."),
    ]
    if longest == 1:
        rules.append(Constraint("one-word", "Answer with one word.", rule="max_words"))
    if not texts:
        return [
            *rules,
            Constraint("language", "Answer in the language of the input.", rule="language"),
        ]
    rules.append(Constraint("labels-only", f"Answer only with {listed(texts)}."))
    rules.append(Constraint("closest", "If unsure, choose the closest label."))
    if is_sentiment(texts):
        rules.append(Constraint("overall", "Judge the overall tone, not single words."))
    return rules


def _chinese(texts: list[str], longest: int) -> list[Constraint]:
    rules = [
        Constraint(
            "length", "回答不超过{limit}个字。", max(_LEAST_CHINESE_LIMIT, longest), "max_words"
        ),
        Constraint("no-explanation", "不要解释。"),
    ]
    if not texts:
        return [*rules, Constraint("language", "用输入的语言回答。", rule="language")]
    rules.append(Constraint("labels-only", f"只回答{listed(texts, chinese=True)}。"))
    rules.append(Constraint("closest", "不确定时，选择最接近的标签。"))
    if is_sentiment(texts):
        rules.append(Constraint("overall", "根据整体语气判断，不要只看个别词语。"))
    return rules


def _size(text: str) -> int:
    """Return the length of a text in words, or in characters where it is Chinese."""
    return len(text) if is_chinese(text) else len(text.split())


def _halved(constraint: Constraint, texts: list[str]) -> Constraint:
    """Return the constraint with half its limit, no less than its labels need."""
    least = max([1, *map(_size, texts)]) if constraint.name == "length" else 1
    if constraint.limit is None or constraint.limit <= least:
        return constraint
    return replace(constraint, limit=max(least, constraint.limit // 2))
