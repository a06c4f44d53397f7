"""The instruction by rule: rewrite, shorten, drop and reorder, without a model."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..search.prompts.sentences import (
    join_sentences,
    movable,
    paragraphs_left_out,
    split_sentences,
    without_each,
)
from .lexicon import (
    FILLER,
    PARENTHESIS,
    capitalized,
    is_chinese,
    is_sentiment,
    label_texts,
    labels_speak,
    listed,
    names,
    names_all_or_none,
    task_is_chinese,
)

if TYPE_CHECKING:
    import random

    from ..search.contracts import Gene, MutationContext, Prompt, Task

_VERBS = {
    "classify": ("categorize", "label"),
    "categorize": ("classify", "label"),
    "determine": ("decide", "judge"),
    "decide": ("determine", "judge"),
    "judge": ("decide", "determine"),
    "判断": ("确定", "识别"),
    "确定": ("判断", "识别"),
    "识别": ("判断", "确定"),
}
"""Verbs that open an instruction, and those that can take their place."""
_OPENING = re.compile(rf"^(\s*(?:please |请)?)({'|'.join(_VERBS)})", re.IGNORECASE)
# Words with which an instruction says no more than its labels and fields do, so that a plain form
# can take its place.
_PLAIN_WORD = re.compile(
    "a|an|the|this|that|following|given|each|of|as|into|in|by|to|is|are|or|and|either|one|be|"
    "whether|if|please|it|classify|categorize|label|decide|determine|judge|identify|predict|tell|"
    "say|answer|with|sentiment|tone|class|category|(?:text|review|sentence|comment|passage|"
    "document|input|movie|film|product|customer|message)s?|short"
)
_CHINESE_PLAIN = re.compile(
    "还是|以下|下面|判断|确定|识别|分类|回答|属于|文本|评论|句子|情感|标签|类别|"
    "[请将把的这条是或为和只]"
)
# Words that cannot end an instruction which was cut off.
_DANGLING = re.compile(
    r"(?:[\s,;:]+(?:a|an|the|of|as|and|or|to|is|are|in|for|with|by|whether|if|that))*[\s,;:]*$",
    re.IGNORECASE,
)
_HEAD = re.compile(r"\[\[\w+\]\]\n")
"""The line that names the role of the first message of a prompt of the user's own."""
_BEFORE = ("You are an expert.\n", "Read all of it first.\n")
"""What can stand before such a prompt."""
_HEAD_WORDS = (6, 10, 16)
"""Words of the beginnings that can take the place of an instruction."""


class Rewrite:
    """Say the task in other words.

    Frames stand around the user's own instruction, and plain forms in its place where it is plain.
    """

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one of the forms it does not have."""
        others = [form for form in _forms(prompt, context.task) if form != prompt.instruction]
        return replace(prompt, instruction=context.rng.choice(others)) if others else prompt


class Shorten:
    """Say it in fewer words: without filler and parentheses, or its first sentence or words."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with a shorter instruction."""
        text = prompt.instruction
        labels = [*context.task.labels, *label_texts(prompt.structure, context.task.labels)]
        first = [sentence.strip() for sentence in split_sentences(text)[:1]]
        forms = [_without_filler(text), *first, *_heads(text, labels)]
        if prompt.structure.own:  # whose first words alone ask for nothing
            forms = [_without_filler(text), *_by_lines(text), *paragraphs_left_out(text)]
        shorter = [
            form
            for form in dict.fromkeys(forms)
            if form and len(form) < len(text) and names_all_or_none(form, text, labels)
        ]
        return replace(prompt, instruction=context.rng.choice(shorter)) if shorter else prompt


class DropSentence:
    """Leave one sentence out; an instruction of one sentence is dropped whole."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with one sentence less."""
        text = prompt.instruction
        labels = [*context.task.labels, *label_texts(prompt.structure, context.task.labels)]
        forms = [form for form in without_each(text) if names_all_or_none(form, text, labels)]
        return replace(prompt, instruction=context.rng.choice(forms)) if forms else prompt


class ReorderSentences:
    """Put the sentences in another order; in a text with lines those of a line, or list items."""

    gene: Gene = "instruction"

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with its sentences shuffled."""
        if "\n" in prompt.instruction.strip():
            return replace(prompt, instruction=_reordered(prompt.instruction, context.rng))
        sentences = split_sentences(prompt.instruction)
        if len(set(sentences)) < 2:
            return prompt
        shuffled = context.rng.sample(sentences, len(sentences))
        while shuffled == sentences:
            shuffled = context.rng.sample(sentences, len(sentences))
        return replace(prompt, instruction=join_sentences(shuffled))


def _reordered(text: str, rng: random.Random) -> str:
    """Return a text with the parts of one of its groups in another order, if it has any."""
    groups = movable(text)
    if not groups:
        return text
    spans = rng.choice(groups)
    parts = [text[start:end] for start, end in spans]
    shuffled = rng.sample(parts, len(parts))
    while shuffled == parts:
        shuffled = rng.sample(parts, len(parts))
    for (start, end), part in reversed([*zip(spans, shuffled, strict=True)]):
        text = text[:start] + part + text[end:]
    return text


def _without_filler(text: str) -> str:
    kept = FILLER.sub("", PARENTHESIS.sub("", text))
    return capitalized(re.sub(r"(?<=\S)[ \t]+", " ", kept).strip())


def _by_lines(text: str) -> list[str]:
    """Return a text with each of its lines in turn without filler."""
    lines = text.split("\n")
    forms = []
    for i, line in enumerate(lines):
        indent = line[: len(line) - len(line.lstrip())]
        forms.append("\n".join([*lines[:i], indent + _without_filler(line), *lines[i + 1 :]]))
    return forms


def _heads(text: str, labels: list[str]) -> list[str]:
    """Return beginnings of an instruction that name every label that it names."""
    words = text.split()
    named = [label for label in labels if names(text, label)]
    heads = []
    for count in _HEAD_WORDS:
        head = _DANGLING.sub("", " ".join(words[:count]))
        # A sentence without labels is whole; a head without those that come later is torn off.
        if count < len(words) and all(names(head, label) for label in named):
            heads.append(head)
    return heads


def _forms(prompt: Prompt, task: Task) -> list[str]:
    """Return the forms of the user's own instruction, itself and an empty one included."""
    own = task.start.instruction.strip()
    if prompt.structure.own:
        return _own_forms(prompt.instruction)
    texts = label_texts(prompt.structure, task.labels)
    chinese = is_chinese(own) if own else task_is_chinese(task)
    forms = [own, ""]
    if own:
        forms += _synonyms(own)
        forms += _chinese_frames(own, texts) if chinese else _frames(own, texts)
    # A plain form says what the labels say: it must not replace an instruction that says more.
    if labels_speak(texts) and _is_plain(own, task):
        forms += _chinese_plain(texts) if chinese else _plain(prompt, texts)
    return list(dict.fromkeys(forms))


def _own_forms(text: str) -> list[str]:
    """Return forms of a whole prompt of the user's own, whose lines keep their places."""
    forms = []
    for line in re.finditer(r"^.+$", text, re.MULTILINE):
        for other in _synonyms(line[0]):
            forms.append(text[: line.start()] + other + text[line.end() :])
    head = _HEAD.match(text)
    opening = head.end() if head else 0
    forms += [f"{text[:opening]}{before}{text[opening:]}" for before in _BEFORE]
    return [form for form in forms if not any(form.count(before) > 1 for before in _BEFORE)]


def _synonyms(own: str) -> list[str]:
    """Return the instruction with other verbs in the place of the one that opens it."""
    opening = _OPENING.match(own)
    if not opening:
        return []
    before, verb, rest = opening[1], opening[2], own[opening.end() :]
    cased = capitalized if verb[0].isupper() else str
    return [f"{before}{cased(other)}{rest}" for other in _VERBS[verb.lower()]]


def _frames(own: str, texts: list[str]) -> list[str]:
    full = own if own[-1] in ".:!?" else f"{own}."
    forms = [
        f"Task: {full}",
        f"You are an expert. {full}",
        f"{full} Read all of it first.",
        f"### Instruction\n{own}",
    ]
    if own.endswith("?"):
        forms.append(f"Question: {full}")
    else:
        bare = own.rstrip(".:! ")
        forms += [f"{bare}:", bare]
    if texts:
        forms.append(f"{full} Labels: {', '.join(texts)}.")
        if not all(names(own, text) for text in texts):
            forms.append(f"{full} Answer {listed(texts)}.")
    return forms


def _chinese_frames(own: str, texts: list[str]) -> list[str]:
    full = own if own[-1] in "。：！？" else f"{own}。"
    forms = [f"任务：{full}", f"{full}先通读全文。"]
    if own.endswith("？"):
        forms.append(f"问题：{full}")
    else:
        bare = own.rstrip("。：！")
        forms += [f"{bare}：", bare]
    if texts:
        forms.append(f"{full}标签：{'、'.join(texts)}。")
    return forms


def _plain(prompt: Prompt, texts: list[str]) -> list[str]:
    either, fields = listed(texts), prompt.structure.input_labels
    forms = [f"Labels: {', '.join(texts)}.", f"Answer {either}."]
    if len(fields) > 1:
        return [*forms, f"Read everything, then answer {either}."]
    what = fields[0].lower() if fields and fields[0].isascii() and fields[0] else "text"
    forms += [
        f"Is the {what} {either}?",
        f"The {what} is {either}.",
        f"{capitalized(what)} and its label: {either}.",
        f"Label each {what} as {either}.",
        f"Decide which label fits the {what}: {either}.",
        f"Read the {what}, then answer {either}.",
        f"Each {what} is followed by its label: {either}.",
    ]
    if is_sentiment(texts):
        forms += [f"Is the tone of the {what} {either}?", f"How does the writer feel: {either}?"]
    return forms


def _chinese_plain(texts: list[str]) -> list[str]:
    either = listed(texts, chinese=True)
    return [
        f"判断下面的文本是{either}。",
        f"以下文本属于{either}？",
        f"标签：{'、'.join(texts)}。",
        f"阅读文本，回答{either}。",
    ]


def _is_plain(own: str, task: Task) -> bool:
    """Whether an instruction says no more than labels and fields do."""
    start = task.start.structure
    known = [*task.labels, *label_texts(start, task.labels), *start.input_labels]
    known += [start.target_label, *task.input_fields, task.target_field]
    if is_chinese(own):
        rest = own
        for text in sorted(filter(None, set(known)), key=lambda text: (-len(text), text)):
            rest = rest.replace(text, "")
        return not any(map(str.isalnum, _CHINESE_PLAIN.sub("", rest)))
    known_words = set(re.findall(r"\w+", "\n".join(known).casefold()))
    for word in re.findall(r"\w+", own.casefold()):
        is_known = word in known_words or word.removesuffix("s") in known_words
        if not is_known and not _PLAIN_WORD.fullmatch(word):
            return False
    return True
