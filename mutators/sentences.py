"""Text as sentences, in English and Chinese."""

from __future__ import annotations

import re

from ..search.prompts.cjk import CJK

# Not after "e.g." and "i.e." nor after the number that begins an item of a list.
_END = re.compile(
    r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!^\d\.)\s+|(?<=[。！？])(?![”」』）])\s*|(?<=[。！？][”」』）])\s*"
)
_CJK = re.compile(f"[{CJK}，。！？；：”」』）]")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the spaces between them; the last of a line keeps its line breaks."""
    sentences: list[str] = []
    for number, line in enumerate(text.strip().split("\n")):
        if number and sentences:
            sentences[-1] += "\n"
        sentences += [part.strip() for part in _END.split(line.strip()) if part.strip()]
    return sentences


def join_sentences(sentences: list[str]) -> str:
    """Return sentences as one text: a space between them, none after a line break or a Chinese one."""
    text = ""
    for sentence in sentences:
        text += sentence if not text or text[-1] == "\n" or _CJK.match(text[-1]) else f" {sentence}"
    return text.strip()
