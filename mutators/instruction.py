"""The instruction by rule: rewrite, shorten, drop and reorder, without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .sentences import join_sentences, split_sentences
from .wording import FILLER, PARENTHESIS, is_chinese, listed, task_is_chinese

if TYPE_CHECKING:
    from ..search.contracts import Gene, MutationContext, Prompt, Task


class Rewrite:
    """Say the task in other words: frames around the user's own instruction, and forms built from labels and fields."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one of the forms it does not have."""
        forms = _forms(prompt, context.task)
        others = [form for form in forms if form != prompt.instruction]
        return replace(prompt, instruction=context.rng.choice(others)) if others else prompt


class Shorten:
    """Say it in fewer words: without politeness, filler and parentheses, or only the first sentence."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a shorter instruction."""
        text = prompt.instruction
        lean = _capitalized(" ".join(FILLER.sub("", PARENTHESIS.sub("", text)).split()))
        sentences = split_sentences(text)
        first = sentences[0] if sentences else ""
        clause = _capitalized(text.split(",")[-1].strip()) if "," in text and not is_chinese(text) else ""
        shorter = sorted({form for form in (lean, first, clause) if form and len(form) < len(text)})
        return replace(prompt, instruction=context.rng.choice(shorter)) if shorter else prompt


class DropSentence:
    """Leave one sentence out; an instruction of one sentence is dropped whole."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one sentence less."""
        sentences = split_sentences(prompt.instruction)
        if not sentences:
            return prompt
        del sentences[context.rng.randrange(len(sentences))]
        return replace(prompt, instruction=join_sentences(sentences))


class ReorderSentences:
    """Put the sentences in another order."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its sentences shuffled."""
        sentences = split_sentences(prompt.instruction)
        if len(set(sentences)) < 2:
            return prompt
        shuffled = context.rng.sample(sentences, len(sentences))
        while shuffled == sentences:
            shuffled = context.rng.sample(sentences, len(sentences))
        return replace(prompt, instruction=join_sentences(shuffled))


def _forms(prompt: Prompt, task: Task) -> list[str]:
    own = task.start.instruction.strip()
    labels = [prompt.structure.verbalize(label) for label in task.labels]
    if task_is_chinese(task) or is_chinese(own):
        return _chinese_forms(own, labels)
    forms = [own, ""]
    if own:
        bare = own.rstrip(".:!")
        forms += [f"{bare}:", f"Task: {bare}.", f"{bare}. Think about the whole text before you answer."]
        forms += [f"You are an expert. {own}", f"### Instruction\n{own}"]
    if labels:
        either = listed(labels)
        what = _what(prompt)
        forms += [
            f"Is the {what} {either}?",
            f"{_capitalized(what)} and its label: {either}.",
            f"Label each {what} as {either}.",
            f"Decide for each {what} which label fits: {either}.",
            f"Read the {what}, then answer {either}.",
            f"Labels: {', '.join(labels)}.",
            f"Here are examples of {what}s and whether they are {either}.",
        ]
        forms += [f"{own.rstrip('.:!')}. Labels: {', '.join(labels)}."] if own else []
    return list(dict.fromkeys(forms))


def _chinese_forms(own: str, labels: list[str]) -> list[str]:
    forms = [own, ""]
    if own:
        bare = own.rstrip("。：:.！")
        forms += [f"{bare}：", f"任务：{bare}。", f"{bare}。请通读全文后再回答。"]
    if labels:
        either = listed(labels, chinese=True)
        forms += [
            f"判断下面的文本是{either}。",
            f"以下文本属于{either}？",
            f"标签：{'、'.join(labels)}。",
            f"阅读文本，回答{either}。",
        ]
    return list(dict.fromkeys(forms))


def _what(prompt: Prompt) -> str:
    names = [label.lower() for label in prompt.structure.input_labels if label.isascii() and label]
    return " and ".join(names) or "text"


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
