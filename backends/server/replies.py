"""What a model behind a server writes: with room for its thinking, which is no part of a reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ...search.contracts import Text, Unscored
from ...search.errors import InterruptedCallError
from ...search.prompts.written_answers import without_thinking
from . import answers as server_answers
from .answers import Reply, without_surrogates
from .calls import Call

if TYPE_CHECKING:
    from .client import Client

_ROOMS = (0, 512, 4096)
"""Tokens for thinking, beside those of the reply: more each time that a reply breaks off before it
begins."""
_CUT = Unscored("cut")
Read = TypeVar("Read")


class Writer:
    """Asks for replies, and again with more tokens for those that are cut before their answer.

    How many tokens were needed is remembered: later requests start with them.

    Parameters
    ----------
    client, model
        The server and the model's name there.
    """

    def __init__(self, client: Client, model: str) -> None:
        self.client = client
        self.model = model
        self._room = 0

    def write(
        self,
        prompts: Sequence[Text] | Sequence[tuple[int, ...]],
        read: Callable[[int, Reply], Read | Unscored],
        sampling: dict[str, Any],
        tokens: int,
    ) -> list[Read | Unscored]:
        """Return what is read from the reply to each prompt, or why there is nothing.

        Parameters
        ----------
        prompts
            Text or chat, or token ids for completions.
        read
            Returns what a reply says, by the prompt's position.
        sampling
            Parameters of the requests.
        tokens
            Those that a reply needs at most.
        """
        written: dict[int, Read | Unscored] = {}
        waiting = list(range(len(prompts)))
        start = self._room
        for room in range(start, len(_ROOMS)):
            body = sampling | {"max_tokens": tokens + _ROOMS[room]}
            if room:  # thinking has lines: it would end a reply before it begins
                body.pop("stop", None)
            try:
                ask = partial(self._ask, prompts, body)
                replies = self.client.map(ask, self._reader(read, roomy=room > 0), waiting)
            except InterruptedCallError as error:
                written |= {waiting[i]: reply for i, reply in error.answered.items()}
                error.answered = {i: reply for i, reply in written.items() if reply != _CUT}
                raise
            # Where so many tokens are refused, what is known is that fewer did not do.
            kept = [
                _CUT if room > start and reply == Unscored("refused") else reply
                for reply in replies
            ]
            written |= dict(zip(waiting, kept, strict=True))
            if any(not isinstance(reply, Unscored) for reply in replies):
                self._room = max(self._room, room)
            waiting = [i for i in waiting if written[i] == _CUT]
            if not waiting:
                break
        return [written[i] for i in range(len(prompts))]

    def _ask(
        self, prompts: Sequence[Text] | Sequence[tuple[int, ...]], body: dict[str, Any], i: int
    ) -> Call:
        prompt = prompts[i]
        if isinstance(prompt, tuple) and prompt and isinstance(prompt[0], int):
            return Call("completions", {"model": self.model, "prompt": list(prompt)} | body)
        turns = messages(prompt)  # type: ignore[arg-type]
        return Call("chat", {"model": self.model, "messages": turns} | body)

    @staticmethod
    def _reader(
        read: Callable[[int, Reply], Read | Unscored], *, roomy: bool
    ) -> Callable[[int, Any], Read | Unscored]:
        def reading(i: int, answer: Any) -> Read | Unscored:  # noqa: ANN401 (any JSON)
            said = server_answers.reply(server_answers.choices(answer, 1)[0])
            if isinstance(said, Unscored):
                return said
            text, unfinished = without_thinking(said.text)
            if unfinished or (said.cut and not text.strip()):
                return _CUT
            return read(i, Reply(text, said.cut, roomy)) if text.strip() else Unscored("empty")

        return reading


def messages(prompt: Text) -> list[dict[str, str]]:
    """Return a prompt as chat messages; plain text is what the user says."""
    turns = [("user", prompt)] if isinstance(prompt, str) else prompt
    return [{"role": role, "content": without_surrogates(content)} for role, content in turns]


def before(text: str, stops: Sequence[str]) -> str:
    """Return a text up to the first of what ends it."""
    ends = [end for stop in stops if stop and (end := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text
