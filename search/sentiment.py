"""The built-in task: movie reviews with human ratings.

One-sentence snippets from Rotten Tomatoes, each rated by 20 people from -4 to 4 (Hutto & Gilbert, VADER, ICWSM 2014;
MIT licence), as published in the source distribution of vaderSentiment. Snippets whose mean rating is within 0.8 of
neutral are left out.
"""

from __future__ import annotations

import tarfile

from .contracts import Example, Prompt, Structure, Task
from .packages import PackageFile, cached_member
from .splits import Sizes, split_rows

_PACKAGE = PackageFile(
    distribution="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    member="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
    sdist=True,
    size=2_466_783,
)
_MEMBER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_NEUTRAL = 0.8


def sentiment(*, seed: int = 0) -> Task:
    """Return the task, split by the seed: 2000 pool, 300 dev, 1000 test.

    Raises
    ------
    InputError
        If the data cannot be downloaded.
    """
    splits = split_rows(_examples(), Sizes(), seed, "sentiment")
    return Task(
        name="sentiment",
        source="movie reviews with human ratings (vaderSentiment 3.3.2)",
        start=Prompt(
            "Classify the sentiment of the movie review as positive or negative.", Structure(("Review",), "Sentiment")
        ),
        input_fields=("text",),
        target_field="sentiment",
        labels=("negative", "positive"),
        pool=splits.pool,
        dev=splits.dev,
        test=splits.test,
        notes=splits.notes,
    )


def _examples() -> list[Example]:
    with tarfile.open(cached_member(_PACKAGE)) as archive:
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
            examples.append(Example((("text", " ".join(text.replace("''", '"').split())),), target))
    return examples


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252")
