"""Token counts: what a prompt costs, and whether it fits into the model's context."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InputError, flaw
from ..prompts.own import repeats
from ..prompts.reasoning import reply_tokens
from ..prompts.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Backend, Example, Prompt, Task


class TokenCounts:
    """Counts the tokens of prompts and examples, each once.

    Parameters
    ----------
    task, backend
        What is searched, and for which model.
    reply
        The most tokens of a reply, for which the context keeps room.
    most
        The most tokens of a prompt, where that is limited.
    """

    def __init__(self, task: Task, backend: Backend, reply: int, most: int | None = None) -> None:
        self._fields = task.input_fields
        self._backend = backend
        self._most = most
        self._start = task.start.instruction
        self._known: dict[Prompt | Example | str, int] = {}
        self._reply = reply
        self._longest = max(self.of_examples((*task.dev, *task.test)), default=0)

    def of_examples(self, examples: Sequence[Example]) -> list[int]:
        """Return the number of tokens of each example's inputs."""
        new = [example for example in examples if example not in self._known]
        texts = ["\n".join(text for _, text in example.inputs) for example in new]
        if texts:
            self._known.update(zip(new, self._backend.count_tokens(texts), strict=True))
        return [self._known[example] for example in examples]

    def of_replies(self, replies: Sequence[str]) -> float:
        """Return the mean number of tokens of replies; 0 without any."""
        counts = Counter(replies)
        tokens = zip(self._backend.count_tokens(list(counts)), counts.values(), strict=True)
        return sum(each * count for each, count in tokens) / max(1, len(replies))

    def of_prompt(self, prompt: Prompt) -> int:
        """Return the prompt's cost: the tokens of what it adds to an input.

        Raises
        ------
        InputError
            If it costs more than it may, or if with the longest example it would not fit into the
            model's context.
        """
        tokens = self._count(prompt)
        if self._most is not None and tokens > self._most:
            raise InputError(
                f"the prompt has {tokens} tokens, but `max_prompt_tokens` allows {self._most}"
            )
        reply = reply_tokens(prompt.structure, self._reply)
        longest = repeats(prompt, self._fields) * self._longest + reply
        if tokens + longest > self._backend.max_context:
            raise InputError(
                f"the prompt has {tokens} tokens and the longest input and answer {longest}, "
                f"but the model reads at most {self._backend.max_context}"
            )
        return tokens

    def fit(self, prompt: Prompt, most_instruction: int | None = None) -> Prompt | None:
        """Return the prompt with as many of its demonstrations, the first ones, as it may cost.

        None where it costs too much without any, or the model cannot be given it, or where its
        instruction has more tokens than ``most_instruction`` and than the one of the start.
        """
        if most_instruction is not None and self._is_long(prompt.instruction, most_instruction):
            return None
        most, shown = self._most, prompt.demonstrations
        if most is None:
            return prompt
        if flaw(lambda: self._count(prompt)):
            return None
        if self._count(prompt) <= most:
            return prompt
        fewer = [replace(prompt, demonstrations=shown[:count]) for count in range(len(shown))]
        fitting = bisect_right(fewer, most, key=self._count)
        return fewer[fitting - 1] if fitting else None

    def logical(self, prompt: Prompt, examples: Sequence[Example]) -> int:
        """Return the tokens of the prompt with each example, as if no prefix were shared."""
        inputs = repeats(prompt, self._fields) * sum(self.of_examples(examples))
        return len(examples) * self.of_prompt(prompt) + inputs

    def _is_long(self, instruction: str, most: int) -> bool:
        if len(instruction) <= most:  # no token is shorter than a character
            return False
        both = (instruction, self._start)
        ours, start = (self._known.get(text) or self._of_text(text) for text in both)
        return ours > max(most, start)

    def _of_text(self, text: str) -> int:
        self._known[text] = self._backend.count_tokens([text])[0]
        return self._known[text]

    def _count(self, prompt: Prompt) -> int:
        if prompt not in self._known:
            empty = render(prompt, dict.fromkeys(self._fields, ""))
            self._known[prompt] = self._backend.count_tokens([empty])[0]
        return self._known[prompt]
