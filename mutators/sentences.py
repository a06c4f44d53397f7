"""Text as sentences, in English and Chinese."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?;:])\s+|(?<=[。！？；])\s*|\n+")
_CJK = re.compile("[\u3400-\u9fff，。！？；]")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the white space between them."""
    return [sentence.strip() for sentence in _END.split(text) if sentence and sentence.strip()]


def join_sentences(sentences: list[str]) -> str:
    """Return sentences as one text: a space between them, none after a Chinese one."""
    text = ""
    for sentence in sentences:
        text += sentence if not text or _CJK.match(text[-1]) else f" {sentence}"
    return text
