"""Text as sentences, in English and Chinese."""

from __future__ import annotations

import re

from .cjk import CJK

_END = re.compile(
    # Not after "e.g." and "i.e." nor after the number that begins an item of a list.
    r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!^\d\.)\s+|"
    # A closing quote belongs to the sentence before it.
    r"(?<=[。！？])(?![”」』）])\s*|(?<=[。！？][”」』）])\s*"
)
_CJK = re.compile(f"[{CJK}，。！？；：”」』）]")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the spaces between them.

    The last of a line keeps its line breaks.
    """
    sentences: list[str] = []
    for number, line in enumerate(text.strip().split("\n")):
        if number and sentences:
            sentences[-1] += "\n"
        sentences += [part.strip() for part in _END.split(line.strip()) if part.strip()]
    return sentences


def join_sentences(sentences: list[str]) -> str:
    """Return sentences as one text, with a space between them.

    There is none after a line break or a sentence of a script without spaces.
    """
    text = ""
    for sentence in sentences:
        spaceless = not text or text[-1] == "\n" or _CJK.match(text[-1])
        text += sentence if spaceless else f" {sentence}"
    return text.strip()
