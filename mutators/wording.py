"""Words the rule-based mutators draw from: synonyms of labels and fields, filler, and how a language lists and asks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..search.contracts import Task

# Texts that can stand for a label, tried for all labels at once.
_VERBALIZERS: tuple[dict[str, str], ...] = (
    {"positive": "good", "negative": "bad", "neutral": "okay"},
    {"positive": "great", "negative": "terrible", "neutral": "okay"},
    {"positive": "favorable", "negative": "unfavorable", "neutral": "mixed"},
    {"positive": "happy", "negative": "unhappy", "neutral": "indifferent"},
    {"positive": "recommended", "negative": "not recommended", "neutral": "undecided"},
    {"yes": "true", "no": "false"},
    {"true": "yes", "false": "no"},
    {"正面": "好", "负面": "差", "中性": "一般"},
    {"正面": "积极", "负面": "消极", "中性": "中立"},
    {"positive": "好", "negative": "差"},
)

INPUT_NAMES = ("Text", "Input", "Review", "Sentence", "Comment", "Passage", "Document")
TARGET_NAMES = ("Label", "Answer", "Category", "Sentiment", "Output", "Class", "Verdict")
CHINESE_INPUT_NAMES = ("文本", "输入", "评论", "句子", "内容")
CHINESE_TARGET_NAMES = ("标签", "答案", "类别", "情感", "输出")
# Names that claim more about the task than "Text" or "Label" do, and the labels that must be there for them.
SPECIFIC_NAMES = {"Review": "positive", "Comment": "positive", "Sentiment": "positive", "评论": "正面", "情感": "正面"}

FILLER = re.compile(
    r"\b(?:please|kindly|carefully|just|very|really|simply|basically|actually|in order|following|given|the task is to|"
    r"your task is to|you (?:should|must|need to|have to|are asked to|will)|i (?:want|need|would like) you to)\b[ ,]*|请|务必|仔细",
    re.IGNORECASE,
)
PARENTHESIS = re.compile(r"\s*(?:\([^()]*\)|（[^（）]*）)")
_HAN = re.compile("[\u3400-\u9fff]")


def is_chinese(text: str) -> bool:
    """Whether a text is mostly written in Chinese characters."""
    letters = [c for c in text if c.isalpha()]
    return 2 * len(_HAN.findall(text)) > len(letters) > 0


def task_is_chinese(task: Task) -> bool:
    """Whether a task's inputs are Chinese, judged by its first pool rows."""
    return is_chinese(" ".join(text for row in task.pool[:20] for _, text in row.inputs))


def listed(words: Sequence[str], *, chinese: bool = False) -> str:
    """Return the words as a sentence lists alternatives: ``a, b or c``."""
    if chinese:
        return "、".join(words[:-1]) + "或" + words[-1]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def verbalizers(labels: Sequence[str]) -> list[tuple[tuple[str, str], ...]]:
    """Return sets of texts that can stand for all of the labels, each text for one label; the empty set first."""
    found: list[tuple[tuple[str, str], ...]] = [()]
    for table in _VERBALIZERS:
        if all(label.casefold() in table for label in labels):
            found.append(tuple((label, table[label.casefold()]) for label in labels))
    for change in (str.capitalize, str.lower, str.upper):
        found.append(tuple((label, change(label)) for label in labels))
    different = [pairs for pairs in found if not pairs or len({text for _, text in pairs}) == len(labels)]
    return [pairs for pairs in different if not pairs or any(label != text for label, text in pairs)]


def allowed_names(names: Sequence[str], task: Task) -> list[str]:
    """Return the field names that say nothing wrong about the task."""
    labels = {label.casefold() for label in task.labels}
    return [name for name in names if SPECIFIC_NAMES.get(name) is None or SPECIFIC_NAMES[name] in labels]
