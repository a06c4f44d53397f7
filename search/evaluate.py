"""Prompts x examples -> one flat batch -> log-likelihoods -> scores; nothing is scored twice."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .completion import Estimate, estimate
from .contracts import Example, Prompt, Request, Task, WordReader, Words
from .errors import InputError, InterruptedCallError
from .prompt import continuation, render, zero_shot
from .statistics import stratum_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .contracts import Backend, Scorer
    from .store import Store

Outputs = tuple[float, ...]
FIRST_BLOCK = 10
"""The dev examples that every candidate is scored on."""
MOST_WORDS = 1000
"""Likely words that are read after a prompt."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The task's metric of one prompt on each of some examples, and the calibration offsets they were read with."""

    values: tuple[float, ...]
    offsets: tuple[float, ...]

    @property
    def quality(self) -> float:
        """The mean of the task's metric."""
        return sum(self.values) / len(self.values)


class Evaluator:
    """Scores prompts on examples through the backend and the store.

    One call of `measure` is at most one call of the backend, and its results are stored in one transaction: a call
    that was interrupted is repeated exactly, so a resumed run sees the same numbers as an undisturbed one.
    """

    def __init__(self, task: Task, backend: Backend, scorer: Scorer, store: Store | None = None) -> None:
        self.task = task
        self.backend = backend
        self.scorer = scorer
        self.scored_pairs = 0
        """Pairs this process had to send to the backend."""
        self.mutator_pairs = 0
        """Pairs that mutators asked for through `losses`, `lean` and `words`."""
        self.mutator_limit: int | None = None
        """How far `mutator_pairs` may go; beyond that they answer nothing."""
        labelled = Counter(example.target for example in (*task.pool, *task.dev))
        self._shares = {label: n / labelled.total() for label, n in labelled.items()}
        self._store = store
        self._memory: dict[str, Outputs] = {}
        self._known: dict[Prompt, dict[Example, Outputs]] = {}
        self._tokens: dict[Prompt | Example, int] = {}
        self._words: dict[tuple[Prompt, tuple[Example, ...]], Words] = {}
        self._longest = max(self.example_tokens((*task.dev, *task.test)), default=0)

    def limit_dev(self, rows: int) -> None:
        """Judge by the first dev rows alone."""
        if rows < len(self.task.dev):
            note = f"{rows} of {len(self.task.dev)} dev rows used: a tenth of --max-pairs"
            self.task = replace(self.task, dev=self.task.dev[:rows], notes=(*self.task.notes, note))

    def example_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Return the number of tokens of each example's inputs."""
        missing = [example for example in examples if example not in self._tokens]
        texts = ["\n".join(text for _, text in example.inputs) for example in missing]
        self._tokens.update(zip(missing, self.backend.count_tokens(texts) if texts else [], strict=True))
        return [self._tokens[example] for example in examples]

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Return the prompt's cost: the tokens of what it adds to an input.

        Raises
        ------
        InputError
            If the prompt with the longest example would not fit into the model's context.
        """
        if prompt not in self._tokens:
            empty = render(prompt, dict.fromkeys(self.task.input_fields, ""))
            self._tokens[prompt] = self.backend.count_tokens([empty])[0]
        tokens = self._tokens[prompt]
        if tokens + self._longest > self.backend.max_context:
            raise InputError(
                f"the prompt has {tokens} tokens and the longest input {self._longest}, "
                f"but the model reads at most {self.backend.max_context}"
            )
        return tokens

    def logical_tokens(self, prompt: Prompt, examples: Sequence[Example]) -> int:
        """Return the tokens of the prompt with each example, counted as if nothing were shared."""
        return len(examples) * self.prompt_tokens(prompt) + sum(self.example_tokens(examples))

    def measure(self, prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[list[Outputs]]:
        """Return, for each prompt, the log-likelihoods of each example's answers."""
        known = [self._known.setdefault(prompt, {}) for prompt in prompts]
        missing = [(p, e) for p, seen in zip(prompts, known, strict=True) for e in examples if e not in seen]
        requests = [self._request(prompt, example) for prompt, example in missing]
        keys = [_key(request) for request in requests]
        self._fill({k: r for k, r in zip(keys, requests, strict=True) if k not in self._memory})
        for (prompt, example), key in zip(missing, keys, strict=True):
            self._known[prompt][example] = self._memory[key]
        return [[seen[example] for example in examples] for seen in known]

    def evaluate(
        self, prompt: Prompt, examples: Sequence[Example], offsets: tuple[float, ...] | None = None
    ) -> Evaluation:
        """Score one prompt.

        Parameters
        ----------
        prompt, examples
            What is scored.
        offsets
            The calibration to read the outputs with; by default the one fitted on these outputs.
        """
        outputs = self.measure([prompt], examples)[0]
        offsets = self.scorer.fit(prompt, outputs) if offsets is None else offsets
        return Evaluation(tuple(self.scorer.score(self.task, examples, outputs, offsets)), offsets)

    def mean(self, values: Sequence[float], examples: Sequence[Example]) -> float:
        """Return the mean of the examples' values, each label counted by its share in all of pool and dev."""
        return math.fsum(w * v for w, v in zip(self._weights(examples), values, strict=True))

    def _weights(self, examples: Sequence[Example]) -> list[float]:
        if not self.task.labels:
            return [1 / len(examples)] * len(examples)
        return stratum_weights([example.target for example in examples], self._shares)

    def estimates(self, seen: Mapping[Prompt, int]) -> dict[Prompt, Estimate]:
        """Return what each prompt would score on all dev examples; only for tasks with labels.

        Parameters
        ----------
        seen
            How many of the dev examples each prompt is to be judged by; what was not scored yet is scored.
        """
        dev, labels = self.task.dev, self.task.labels
        outputs = [self._read(prompt, dev[:rows]) for prompt, rows in seen.items()]
        found = estimate(outputs, [labels.index(example.target) for example in dev], self._weights(dev))
        return dict(zip(seen, found, strict=True))

    def _read(self, prompt: Prompt, examples: Sequence[Example]) -> list[list[float]]:
        """Return the labels' log-likelihoods as the prompt's calibration reads them."""
        outputs = self.measure([prompt], examples)[0]
        offsets = self.scorer.fit(prompt, outputs) or (0.0,) * len(self.task.labels)
        return [[x - offset for x, offset in zip(output, offsets, strict=True)] for output in outputs]

    def lean(self, prompt: Prompt, *, known: bool) -> tuple[float, ...]:
        """Return how much more likely than the others the prompt makes each label, in nats, whatever the input.

        The mean over the first block of dev inputs, whose labels are not looked at; empty for free text, and where
        mutators have no pairs left. A prompt that is not ``known`` counts as scored for a mutator.

        Raises
        ------
        InputError
            If the prompt does not fit into the model's context.
        """
        if not self.task.labels:
            return ()
        examples = self.task.dev[:FIRST_BLOCK]
        self.prompt_tokens(prompt)
        if not known and not self._allowed(len(examples)):
            return ()
        outputs = self.measure([prompt], examples)[0]
        means = [sum(column) / len(outputs) for column in zip(*outputs, strict=True)]
        return tuple(mean - sum(means) / len(means) for mean in means)

    def words(self, prompt: Prompt, examples: Sequence[Example], *, known: bool) -> Words:
        """Return which words the model would write after the prompt, without demonstrations, with each example.

        None where mutators have no pairs left, and from backends that do not read words. What is not ``known`` counts as
        scored for a mutator.

        Raises
        ------
        InputError
            If the prompt does not fit into the model's context.
        """
        prompt = zero_shot(prompt)
        self.prompt_tokens(prompt)
        key = (prompt, tuple(examples))
        if not isinstance(self.backend, WordReader) or not examples:
            return Words((), [])
        if key not in self._words:
            if not known and not self._allowed(len(examples)):
                return Words((), [])
            texts = [render(prompt, example.inputs) for example in examples]
            self._words[key] = self.backend.words(texts, continuation(prompt.structure, "x")[:-1], MOST_WORDS)
        return self._words[key]

    def losses(self, prompt: Prompt, examples: Sequence[Example]) -> list[float]:
        """Return minus the log-likelihood of each gold answer, in nats; nothing where mutators have no pairs left."""
        if not self._allowed(len(examples)):
            return []
        outputs = self.measure([prompt], examples)[0]
        golds = [prompt.structure.verbalize(example.target) for example in examples]
        answers = [self.scorer.answers(prompt, self.task, example) for example in examples]
        return [-out[texts.index(gold)] for out, texts, gold in zip(outputs, answers, golds, strict=True)]

    def _allowed(self, pairs: int) -> bool:
        """Count pairs for a mutator, unless there are not so many left."""
        if self.mutator_limit is not None and self.mutator_pairs + pairs > self.mutator_limit:
            return False
        self.mutator_pairs += pairs
        return True

    def _request(self, prompt: Prompt, example: Example) -> Request:
        answers = self.scorer.answers(prompt, self.task, example)
        return Request(render(prompt, example.inputs), tuple(continuation(prompt.structure, a) for a in answers))

    def _fill(self, wanted: dict[str, Request]) -> None:
        if self._store and wanted:
            self._memory.update(self._store.read_scores(self.backend.fingerprint, list(wanted)))
        missing = {key: request for key, request in wanted.items() if key not in self._memory}
        if not missing:
            return
        try:
            self._keep(dict(zip(missing, self.backend.loglikelihoods(list(missing.values())), strict=True)))
        except InterruptedCallError as error:
            keys = list(missing)
            self._keep({keys[i]: outputs for i, outputs in error.answered.items()})
            raise

    def _keep(self, outputs: dict[str, Outputs]) -> None:
        self.scored_pairs += len(outputs)
        if self._store and outputs:
            self._store.write_scores(self.backend.fingerprint, outputs)
        self._memory.update(outputs)


def _key(request: Request) -> str:
    text = json.dumps([request.prompt, request.continuations])
    return hashlib.sha256(text.encode()).hexdigest()
