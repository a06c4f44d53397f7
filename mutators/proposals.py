"""The instruction by model: paraphrase, induction from examples, crossover.

A weak proposer mostly answers with chatter. A reply must look like an instruction before it costs a
score; if none does, the prompt is returned unchanged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.contracts import Message, Usage
from .examples import by_label, short_examples
from .proposer_replies import Check, clean, is_instruction

if TYPE_CHECKING:
    import random

    from ..search.contracts import Example, Gene, MutationContext, Prompt, Task, Text

_REPLIES = 4
"""Replies of one call, of which the first that is an instruction is taken."""
_MAX_TOKENS = 40
"""Tokens of a reply at most: one short sentence."""
_SHOWN = 6
"""Examples that an instruction is induced from; Honovich et al. 2023 show five."""
_SHOWN_WORDS = 40
"""Words of an example's input that are shown."""
_SHOWN_CHARACTERS = 240
"""Characters of it that are shown, for scripts without spaces."""

_PARAPHRASE = "\n".join(
    (
        # "Instruction" names what is quoted, or a small model carries it out.
        "Say this instruction in different words, in one short sentence.",
        # Without this line the labels are reworded too, and then the answers no longer fit.
        "Keep its meaning and every label it names.",
        # The last line is what a small model follows best: it keeps explanations out of the reply.
        "Reply with the sentence only.",
    )
)
_INDUCE = "\n".join(
    (
        # The question follows the examples: a small model loses one that stands before them.
        "Which instruction turns each input into its output?",
        # A description of these examples would give answers away; labels make it an instruction.
        "Name all the possible outputs.",
        # One sentence, for every token of it is paid for with every prompt.
        "Reply with the instruction only, in one short sentence.",
    )
)
_CROSSOVER = "\n".join(
    (
        # One sentence, or the reply is both parents, one after the other.
        "Combine these two instructions into one short sentence.",
        # As in the paraphrase: the answers must still fit.
        "Keep every label they name.",
        # As in the paraphrase: no explanations.
        "Reply with the sentence only.",
    )
)


class Paraphrase:
    """Ask the proposer to say the instruction in other words.

    Zhou et al. 2023 (APE, arXiv 2211.01910).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a paraphrased instruction."""
        if not prompt.instruction:
            return prompt
        data = f'"{prompt.instruction}"'
        return _first_valid(
            prompt, context, f"{_PARAPHRASE}\n\n{data}", _PARAPHRASE, (prompt.instruction,)
        )


class Induce:
    """Ask the proposer which instruction the examples follow.

    Honovich et al. 2023 (instruction induction, arXiv 2205.10782).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with an instruction induced from training examples."""
        shown = _mixed(context.task, context.rng)
        if not shown:
            return prompt
        data = "\n".join(_pair(prompt, example) for example in shown)
        parents = tuple(dict.fromkeys((prompt.instruction, context.task.start.instruction)))
        return _first_valid(prompt, context, f"{data}\n\n{_INDUCE}", _INDUCE, parents, shown)


class Crossover:
    """Ask the proposer to combine two instructions of the front.

    Guo et al. 2024 (EvoPrompt, arXiv 2309.08532).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a combination of its instruction and another's."""
        others = sorted({c.prompt.instruction for c in context.front} - {prompt.instruction, ""})
        if not prompt.instruction or not others:
            return prompt
        other = context.rng.choice(others)
        data = f'1. "{prompt.instruction}"\n2. "{other}"'
        return _first_valid(
            prompt, context, f"{_CROSSOVER}\n\n{data}", _CROSSOVER, (prompt.instruction, other)
        )


def _first_valid(
    prompt: Prompt,
    context: MutationContext,
    ask: str,
    meta: str,
    parents: tuple[str, ...],
    shown: tuple[Example, ...] = (),
) -> Prompt:
    """Return the prompt with the first reply that is an instruction, or as it is if none is."""
    check = Check(prompt.structure, context.task, meta, parents, shown)
    asked: Text = (Message("user", ask),)
    for reply in context.propose([asked] * _REPLIES, _MAX_TOKENS):
        text = clean(reply)
        if is_instruction(text, check):
            return replace(prompt, instruction=text)
    return prompt


def _mixed(task: Task, rng: random.Random) -> tuple[Example, ...]:
    """Return a few short examples of as many labels as possible.

    Of one label alone nothing can be induced.
    """
    groups = by_label(task, short_examples(task.train))
    columns = [
        rng.sample(group, min(_SHOWN, len(group))) for group in rng.sample(groups, len(groups))
    ]
    in_turns: list[Example] = []
    for i in range(_SHOWN):
        in_turns += [column[i] for column in columns if i < len(column)]
    shown = in_turns[:_SHOWN]
    return tuple(rng.sample(shown, len(shown)))


def _pair(prompt: Prompt, example: Example) -> str:
    words = " ".join(value for _, value in example.inputs).split()
    text = " ".join(words[:_SHOWN_WORDS])[:_SHOWN_CHARACTERS]
    return f"Input: {text}\nOutput: {prompt.structure.verbalize(example.target)}"
