"""Token counts: what a prompt costs, and whether it fits into the model's context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
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
    """

    def __init__(self, task: Task, backend: Backend, reply: int) -> None:
        self._fields = task.input_fields
        self._backend = backend
        self._known: dict[Prompt | Example, int] = {}
        self._longest = max(self.of_examples((*task.dev, *task.test)), default=0) + reply

    def of_examples(self, examples: Sequence[Example]) -> list[int]:
        """Return the number of tokens of each example's inputs."""
        new = [example for example in examples if example not in self._known]
        texts = ["\n".join(text for _, text in example.inputs) for example in new]
        if texts:
            self._known.update(zip(new, self._backend.count_tokens(texts), strict=True))
        return [self._known[example] for example in examples]

    def of_prompt(self, prompt: Prompt) -> int:
        """Return the prompt's cost: the tokens of what it adds to an input.

        Raises
        ------
        InputError
            If the prompt with the longest example would not fit into the model's context.
        """
        if prompt not in self._known:
            empty = render(prompt, dict.fromkeys(self._fields, ""))
            self._known[prompt] = self._backend.count_tokens([empty])[0]
        tokens = self._known[prompt]
        if tokens + self._longest > self._backend.max_context:
            raise InputError(
                f"the prompt has {tokens} tokens and the longest input and answer {self._longest}, "
                f"but the model reads at most {self._backend.max_context}"
            )
        return tokens

    def logical(self, prompt: Prompt, examples: Sequence[Example]) -> int:
        """Return the tokens of the prompt with each example, as if no prefix were shared."""
        return len(examples) * self.of_prompt(prompt) + sum(self.of_examples(examples))
