"""The instruction by model: paraphrase, one sentence anew, induction from examples, crossover.

A weak proposer mostly answers with chatter. A reply must look like an instruction before it costs a
score; if none does, the prompt is returned unchanged. How long a reply may be follows what it is to
replace: one sentence, or all of a long instruction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..search.contracts import Message, Usage
from ..search.prompts.cjk import word_count
from ..search.prompts.sentences import split_sentences
from .examples import excerpt, mixed
from .lexicon import is_chinese, task_is_chinese
from .proposer_replies import (
    Check,
    as_part,
    clean,
    clean_lines,
    is_cut_off,
    is_instruction,
    is_part,
)

if TYPE_CHECKING:
    from ..search.contracts import Example, Gene, MutationContext, Prompt, Text

# Set by hand.
_REPLIES = 4
"""Replies of one call, of which the first that is an instruction is taken."""
_LONG_REPLIES = 2
"""The same where each is long."""
_TOKENS = 40
"""Tokens of a short sentence at most."""
_TOKENS_A_WORD = 3
"""Tokens of a reply for each word that it takes the place of, at most."""
_SENTENCES = 3
"""Sentences of an instruction that may say how to decide; such a one is asked for ..."""
_SEVERAL = 0.5
"""... so often."""
_LONG = 2
"""An instruction of more sentences is long: it is not said in one."""
_LEAST_WORDS = 3
"""A part of an instruction of fewer words is left as it is."""
_SHOWN = 6
"""Examples that an instruction is induced from; Honovich et al. 2023 show five."""


class _Ask(NamedTuple):
    """What the proposer is asked, in two languages."""

    english: str
    chinese: str

    def said(self, *, chinese: bool) -> str:
        return self.chinese if chinese else self.english


_PARAPHRASE = _Ask(
    # "Instruction" names what is quoted, or a small model carries it out.
    "Say this instruction in different words, in one short sentence.\n"
    # Without this line the labels are reworded too, and then the answers no longer fit.
    "Keep its meaning and every label it names.\n"
    # The last line is what a small model follows best: it keeps explanations out of the reply.
    "Reply with the sentence only.",
    "用不同的词把这条指令改写成一个短句。\n保留它的意思和其中的每个标签。\n只回复这个句子。",
)
_REPHRASE = _Ask(
    "Write this instruction anew, so that it is clearer.\n"
    "Keep its meaning, every rule, every label and everything in {braces} or [[brackets]].\n"
    "Reply with the new instruction only.",
    "重写这条指令，使它更清楚。\n"
    "保留它的意思、每条规则、每个标签以及 {花括号} 和 [[方括号]] 中的内容。\n"
    "只回复新的指令。",
)
_PART = _Ask(
    "Say this one part of the instruction in different words, so that it is clearer.\n"
    "Keep its meaning, every label it names and everything in {braces}.\n"
    "Reply with the new part only.",
    "用不同的词改写指令中的这一部分，使它更清楚。\n"
    "保留它的意思、其中的每个标签以及 {花括号} 中的内容。\n"
    "只回复新的部分。",
)
_INDUCE = _Ask(
    # The question follows the examples: a small model loses one that stands before them.
    "Which instruction turns each input into its output?\n"
    # A description of these examples would give answers away; labels make it an instruction.
    "Name all the possible outputs.\n"
    # One sentence, for every token of it is paid for with every prompt.
    "Reply with the instruction only, in one short sentence.",
    "什么指令能把每个输入变成它的输出？\n列出所有可能的输出。\n只回复指令，用一个短句。",
)
_EXPLAIN = _Ask(
    "Which instruction turns each input into its output?\n"
    "Name all the possible outputs, and say how to decide between them.\n"
    "Reply with the instruction only, in two or three sentences.",
    "什么指令能把每个输入变成它的输出？\n列出所有可能的输出，并说明如何区分它们。\n"
    "只回复指令，用两三句话。",
)
_CROSSOVER = _Ask(
    # One sentence, or the reply is both parents, one after the other.
    "Combine these two instructions into one short sentence.\n"
    # As in the paraphrase: the answers must still fit.
    "Keep every label they name.\n"
    # As in the paraphrase: no explanations.
    "Reply with the sentence only.",
    "把这两条指令合并成一个短句。\n保留其中的每个标签。\n只回复这个句子。",
)
_MERGE = _Ask(
    "Combine the best of these two instructions into one that is no longer than either.\n"
    "Keep every label they name and everything in {braces} or [[brackets]].\n"
    "Reply with the new instruction only.",
    "把这两条指令的优点合并成一条，不要比原来更长。\n"
    "保留其中的每个标签以及 {花括号} 和 [[方括号]] 中的内容。\n只回复新的指令。",
)


class Paraphrase:
    """Ask the proposer to say the instruction in other words.

    Zhou et al. 2023 (APE, arXiv 2211.01910).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a paraphrased instruction."""
        own = prompt.instruction
        if not own:
            return prompt
        long = _is_long(own)
        meta = (_REPHRASE if long else _PARAPHRASE).said(chinese=is_chinese(own))
        check = Check(prompt.structure, context.task, meta, (own,), sentences=0 if long else 1)
        return _first_valid(prompt, context, f'{meta}\n\n"{own}"', check)


class RewriteSentence:
    """Ask the proposer to say one sentence or line of a long instruction in other words.

    That is what a small writer can do to an instruction that it could not write.
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one of several sentences reworded."""
        own = prompt.instruction
        parts = [part.strip() for part in split_sentences(own)]
        wordy = [part for part in parts if word_count(part) >= _LEAST_WORDS]
        if len(parts) < 2 or not wordy:
            return prompt
        part = context.rng.choice(wordy)
        meta = _PART.said(chinese=is_chinese(own))
        ask: Text = (Message("user", f'"{own}"\n\n{meta}\n\n"{part}"'),)
        most = max(_TOKENS, _TOKENS_A_WORD * word_count(part))
        check = Check(prompt.structure, context.task, meta, tuple(parts))
        for reply in context.propose([ask] * _REPLIES, most):
            text = clean(reply)
            if not is_cut_off(reply, most) and is_part(text, part, check):
                return replace(prompt, instruction=own.replace(part, as_part(text, part), 1))
        return prompt


class Induce:
    """Ask the proposer which instruction the examples follow.

    Honovich et al. 2023 (instruction induction, arXiv 2205.10782).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with an instruction induced from training examples."""
        shown = mixed(context.task, context.rng, _SHOWN)
        # Examples do not say where in a whole prompt its input stands.
        if not shown or "{{" in prompt.instruction:
            return prompt
        several = context.rng.random() < _SEVERAL
        meta = (_EXPLAIN if several else _INDUCE).said(chinese=task_is_chinese(context.task))
        data = "\n".join(_pair(prompt, example) for example in shown)
        parents = tuple(dict.fromkeys((prompt.instruction, context.task.start.instruction)))
        sentences = _SENTENCES if several else 1
        check = Check(prompt.structure, context.task, meta, parents, shown, sentences)
        return _first_valid(prompt, context, f"{data}\n\n{meta}", check)


class Crossover:
    """Ask the proposer to combine two instructions of the front.

    Guo et al. 2024 (EvoPrompt, arXiv 2309.08532).
    """

    gene: Gene = "instruction"
    usage = Usage(asks_model=True)

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a combination of its instruction and another's."""
        own = prompt.instruction
        others = sorted({c.prompt.instruction for c in context.front} - {own, ""})
        if not own or not others:
            return prompt
        other = context.rng.choice(others)
        long = _is_long(own) or _is_long(other)
        meta = (_MERGE if long else _CROSSOVER).said(chinese=is_chinese(own))
        sentences = 0 if long else 1
        check = Check(prompt.structure, context.task, meta, (own, other), sentences=sentences)
        return _first_valid(prompt, context, f'{meta}\n\n1. "{own}"\n2. "{other}"', check)


def _is_long(instruction: str) -> bool:
    return len(split_sentences(instruction)) > _LONG


def _first_valid(prompt: Prompt, context: MutationContext, ask: str, check: Check) -> Prompt:
    """Return the prompt with the first reply that is an instruction, or as it is if none is."""
    long = not check.sentences
    most = _TOKENS * check.sentences or _TOKENS_A_WORD * max(map(word_count, check.parents))
    asked: Text = (Message("user", ask),)
    for reply in context.propose([asked] * (_LONG_REPLIES if long else _REPLIES), most):
        text = clean_lines(reply) if long else clean(reply)
        if not is_cut_off(reply, most) and is_instruction(text, check):
            return replace(prompt, instruction=text)
    return prompt


def _pair(prompt: Prompt, example: Example) -> str:
    return f"Input: {excerpt(example)}\nOutput: {prompt.structure.verbalize(example.target)}"
