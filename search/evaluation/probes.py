"""Probes: what mutators may ask of the model about a prompt, as far as their allowance goes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..budget import FIRST_BLOCK, Allowance
from ..contracts import Answer, NextTokenReader, NextTokens, Unscored
from ..prompts.render import continuation, render, zero_shot
from .scores import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Example, Prompt
    from .evaluator import Evaluator

_MOST_NEXT_TOKENS = 1000
"""Likely words that are read after a prompt."""


class Probes:
    """Answers mutators, each question once; beyond ``allowance`` they are answered nothing."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.allowance = Allowance()
        self._next_tokens: dict[tuple[Prompt, tuple[Example, ...]], NextTokens] = {}

    def label_bias(self, prompt: Prompt, *, known: bool) -> tuple[float, ...]:
        """Return how much more likely than the others the prompt makes each label, in nats.

        That is the mean over the first block of dev inputs, whose labels are not looked at; empty
        where labels have no log-likelihoods, or none finite, where mutators have no
        evaluations left, and of a prompt that is longer than prompts may be. A prompt that is not
        ``known`` counts as scored for a mutator.

        Raises
        ------
        InputError
            If the prompt does not fit into the model's context.
        """
        task = self._evaluator.task
        if not self._evaluator.log_odds.known(prompt):
            return ()
        examples = task.dev[:FIRST_BLOCK]
        if self._evaluator.tokens.fit(prompt) != prompt:
            return ()
        self._evaluator.tokens.of_prompt(prompt)
        if not known and not self.allowance.take(len(examples)):
            return ()
        outputs = [
            output
            for output in numbers(self._evaluator.measure([prompt], examples)[0])
            if all(map(math.isfinite, output))
        ]
        means = [sum(column) / len(outputs) for column in zip(*outputs, strict=True)]
        return tuple(mean - sum(means) / len(means) for mean in means)

    def next_tokens(
        self, prompt: Prompt, examples: Sequence[Example], *, known: bool
    ) -> NextTokens:
        """Return which words the model would write after the prompt, without demonstrations.

        None where mutators have no evaluations left, and from backends that are no
        `NextTokenReader`. What is not ``known`` counts as scored for a mutator.

        Raises
        ------
        InputError
            If the prompt does not fit into the model's context.
        """
        prompt, backend = zero_shot(prompt), self._evaluator.backend
        self._evaluator.tokens.of_prompt(prompt)
        key = (prompt, tuple(examples))
        if not isinstance(backend, NextTokenReader) or not examples:
            return NextTokens((), [])
        if key not in self._next_tokens:
            if not known and not self.allowance.take(len(examples)):
                return NextTokens((), [])
            texts = [render(prompt, example.inputs) for example in examples]
            before = continuation(prompt.structure, "x")[:-1]
            self._next_tokens[key] = backend.next_tokens(texts, before, _MOST_NEXT_TOKENS)
        return self._next_tokens[key]

    def answers(self, prompt: Prompt, examples: Sequence[Example]) -> list[Answer]:
        """Return what the prompt's model answers to each example, and how good that is.

        Nothing where mutators have no evaluations left.

        Raises
        ------
        InputError
            If the prompt does not fit into the model's context.
        """
        evaluator, task = self._evaluator, self._evaluator.task
        evaluator.tokens.of_prompt(prompt)
        if not self.allowance.take(len(examples)):
            return []
        found = evaluator.evaluate(prompt, examples)
        outputs = evaluator.measure([prompt], examples)[0]
        said = evaluator.scoring.answered(task, prompt, examples, outputs, found.offsets)
        return [
            Answer(example, one.text, value, one.feedback, one.rationale)
            for example, one, value in zip(examples, said, found.values, strict=True)
        ]

    def losses(self, prompt: Prompt, examples: Sequence[Example]) -> list[float]:
        """Return minus the log-likelihood of each gold answer, in nats, NaN where there is none.

        Nothing where mutators have no evaluations left.
        """
        if not self.allowance.take(len(examples)):
            return []
        scoring, task = self._evaluator.scoring, self._evaluator.task
        asked = [scoring.gold(task, prompt, example) for example in examples]
        outputs = self._evaluator.model.likelihoods([request for request, _ in asked])
        return [
            math.nan if isinstance(output, Unscored) else -output[position]
            for output, (_, position) in zip(outputs, asked, strict=True)
        ]
