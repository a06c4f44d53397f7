"""Labels: which spellings are one, which splits have it, which a model cannot tell apart."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import AnswerTokens
    from .splits import Splits

_NUMBER = re.compile(r"[+-]?([0-9]{1,99}\.?[0-9]{0,99}|\.[0-9]{1,99})(e[+-]?[0-9]{1,3})?")
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_BLANK = "\u034f\u115f\u1160\u2800\u3164\uffa0" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""Invisible, though Unicode has them as letters, symbols and marks.

The last sixteen choose how a character looks.
"""
_TAGS = range(0xE0020, 0xE0080)
"""Invisible too, but what tells the flags of England and Scotland apart."""
_TYPED = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2212\u2018\u2019", "------''")
"""What word processors write for the characters of the keyboard."""
_TOLD = 8
"""So many are named in a note; of the rest their number."""
_REMEDY = "give it another text in a task file, as in `labels: {label: text, …}`"


def fold(text: str) -> str:
    """Return what all spellings of a label have in common.

    Labels do not differ by case, white space, invisible characters or the Unicode form of a
    character. Numbers are what they are worth: "1", "1.0", "+1" and "01" are one label.
    """
    visible = "".join(c for c in unicodedata.normalize("NFKC", text) if not _is_invisible(c))
    folded = unicodedata.normalize("NFKC", visible.translate(_TYPED).casefold())
    folded = " ".join(folded.split())
    if not _NUMBER.fullmatch(folded):
        return folded
    number = Decimal(folded).normalize(Context(prec=len(folded)))
    return str(number) if number else "0"


def _is_invisible(character: str) -> bool:
    kind = unicodedata.category(character)
    if kind == "Cc":
        return not character.isspace()
    if kind == "Cf":
        return ord(character) not in _TAGS
    return character in _BLANK


class Spellings:
    """The label that each spelling in the data stands for.

    Spellings that are the same once folded are one label, under the name that most rows have; of
    equally many, the one that comes first. Where the labels are said, each stands for itself, and
    another spelling for the only one of them that is the same once folded.

    Parameters
    ----------
    counts
        How many rows have each spelling, in the order of the data.
    labels
        The labels, where the user says them.
    """

    def __init__(self, counts: Mapping[str, int], labels: Sequence[str] = ()) -> None:
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for spelling in labels or counts:
            groups[fold(spelling)].append(spelling)
        groups.pop("", None)
        if labels:
            self.labels = tuple(labels)
            by_fold = {folded: same[0] for folded, same in groups.items() if len(same) == 1}
        else:
            by_fold = {folded: max(same, key=counts.__getitem__) for folded, same in groups.items()}
            self.labels = tuple(sorted(by_fold.values(), key=_order))
        self._counts = counts
        self._said = bool(labels)
        self._read = {s: s if s in self.labels else by_fold.get(fold(s)) for s in counts}

    def label(self, spelling: str) -> str | None:
        """Return the label that a spelling stands for, if any."""
        return self._read[spelling]

    def notes(self) -> tuple[str, ...]:
        """Return a sentence on the rows whose label is read as another spelling of it, if any."""
        respelt = [
            (count, spelling, label)
            for spelling, count in self._counts.items()
            if (label := self._read[spelling]) not in (None, spelling)
        ]
        if not respelt:
            return ()
        told = ", ".join(
            f"{count} rows labelled {spelling!r} are read as {label!r}"
            for count, spelling, label in respelt[:_TOLD]
        )
        apart = "" if self._said else "; `choices` can keep them apart"
        return (f"{told}{_more(respelt)}{apart}",)


def _order(label: str) -> tuple[bool, float, str]:
    number = _DECIMAL.fullmatch(label)
    return number is None, float(label) if number else 0.0, label


def quoted(labels: Sequence[str]) -> str:
    """Return labels as `--choices` takes them."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(labels)
    return text.getvalue()


def placement(labels: Sequence[str], splits: Splits, *, given: bool) -> tuple[str, ...]:
    """Return notes on labels that no prompt can show, that the search does not see or test.

    Parameters
    ----------
    labels, splits
        Of a task.
    given
        Whether the user made the test split: of one that was drawn, a rare label may be missing.
    """
    train = {row.target for row in splits.train}
    dev = {row.target for row in splits.dev}
    test = {row.target for row in splits.test}
    places = (
        (set(labels) - train - dev - test, "in no row that is used"),
        (test - train - dev, "only in test, so no prompt can show or learn it"),
        (dev - train if train else set(), "in dev but not in train, so no prompt can show it"),
        ((train | dev) - test if given else set(), "not in test"),
    )
    notes = []
    for there, where in places:
        named = [label for label in labels if label in there]
        if named:
            notes.append(f"{_named(named)} {where}")
    return tuple(notes)


def _named(labels: Sequence[str]) -> str:
    listed = f"{', '.join(map(repr, labels[:_TOLD]))}{_more(labels)}"
    return f"the label {listed} is" if len(labels) == 1 else f"{len(labels)} labels, {listed} are"


def _more(items: Sequence[object]) -> str:
    return f" and {len(items) - _TOLD} more" if len(items) > _TOLD else ""


def unreadable(texts: Sequence[str], read: Sequence[AnswerTokens], model: str) -> str:
    """Return why a model that reads the texts like this cannot score them; empty if it can."""
    first: dict[tuple[str, ...], str] = {}
    for text, (tokens, known) in zip(texts, read, strict=True):
        shown = " ".join(map(repr, tokens))
        if not known:
            return (
                f"the tokenizer of {model} does not know all of the label {text!r}, "
                f"which becomes the tokens {shown}; {_REMEDY}"
            )
        if tokens in first:
            return (
                f"{model} cannot tell the labels {first[tokens]!r} and {text!r} apart, "
                f"because both become the tokens {shown}; {_REMEDY}"
            )
        first[tokens] = text
    return ""
