"""The instruction by model: paraphrase, induction from examples, crossover.

A weak proposer mostly answers with chatter. A reply must look like an instruction before it costs a score; if none
does, the prompt is returned unchanged.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.contracts import Message

if TYPE_CHECKING:
    from ..search.contracts import Example, Gene, MutationContext, Prompt, Text

_REPLIES = 4
_MAX_TOKENS = 40
_SHOWN = 6
_SHOWN_WORDS = 40
# What a chat model says before it gets to the point.
_PREAMBLE = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok|here(?:'s| is| are)|the (?:new |rewritten |combined )?instruction(?: is| was)?|"
    r"instruction|rewritten(?: instruction)?|answer|output)\b[^:\n]*[:!.]\s*)+",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"\b(?:as an ai|language model|i'm sorry|i cannot|i can't|i would|i'll|let me know|hope this|rewrite|rephrase|paraphrase|"
    r"different words|instruction)\b",
    re.IGNORECASE,
)
_QUOTES = "\"'`“”‘’「」*"


class Paraphrase:
    """Ask the proposer to say the instruction in other words (Zhou et al. 2023, arXiv 2211.01910)."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a paraphrased instruction."""
        if not prompt.instruction:
            return prompt
        ask = (
            # The instruction is quoted and the form of the reply is fixed, so that a reply can be cut out of chatter.
            "Say this instruction in different words, in one short sentence. Keep its meaning. Reply with the sentence only.\n"
            f'"{prompt.instruction}"'
        )
        return _first_valid(prompt, context, ask, [prompt.instruction])


class Induce:
    """Ask the proposer which instruction the examples follow (Honovich et al. 2023, arXiv 2205.10782)."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with an instruction induced from pool examples."""
        pool = context.task.pool
        shown = context.rng.sample(pool, min(_SHOWN, len(pool)))
        ask = (
            # Few, short examples: a small model loses the question behind long ones, so the question comes last.
            "\n".join(_pair(example) for example in shown)
            + "\nWhich instruction turns each input into its output? Reply with the instruction only, in one short sentence."
        )
        return _first_valid(prompt, context, ask, [context.task.start.instruction])


class Crossover:
    """Ask the proposer to combine two instructions of the front (EvoPrompt; Guo et al. 2024, arXiv 2309.08532)."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a combination of its instruction and another's."""
        others = sorted({c.prompt.instruction for c in context.front} - {prompt.instruction, ""})
        if not prompt.instruction or not others:
            return prompt
        other = context.rng.choice(others)
        ask = (
            # Two numbered parents and one sentence asked for: the reply stays as short as they are.
            "Combine these two instructions into one short sentence. Reply with the sentence only.\n"
            f'1. "{prompt.instruction}"\n2. "{other}"'
        )
        return _first_valid(prompt, context, ask, [prompt.instruction, other])


def _pair(example: Example) -> str:
    text = " ".join(" ".join(value for _, value in example.inputs).split()[:_SHOWN_WORDS])
    return f"Input: {text}\nOutput: {example.target}"


def _first_valid(prompt: Prompt, context: MutationContext, ask: str, parents: list[str]) -> Prompt:
    asked: Text = (Message("user", ask),)
    for reply in context.propose([asked] * _REPLIES, _MAX_TOKENS):
        text = clean(reply)
        if _is_instruction(text, prompt, context, parents):
            return replace(prompt, instruction=text)
    return prompt


def clean(reply: str) -> str:
    """Return a reply without preamble, quotes and what follows its first paragraph."""
    text = _PREAMBLE.sub("", reply.strip()).strip()
    text = text.split("\n")[0].strip().strip(_QUOTES).strip()
    return " ".join(text.split())


def _is_instruction(text: str, prompt: Prompt, context: MutationContext, parents: list[str]) -> bool:
    task = context.task
    lowered = text.casefold()
    words = [w for w in (*task.labels, *prompt.structure.input_labels, prompt.structure.target_label) if w]
    limit = 3 * max(map(len, [*parents, "a" * 20]))
    fresh = lowered not in {parent.casefold() for parent in parents}
    # It must speak of the task, by a label or a field; naming a single label would give an answer away.
    on_topic = any(word.casefold() in lowered for word in words)
    named = [label for label in task.labels if label.casefold() in lowered]
    return (
        4 <= len(text) <= limit
        and fresh
        and on_topic
        and len(named) != 1
        and not _CHATTER.search(text)
        and not text.endswith(",")
    )
