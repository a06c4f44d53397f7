"""Whole instructions by a model that can write: from failures, from scores, from data, from two.

Each asks for a short diagnosis and then an instruction of any length between two fences. What is
not whole (cut off, all thinking, not marked), loses a label or a placeholder, or quotes a row is no
proposal and costs no score. A weak writer mostly fails these checks, and what it wasted makes
it be asked less.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.contracts import Direction, Message, Usage
from .examples import mixed, without
from .proposer_replies import Check, is_whole, whole_instruction
from .reflection_texts import said_answer, said_example, said_instruction, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..search.contracts import Answer, Candidate, Example, Gene, MutationContext, Prompt, Text

# Set by hand on replies of an instruct model of 1.5B parameters.
_REPLIES = 2
"""Replies of one call, of which the first that is an instruction is taken."""
_DIAGNOSIS = 120
"""Tokens of a reply beside its instruction."""
_PRIOR = (2.0, 1.0)
"""Gains and losses that reflection begins with: as likely as not the writer cannot do it."""
_ROWS = 12
"""Training rows that a prompt answers to be diagnosed: mistakes are not rare in so many."""
_WRONG = 4
"""Mistakes that are shown."""
_RIGHT = 2
"""Right answers beside them, which a new instruction is to keep."""
_SCORED = 8
"""Instructions that are shown with their scores."""
_LEAST_SCORED = 3
"""Fewer tell nothing of what is better."""
_DATA = 8
"""Rows that data is described from."""


class Reflect:
    """Ask why a prompt's answers to some training rows are wrong, and for a better instruction.

    Pryzant et al. 2023 (ProTeGi, arXiv 2305.03495); Agrawal et al. 2025 (GEPA, arXiv 2507.19457).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True, direction=Direction(prior=_PRIOR))

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with an instruction that its mistakes led to."""
        words = words_of(context.task)
        wrong, right = _judged(context.answers(prompt, _rows(context, prompt)))
        if not wrong:
            return prompt
        blocks = [said_instruction(prompt, words), words.wrong_rows]
        blocks += [said_answer(prompt, answer, words) for answer in wrong]
        if right:
            blocks += [words.right_rows]
            blocks += [said_example(prompt, answer.example, words) for answer in right]
        shown = [answer.example for answer in (*wrong, *right)]
        return _written(prompt, context, (*blocks, words.reflect), (prompt.instruction,), shown)


class FromHistory:
    """Show instructions with their scores, the best last, and ask for a better one.

    Yang et al. 2023 (OPRO, arXiv 2309.03409).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with an instruction that follows the scores of others."""
        words, scored = words_of(context.task), _best_of_each(context.evaluated)
        if len(scored) < _LEAST_SCORED:
            return prompt
        shown = mixed(context.task, context.rng, _RIGHT)
        blocks = [words.rows, *(said_example(prompt, example, words) for example in shown)]
        blocks += [
            f"{said_instruction(one.prompt, words)}\n{words.score}: {100 * one.quality:.0f}"
            for one in scored
        ]
        parents = tuple(one.prompt.instruction for one in scored)
        return _written(prompt, context, (*blocks, words.history), parents, shown)


class Ground:
    """Ask what inputs are and what decides their answers, and for an instruction that says it.

    Opsahl-Ong et al. 2024 (MIPROv2, arXiv 2406.11695) have one summary of the data for a search;
    here each proposal describes rows of its own.
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with an instruction that follows a description of the data."""
        words, shown = words_of(context.task), mixed(context.task, context.rng, _DATA)
        # Examples do not say where in a whole prompt its input stands.
        if not shown or "{{" in prompt.instruction:
            return prompt
        blocks = [words.rows, *(said_example(prompt, example, words) for example in shown)]
        parents = tuple(dict.fromkeys((prompt.instruction, context.task.start.instruction)))
        return _written(prompt, context, (*blocks, words.ground), parents, shown)


class Merge:
    """Ask to combine two instructions of the front, each of which gets other rows right.

    Agrawal et al. 2025 (GEPA, arXiv 2507.19457) merge candidates that win on different rows.
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a combination of its instruction and another's."""
        words, known = words_of(context.task), ("", prompt.instruction)
        front = [candidate.prompt for candidate in context.front]
        others = [other for other in front if other.instruction not in known]
        if not others or not prompt.instruction:
            return prompt
        other = context.rng.choice(others)
        rows = _rows(context, prompt, other)
        ours, theirs = context.answers(prompt, rows), context.answers(other, rows)
        won = _won(ours, theirs), _won(theirs, ours)
        if not all(won):
            return prompt
        blocks: list[str] = []
        for one, examples in zip((prompt, other), won, strict=True):
            blocks += [said_instruction(one, words), words.gets_right]
            blocks += [said_example(one, example, words) for example in examples]
        parents = (prompt.instruction, other.instruction)
        return _written(prompt, context, (*blocks, words.merge), parents, (*won[0], *won[1]))


def _written(
    prompt: Prompt,
    context: MutationContext,
    blocks: Sequence[str],
    parents: tuple[str, ...],
    shown: Sequence[Example],
) -> Prompt:
    """Return the prompt with the first reply's instruction that passes, or as it is."""
    form = words_of(context.task).form
    asked: Text = (Message("user", "\n\n".join((*blocks, form))),)
    check = Check(prompt.structure, context.task, f"{blocks[-1]} {form}", parents, tuple(shown))
    for reply in context.propose([asked] * _REPLIES, context.instruction_tokens + _DIAGNOSIS):
        text = whole_instruction(reply)
        if is_whole(text, check):
            return replace(prompt, instruction=text)
    return prompt


def _rows(context: MutationContext, *prompts: Prompt) -> list[Example]:
    """Return training rows that none of the prompts shows."""
    seen = [example for prompt in prompts for example in prompt.demonstrations]
    rows = without(seen, context.task.train)
    return context.rng.sample(rows, min(_ROWS, len(rows)))


def _judged(answers: Sequence[Answer]) -> tuple[list[Answer], list[Answer]]:
    """Return the worst answers that are wrong, and the best of the others."""
    ordered = sorted(answers, key=_score)
    wrong = [answer for answer in ordered if _score(answer) < 1][:_WRONG]
    worst = max(map(_score, wrong), default=0.0)
    right = [answer for answer in ordered if _score(answer) > worst][-_RIGHT:]
    return wrong, right


def _won(answers: Sequence[Answer], others: Sequence[Answer]) -> list[Example]:
    """Return a few rows that the first answers get right and the others do not."""
    pairs = zip(answers, others, strict=False)  # of two, the second may have cost too much
    return [one.example for one, other in pairs if _score(one) > _score(other)][:_RIGHT]


def _score(answer: Answer) -> float:
    return 0.0 if math.isnan(answer.score) else answer.score


def _best_of_each(evaluated: Sequence[Candidate]) -> list[Candidate]:
    """Return the best prompts with different instructions, the best last."""
    ordered = sorted(evaluated, key=lambda one: one.quality)
    best = {one.prompt.instruction: one for one in ordered if one.prompt.instruction}
    return sorted(best.values(), key=lambda one: one.quality)[-_SCORED:]
