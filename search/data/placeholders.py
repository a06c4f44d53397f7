"""Placeholders of a prompt file, and the columns that they stand for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from ..contracts import PromptSource
from ..errors import InputError
from ..plugins import closest
from ..prompts.own import EXAMPLES, own_text, own_turns
from ..prompts.slots import Slot, Turn, merge

if TYPE_CHECKING:
    from ..prompts.slots import Role
    from .prompt_files import Piece, PromptFile

_JINJA = re.compile(r"\{\{([^{}\n]*)\}\}|\{\{|\{%|\{#")
_FORMAT = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_BRACES = re.compile(r"\{([^{}\n]*)\}")
_PATTERNS = {"jinja": _JINJA, "format": _FORMAT, "braces": _BRACES}
_DOUBLE = re.compile(r"(?<!\{)\{\{([^{}\n]*)\}\}(?!\})")
_NAME = re.compile(r"[^\W\d][\w .-]{0,60}")
_LABELLED = re.compile(r"^([^\n:：]{1,40})[:：][ \t]*\Z", re.MULTILINE)
"""A label at the end of a text, on a line of its own."""
_NEAR = 0.75
"""How alike a name and a column's are where one is a slip of the other, by difflib. Set by hand."""
Style = Literal["jinja", "format", "braces"]


@dataclass(frozen=True, slots=True)
class Own:
    """A prompt of the user's own, its fields matched to columns.

    Parameters
    ----------
    source
        Where it comes from; with the instruction that says it.
    fields
        Its fields, in the order in which they stand in it.
    labels
        What stands before them on lines of their own.
    cue
        The label at its end that the answer follows; empty for none.
    """

    source: PromptSource
    fields: tuple[str, ...]
    labels: dict[str, str]
    cue: str


def match(
    file: PromptFile, columns: Sequence[str], target: str | None, tell: Callable[[str], None]
) -> Own:
    """Return the prompt of a file with a column for each placeholder.

    Parameters
    ----------
    file
        The file.
    columns, target
        The names of the data's columns, and which of them holds the answer.
    tell
        Is told which braces are taken for text.

    Raises
    ------
    InputError
        If a placeholder is no column, or the target's, or there is none; with file and line.
    """
    matcher = _Matcher(file, columns, target, tell)
    turns = [
        Turn(_role(role), merge(matcher.parts(piece)))
        for role, piece in zip(file.roles or ("user",), file.pieces, strict=True)
    ]
    fields = tuple(field for field in matcher.spellings if field in columns)
    text = own_text(turns, roles=bool(file.roles))
    if not fields:
        raise InputError(
            f"{file.path}: expected a placeholder such as {{{(matcher.inputs or ['text'])[0]}}}, "
            f"found none; the input columns are {', '.join(matcher.inputs) or 'none'}"
        )
    if list(own_turns(text, fields)) != turns:
        raise InputError(
            f"{file.path}: expected no text like {{{{{fields[0]}}}}} or [[user]] except the "
            "placeholders; change that text"
        )
    source = PromptSource(
        path=file.path,
        text=file.source,
        kind=file.kind,
        place=file.place,
        style=matcher.style,
        spellings=tuple(matcher.spellings.items()),
        instruction=text,
    )
    return Own(source, fields, _labels(turns, fields), _cue(turns[-1]))


def _role(role: str) -> Role:
    roles: dict[str, Role] = {"system": "system", "assistant": "assistant"}
    return roles.get(role, "user")


class _Matcher:
    """Finds the placeholders of a file's texts."""

    def __init__(
        self,
        file: PromptFile,
        columns: Sequence[str],
        target: str | None,
        tell: Callable[[str], None],
    ) -> None:
        self._path = file.path
        self._columns = list(columns)
        self._target = target
        self._tell = tell
        self.inputs = [column for column in columns if column != target]
        self.spellings: dict[str, str] = {}
        texts = [piece.text for piece in file.pieces]
        self.style = _style(texts, self._is_known, jinja=file.jinja)

    def parts(self, piece: Piece) -> list[str | Slot]:
        """Return a text with a slot for each placeholder."""
        parts: list[str | Slot] = []
        end = 0
        for found in _PATTERNS[self.style].finditer(piece.text):
            where = f"{self._path}:{piece.line_at(found.start())}"
            parts += [piece.text[end : found.start()], self._part(found, where)]
            end = found.end()
        return [*parts, piece.text[end:]]

    def _part(self, found: re.Match[str], where: str) -> str | Slot:
        if self.style == "jinja" and found[1] is None:
            raise InputError(
                f"{where}: expected no Jinja but {{{{ field }}}}, found {found[0]}; remove it"
            )
        if found[1] is None:
            return found[0][0]  # a double brace, which stands for one
        name = found[1].strip()
        column = self._column(name, where)
        if column:
            again = column == EXAMPLES and column in self.spellings
            if again and column not in self._columns:
                raise InputError(f"{where}: expected {found[0]} once, found it again")
            self.spellings.setdefault(column, found[0])
            return Slot(column)
        if self.style == "jinja":
            self._refuse(name, where)
        if _NAME.fullmatch(name):
            if _is_near(name, self._columns):
                self._refuse(name, where)
            self._tell(f"{where}: {found[0]} is not a column, so it stays as text")
        elif self._column(re.split("[!:]", name)[0], "") is not None:
            self._tell(f"{where}: {found[0]} is not a placeholder, so it stays as text")
        return found[0]

    def _is_known(self, name: str) -> bool:
        return self._column(name, "") is not None or _is_near(name, self._columns)

    def _column(self, name: str, where: str) -> str | None:
        """Return the column that a name stands for, if it does."""
        column = name if name in self._columns else None
        if column is None:
            alike = [column for column in self._columns if _fold(column) == _fold(name)]
            if len(alike) > 1 and where:
                raise InputError(
                    f"{where}: expected the exact name of a column, but {name!r} could be "
                    f"{' or '.join(alike)}"
                )
            column = alike[0] if alike else None
        if column == self._target and column is not None and where:
            raise InputError(
                f"{where}: {name!r} is the answer, which no prompt may show; remove it, or name "
                "another `target_column`"
            )
        return column or (EXAMPLES if name == EXAMPLES else None)

    def _refuse(self, name: str, where: str) -> NoReturn:
        raise InputError(
            f"{where}: there is no column {name!r}{closest(name, self.inputs)}; "
            f"the input columns are {', '.join(self.inputs)}"
        )


def _style(texts: Iterable[str], known: Callable[[str], bool], *, jinja: bool) -> Style:
    """Return how a file writes placeholders: the first kind that holds a known name decides."""
    joined = "\n".join(texts)
    doubled = [name.split("|")[0].strip() for name in _DOUBLE.findall(joined)]
    if jinja or any(map(known, doubled)):
        return "jinja"
    for found in _FORMAT.finditer(joined):
        lone = found[0] in "{}"
        if lone or (found[1] is not None and not _NAME.fullmatch(found[1].strip())):
            return "braces"
    return "format"


def _fold(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _is_near(name: str, columns: Sequence[str]) -> bool:
    folded = [_fold(column) for column in columns]
    return bool(difflib.get_close_matches(_fold(name), folded, n=1, cutoff=_NEAR))


def _labels(turns: Sequence[Turn], fields: Sequence[str]) -> dict[str, str]:
    """Return the labels that stand before fields on lines of their own."""
    labels: dict[str, str] = {}
    for turn in turns:
        for place, part in enumerate(turn.content[1:]):
            label = _label(turn, place)
            if isinstance(part, Slot) and part.field in fields and label:
                labels.setdefault(part.field, label)
    return labels


def _cue(turn: Turn) -> str:
    """Return the label with which a prompt ends."""
    return _label(turn, len(turn.content) - 1)


def _label(turn: Turn, place: int) -> str:
    """Return the label that is the last line of one of a turn's texts, if it is one."""
    text = turn.content[place]
    if not isinstance(text, str):
        return ""
    # What follows a field goes on with its line.
    lines = text if place == 0 else text.partition("\n")[2]
    found = _LABELLED.search(lines.rstrip())
    return found[1].strip() if found else ""
