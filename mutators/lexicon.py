"""Words the rule-based mutators draw from, and how a language lists and asks.

Synonyms of labels and fields, filler, and what labels and instructions say of themselves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..search.prompts.cjk import CJK, HAN, has_cjk

if TYPE_CHECKING:
    from ..search.contracts import Structure, Task

_TOPICS = {
    "politics": "Government",
    "entertainment": "Movies",
    "health": "Medicine",
    "science": "Research",
    "technology": "Computers",
    "sci/tech": "Technology",
    "education": "School",
    "travel": "Places",
    "finance": "Money",
    "economy": "Market",
}
_VERBALIZERS: tuple[dict[str, str], ...] = (
    {"positive": "good", "negative": "bad", "neutral": "okay"},
    {"positive": "great", "negative": "terrible", "neutral": "okay"},
    {"positive": "favorable", "negative": "unfavorable", "neutral": "mixed"},
    {"positive": "happy", "negative": "unhappy", "neutral": "indifferent"},
    {"positive": "recommended", "negative": "not recommended", "neutral": "undecided"},
    {"subjective": "opinion", "objective": "fact"},
    {"subjective": "personal", "objective": "factual"},
    {"terrible": "awful", "bad": "poor", "okay": "fair", "good": "nice", "great": "excellent"},
    {
        "terrible": "horrible",
        "bad": "disappointing",
        "okay": "mixed",
        "good": "enjoyable",
        "great": "brilliant",
    },
    {
        "very negative": "terrible",
        "negative": "bad",
        "neutral": "okay",
        "positive": "good",
        "very positive": "great",
    },
    _TOPICS
    | {
        "world": "International",
        "sports": "Sport",
        "sport": "Sports",
        "business": "Finance",
        "tech": "Technology",
    },
    _TOPICS
    | {
        "world": "Politics",
        "sports": "Football",
        "sport": "Football",
        "business": "Market",
        "tech": "Computer",
    },
    {"spam": "junk", "ham": "normal"},
    {"spam": "unwanted", "ham": "wanted"},
    {
        "toxic": "offensive",
        "non-toxic": "harmless",
        "not toxic": "harmless",
        "nontoxic": "harmless",
    },
    {
        "entailment": "yes",
        "neutral": "maybe",
        "contradiction": "no",
        "not_entailment": "no",
        "not entailment": "no",
    },
    {
        "entailment": "true",
        "neutral": "unknown",
        "contradiction": "false",
        "not_entailment": "false",
    },
    {"yes": "correct", "no": "wrong"},
    {"yes": "true", "no": "false"},
    {"true": "yes", "false": "no"},
    {"正面": "好", "负面": "差", "中性": "一般"},
    {"正面": "积极", "负面": "消极", "中性": "中立"},
    {"正面": "好评", "负面": "差评", "中性": "中评"},
    {"正面": "满意", "负面": "失望", "中性": "一般"},
    {"积极": "好", "消极": "差", "中立": "一般"},
)
"""Texts that can stand for a label, tried for all labels at once."""
_CHINESE_VERBALIZERS: tuple[dict[str, str], ...] = (
    {"positive": "正面", "negative": "负面", "neutral": "中性"},
    {"positive": "好", "negative": "差", "neutral": "一般"},
)
_MUTE = frozenset(
    {"yes", "no", "true", "false", "none", "other", "是", "否", "对", "错", "有", "无"}
)
"""Labels that mean nothing without the question they answer."""

INPUT_NAMES = ("Text", "Input", "Review", "Sentence", "Comment", "Passage", "Document")
TARGET_NAMES = ("Label", "Answer", "Category", "Sentiment", "Output", "Class", "Verdict")
CHINESE_INPUT_NAMES = ("文本", "输入", "评论", "句子", "内容")
CHINESE_TARGET_NAMES = ("标签", "答案", "类别", "情感", "输出")
FREE_TARGET_NAMES = ("Answer", "Output", "Response", "答案", "输出")
"""Names of an answer that is not one of a set of labels."""
_SPECIFIC_NAMES = frozenset({"Review", "Comment", "Sentiment", "评论", "情感"})
"""Names that claim more about the task than "Text" or "Label" do: they need labels of sentiment."""
_SENTIMENT = (frozenset({"positive", "negative"}), frozenset({"正面", "负面"}))

FILLER = re.compile(
    r"\b(?:please|kindly|carefully|just|simply|basically|actually|in order(?= to)|"
    r"the task is to|your task is to|you (?:should|must|need to|have to|are asked to)(?! not\b)|"
    r"i (?:want|need|would like) you to)\b[ ,]*|"
    r"(?<=\bthe )(?:given|following) |"
    # 请 also ends or begins other words: 申请, 邀请, 请求.
    r"(?<![申邀聘恳约])请(?![求假客教帖柬问])|务必|仔细地?",
    re.IGNORECASE,
)
PARENTHESIS = re.compile(r"[ \t]*(?:\([^()]*\)|（[^（）]*）)")
_HAN = re.compile(f"[{HAN}]")


def is_chinese(text: str) -> bool:
    """Whether a text is mostly written in Chinese characters."""
    letters = [c for c in text if c.isalpha()]
    return 2 * len(_HAN.findall(text)) > len(letters) > 0


def task_is_chinese(task: Task) -> bool:
    """Whether a task's inputs are Chinese, judged by its first training rows."""
    return is_chinese(" ".join(text for row in task.train[:20] for _, text in row.inputs))


def capitalized(text: str) -> str:
    """Return a text with its first letter in upper case and the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(words: Sequence[str], *, chinese: bool = False) -> str:
    """Return the words as a sentence lists alternatives: ``a, b or c``."""
    if len(words) < 2:
        return "".join(words)
    if chinese:
        return "、".join(words[:-1]) + "或" + words[-1]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def names(text: str, word: str) -> bool:
    """Whether a text holds a word as a word of its own, in either case and also as a plural."""
    if has_cjk(word):
        return word in text
    # Between Chinese characters an English word has no spaces around it.
    edge = rf"[^\W{CJK}]"
    pattern = rf"(?<!{edge}){re.escape(word)}(?:e?s)?(?!{edge})"
    return re.search(pattern, text, re.IGNORECASE) is not None


def names_all_or_none(text: str, original: str, labels: Sequence[str]) -> bool:
    """Whether a text still names every label the original named, or none.

    To name only some would change the task.
    """
    before = [label for label in labels if names(original, label)]
    after = [label for label in before if names(text, label)]
    return after in ([], before)


def label_texts(structure: Structure, labels: Sequence[str]) -> list[str]:
    """Return the text of each label."""
    return [structure.verbalize(label) for label in labels]


def labels_speak(labels: Sequence[str]) -> bool:
    """Whether labels say by themselves what is asked.

    "spam" and "ham" do, but "yes" and "no" or "0" and "1" do not.
    """
    return len(labels) > 1 and all(
        label.casefold() not in _MUTE
        and any(map(str.isalpha, label))
        and (len(label) > 1 or is_chinese(label))
        for label in labels
    )


def is_sentiment(labels: Sequence[str]) -> bool:
    """Whether labels are those of sentiment."""
    return any(pair <= {label.casefold() for label in labels} for pair in _SENTIMENT)


def verbalizers(texts: Sequence[str], *, chinese: bool = False) -> list[tuple[str, ...]]:
    """Return sets of texts that can stand for all of ``texts``, these themselves first."""
    sets = [tuple(texts)]
    for table in (*_VERBALIZERS, *(_CHINESE_VERBALIZERS if chinese else ())):
        if all(text.casefold() in table for text in texts):
            sets.append(tuple(table[text.casefold()] for text in texts))
    for change in (capitalized, str.lower, str.upper):
        sets.append(tuple(map(change, texts)))
    distinct = dict.fromkeys(sets)
    return [new for new in distinct if len({text.strip() for text in new}) == len(texts)]


def allowed_names(candidates: Sequence[str], task: Task) -> list[str]:
    """Return the field names that say nothing wrong about the task."""
    sentiment = is_sentiment(label_texts(task.start.structure, task.labels))
    return [name for name in candidates if sentiment or name not in _SPECIFIC_NAMES]
