"""Chat templates: turns as text with a slot for each content."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..search.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .tokenization import Encoder

# Private-use characters that stand for a message's content while the chat template is rendered.
_OPEN = "\ue000"
_CLOSE = "\ue001"
_SLOT = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_RENDERED = 256
"""Sequences of roles whose text is kept: one for each number of demonstrations."""
_Turns = list[tuple[str, str]]


class ChatTemplate:
    """A tokenizer's chat template.

    Where it refuses a system turn, the instruction opens the first user turn. It is asked not to
    begin with a thought, since what is scored is the answer. What it writes as today's date is
    ``date``, so that numbers are the same on another day.

    Parameters
    ----------
    tokenizer
        A transformers tokenizer.
    model
        The model's name, for messages.
    """

    def __init__(self, tokenizer: Any, model: str) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer
        self._model = model
        self.date = datetime.date.today().isoformat()
        self._rendered = lru_cache(_RENDERED)(self._first_taken)

    @property
    def writes_date(self) -> bool:
        """Whether it writes the day."""
        return "strftime_now" in str(self._tokenizer.chat_template)

    @property
    def settings(self) -> dict[str, Any]:
        """What it is told that changes what it writes."""
        thinks = "enable_thinking" in str(self._tokenizer.chat_template)
        return ({"date": self.date} if self.writes_date else {}) | (
            {"enable_thinking": False} if thinks else {}
        )

    def render(self, roles: Sequence[str]) -> str:
        """Return turns of these roles as text in which slots stand for their contents; see `fill`.

        Raises
        ------
        BackendError
            If there is no template, or it takes the turns in no form.
        """
        return self._rendered(self.date, tuple(roles))

    def _first_taken(self, date: str, roles: tuple[str, ...]) -> str:
        if not self._tokenizer.chat_template:
            raise BackendError(f"{self._model} has no chat template and cannot take chat prompts")
        refusals = []
        for turns in _forms(roles):
            try:
                return self._apply(date, turns, len(roles))
            except BackendError as error:
                refusals.append(error)
        raise refusals[0]

    def _apply(self, date: str, turns: list[dict[str, Any]], slots: int) -> str:
        day = datetime.datetime.fromisoformat(date)
        options = {"strftime_now": day.strftime, "enable_thinking": False}
        try:
            text = str(
                self._tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=True, **options
                )
            )
        except Exception as error:  # (a program that comes with the model)
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise BackendError(
                f"{self._model}: its chat template refuses the prompt ({reason})"
            ) from error
        if sorted(int(i) for i in _SLOT.findall(text)) != list(range(slots)):
            raise BackendError(f"{self._model}: its chat template drops or repeats a message")
        return text


class Templated:
    """What a backend with an encoder has of its chat template: it is `search.contracts.Dated`."""

    _encoder: Encoder | None
    _identity: str
    """Identifies all that decides the numbers but what the chat template is told."""
    writes: bool = True
    """Whether it can generate."""

    @property
    def fingerprint(self) -> str:
        """Identifies what decides the numbers, the day too where the chat template writes it."""
        told = self._encoder.template.settings if self._encoder else {}
        if not told:
            return self._identity
        return hashlib.sha256(json.dumps([self._identity, told]).encode()).hexdigest()[:32]

    @property
    def writes_date(self) -> bool:
        """Whether the chat template writes the day."""
        return self._encoder is not None and self._encoder.template.writes_date

    @property
    def date(self) -> str:
        """The day that the chat template writes (YYYY-MM-DD); at first today."""
        return self._encoder.template.date if self._encoder else ""

    @date.setter
    def date(self, day: str) -> None:
        if self._encoder:
            self._encoder.template.date = datetime.date.fromisoformat(day).isoformat()


def fill(text: str, contents: Sequence[str]) -> str:
    """Return a rendered template's text with contents in its slots."""
    return _SLOT.sub(lambda slot: contents[int(slot.group(1))], text)


def _forms(roles: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the turns in the forms that templates take.

    That is as they are and with the system's in the first user's; then with contents in parts, as
    of images.
    """
    turns: _Turns = [(role, f"{_OPEN}{i}{_CLOSE}") for i, role in enumerate(roles)]
    forms = [turns]
    if tuple(roles[:2]) == ("system", "user"):
        forms.append([("user", f"{turns[0][1]}\n\n{turns[1][1]}"), *turns[2:]])
    for form in forms:
        yield [{"role": role, "content": text} for role, text in form]
    for form in forms:
        yield [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in form]
