"""Prompts of the user's own: whole texts, or lists of messages, with places for inputs in them.

The instruction of such a prompt is all of it. A field stands in it as ``{{field}}``, and
``{{examples}}`` where demonstrations go. Messages are kept apart by lines that name their roles::

    [[system]]
    You sort tickets.
    [[user]]
    Which team answers this one: {{ticket}}?
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from .cjk import word_count
from .reasoning import asked, with_rationale
from .slots import Slot, Turn, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Prompt
    from .slots import Role

EXAMPLES = "examples"
"""What stands for demonstrations, where it is no field."""
_ROLE = re.compile(r"(?:\A|\n)\[\[(system|user|assistant)\]\]\n")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_LABEL = re.compile(r"[^\n.!?。！？]{1,40}[:：][*_\"'`]*[ \t]*\Z")
"""What stands before a field on a line of its own."""
_LONG_TURN = 60
"""Words of a turn that is too long to be repeated with each demonstration. Set by hand."""

_Parts = list[str | Slot]


def own_turns(text: str, fields: Sequence[str]) -> tuple[Turn, ...]:
    """Return the turns of a prompt of the user's own; a text without roles is the user's turn."""
    pieces = _ROLE.split(text)
    if pieces[0] or len(pieces) == 1:
        return (Turn("user", _parts(text, fields)),)
    roles, contents = pieces[1::2], pieces[2::2]
    return tuple(
        Turn(cast("Role", role), _parts(content, fields))
        for role, content in zip(roles, contents, strict=True)
    )


def own_text(turns: Sequence[Turn], *, roles: bool) -> str:
    """Return turns as the instruction that says them."""
    contents = [
        "".join(part if isinstance(part, str) else f"{{{{{part.field}}}}}" for part in turn.content)
        for turn in turns
    ]
    if not roles:
        return "\n\n".join(contents)
    named = zip(turns, contents, strict=True)
    return "\n".join(f"[[{turn.role}]]\n{content}" for turn, content in named)


def has_roles(text: str) -> bool:
    """Whether a prompt of the user's own is a list of messages."""
    return _ROLE.match(text) is not None


def repeats(prompt: Prompt, fields: Sequence[str]) -> int:
    """Return how often one field stands in a prompt: once, unless the prompt is the user's own."""
    if not prompt.structure.own:
        return 1
    counts = Counter[Slot]()
    for _, slots in _form(prompt.instruction, tuple(fields)):
        counts += slots
    return max(counts.values(), default=1)


def keeps_form(before: Prompt, after: Prompt, fields: Sequence[str], keep: Sequence[str]) -> bool:
    """Whether a changed prompt has what must not change.

    That is the texts to keep and, in a prompt of the user's own, its turns, the fields in each, and
    the structure but for how replies are asked for, how long they may be, and how they are read.
    """
    if any(text in before.instruction and text not in after.instruction for text in keep):
        return False
    if not before.structure.own:
        return True
    was = before.structure
    formed = replace(
        after.structure,
        calibration=was.calibration,
        reasoning=was.reasoning,
        reply_factor=was.reply_factor,
    )
    return formed == was and (
        before.instruction == after.instruction
        or _form(before.instruction, tuple(fields)) == _form(after.instruction, tuple(fields))
    )


def arranged(
    prompt: Prompt, fields: Sequence[str], shown: Sequence[str], *, open_examples: bool = False
) -> tuple[Turn, ...]:
    """Return the turns of a prompt of the user's own with what the search adds to it.

    That is constraints, the sentence that asks for reasoning, and demonstrations.

    Parameters
    ----------
    prompt, fields
        The prompt and the task's input fields.
    shown
        Its demonstrations as text.
    open_examples
        Whether the place of demonstrations stays one where there are none.
    """
    turns = list(own_turns(prompt.instruction, fields))
    asking = [i for i, turn in enumerate(turns) if _first_slot(turn.content) is not None]
    query = asking[-1] if asking else len(turns) - 1
    said = (*(constraint.text for constraint in prompt.constraints), asked(prompt.structure))
    rules = "\n".join(text for text in said if text)
    if rules and query > 0 and 0 not in asking:
        turns[0] = _with_end(turns[0], rules)
        rules = ""
    placed = any(Slot(EXAMPLES) in turn.content for turn in turns) and EXAMPLES not in fields
    as_turns = not placed and asking == [len(turns) - 1] and _repeatable(prompt, turns[query])
    block = "" if placed or as_turns else "\n\n".join(shown)
    before = _filled(turns[query], prompt) if as_turns else []
    turns[query] = _with_blocks(turns[query], rules, block)
    turns[query:query] = before
    if placed and (shown or not open_examples):
        return tuple(_with_examples(turn, "\n\n".join(shown)) for turn in turns)
    return tuple(turns)


@lru_cache(maxsize=4096)
def _form(text: str, fields: tuple[str, ...]) -> list[tuple[str, Counter[Slot]]]:
    """Return each turn's role, and how often which field stands in it."""
    return [
        (turn.role, Counter(part for part in turn.content if isinstance(part, Slot)))
        for turn in own_turns(text, fields)
    ]


def _parts(text: str, fields: Sequence[str]) -> tuple[str | Slot, ...]:
    pieces = _slots(tuple(fields)).split(text)
    return merge([Slot(piece) if i % 2 else piece for i, piece in enumerate(pieces)])


@lru_cache(maxsize=64)
def _slots(fields: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(r"\{\{(" + "|".join(map(re.escape, (*fields, EXAMPLES))) + r")\}\}")


def _first_slot(content: Sequence[str | Slot]) -> int | None:
    """Return the position of a turn's first field."""
    return next((i for i, part in enumerate(content) if _is_field(part)), None)


def _is_field(part: str | Slot) -> bool:
    return isinstance(part, Slot) and part.field != EXAMPLES


def _repeatable(prompt: Prompt, query: Turn) -> bool:
    """Whether demonstrations are turns like the query: of messages whose query is short."""
    words = sum(word_count(part) for part in query.content if isinstance(part, str))
    chat = prompt.structure.layout == "chat" and has_roles(prompt.instruction)
    return chat and query.role == "user" and words <= _LONG_TURN


def _filled(query: Turn, prompt: Prompt) -> list[Turn]:
    """Return the query and its answer for each demonstration."""
    turns: list[Turn] = []
    for example in prompt.demonstrations:
        values = dict(example.inputs)
        question = merge([values[p.field] if isinstance(p, Slot) else p for p in query.content])
        answer = prompt.structure.verbalize(example.target)
        turns += [
            Turn("user", question),
            Turn("assistant", (with_rationale(prompt.structure, example.rationale, answer),)),
        ]
    return turns


def _with_end(turn: Turn, text: str) -> Turn:
    """Return a turn with one more line."""
    *before, last = turn.content or ("",)
    end = [f"{last.rstrip()}\n{text}"] if isinstance(last, str) else [last, f"\n{text}"]
    return Turn(turn.role, merge([*before, *(end if turn.content else [text])]))


def _with_blocks(turn: Turn, rules: str, examples: str) -> Turn:
    """Return the query with constraints and demonstrations before the lines that hold its input.

    Constraints follow a query that nothing stands before.
    """
    head, query = _split(turn.content)
    labelled = query and isinstance(query[0], str) and _LABEL.match(query[0])
    if rules and not head and not labelled:
        turn = _with_end(turn, rules)
        (head, query), rules = _split(turn.content), ""
    blocks = "\n\n".join(block for block in (rules, examples) if block)
    if not blocks:
        return turn
    if head:
        *start, last = head
        head = [*start, last.rstrip("\n") + "\n\n"] if isinstance(last, str) else [*head, "\n\n"]
    return Turn(turn.role, merge([*head, f"{blocks}\n\n", *query]))


def _split(content: Sequence[str | Slot]) -> tuple[_Parts, _Parts]:
    """Return what stands before the query, and the query.

    That begins with the first line that is a label and a field, or else with the paragraph of the
    first field.
    """
    fields = [i for i in range(1, len(content)) if _is_field(content[i])]
    for i in fields:
        before = content[i - 1]
        if not isinstance(before, str):
            continue
        line = before.rfind("\n") + 1
        if (line or i == 1) and _LABEL.match(before, line):
            return _divided(content, i - 1, line)
    first = _first_slot(content)
    before = content[first - 1] if first else ""
    breaks = list(_BLANK_LINE.finditer(before)) if isinstance(before, str) else []
    return _divided(content, first - 1, breaks[-1].end()) if first and breaks else ([], [*content])


def _divided(content: Sequence[str | Slot], place: int, offset: int) -> tuple[_Parts, _Parts]:
    """Return the parts of a turn before a place in one of its texts, and those after it."""
    text = str(content[place])
    head = [*content[:place], *([text[:offset]] if offset else [])]
    return head, [text[offset:], *content[place + 1 :]]


def _with_examples(turn: Turn, text: str) -> Turn:
    return Turn(turn.role, merge([text if p == Slot(EXAMPLES) else p for p in turn.content]))
