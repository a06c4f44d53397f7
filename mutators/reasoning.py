"""Reasoning before the answer: asked for in a sentence, and shown in demonstrations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.contracts import Usage
from ..search.prompts.cjk import word_count
from .examples import short_examples, without
from .lexicon import task_is_chinese

if TYPE_CHECKING:
    from ..search.contracts import Gene, MutationContext, Prompt

# {marker} is the label that the answer follows; see `Structure.reasoning`.
_ENGLISH = (
    "Think step by step, one short line for each step. "
    'End with a line "{marker}" and the answer alone.',
    "First say in one sentence what decides the answer. "
    'Then write a line "{marker}" and the answer alone.',
    "Work it out in a few short lines and check the result. "
    'The last line is "{marker}" and the answer alone.',
)
_CHINESE = (
    "一步一步思考，每步写一短行。最后一行写“{marker}”和答案本身。",
    "先用一句话说明答案由什么决定，然后另起一行写“{marker}”和答案本身。",
    "用几短行推算并检查结果。最后一行是“{marker}”和答案本身。",
)
_WEIGHTS = (3, 1, 1)
"""The first sentence is the usual one (Kojima et al. 2022, arXiv 2205.11916). Set by hand."""
_ASKED = 8
"""Training rows that are answered for the sake of their rationales; set by hand."""
_SHOWN = 4
"""Demonstrations with rationales at most: each is read with every input."""
_LONGEST = 120
"""Words of a rationale at most."""


class Reasoning:
    """Ask for reasoning before the answer, ask for it in other words, or stop asking."""

    gene: Gene = "structure"
    usage = Usage(reasons=True, at_first=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with another sentence that asks for reasoning, or with none."""
        structure, rng = prompt.structure, context.rng
        sentences = _CHINESE if task_is_chinese(context.task) else _ENGLISH
        choices = dict(zip(sentences, _WEIGHTS, strict=True)) | {"": sum(_WEIGHTS)}
        others = {text: w for text, w in choices.items() if text != structure.reasoning}
        sentence = rng.choices(list(others), list(others.values()))[0]
        return replace(prompt, structure=replace(structure, reasoning=sentence))


class BootstrapRationales:
    """Show training rows with the reasoning by which the prompt itself came to the right answer.

    Zelikman et al. 2022 (STaR, arXiv 2203.14465); Opsahl-Ong et al. 2024 (MIPROv2, arXiv
    2406.11695) bootstrap demonstrations so.
    """

    gene: Gene = "demonstrations"
    usage = Usage(reasons=True, needs_unshown_rows=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with other demonstrations; as it is where it does not reason."""
        if not prompt.structure.reasoning:
            return prompt
        rows = without(prompt.demonstrations, short_examples(context.task.train))
        asked = context.rng.sample(rows, min(_ASKED, len(rows)))
        shown = [
            replace(answer.example, rationale=answer.rationale)
            for answer in context.answers(prompt, asked)
            if answer.score == 1 and 0 < word_count(answer.rationale) <= _LONGEST
        ]
        return replace(prompt, demonstrations=tuple(shown[:_SHOWN])) if shown else prompt
