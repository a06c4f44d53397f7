"""Prompts x examples -> one flat batch -> log-likelihoods or replies -> scores; nothing is scored twice."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, cast

from ..budget import FIRST_BLOCK, Allowance
from ..contracts import (
    Classifier,
    Example,
    GenerateRequest,
    LikelihoodRequest,
    NextTokenReader,
    NextTokens,
    Outputs,
    Prompt,
    ReplyScorer,
    SampleScorer,
    Structure,
    Task,
    TokenReader,
    Unscored,
)
from ..data.labels import unreadable
from ..errors import InputError
from ..prompts.render import continuation, read_reply, render, stops, zero_shot
from ..prompts.rules import bound, compliance, decoding_form, decoding_limit
from ..prompts.written_answers import without_thinking
from ..records.unscored import is_empty
from ..scoring import Weighted, users_code
from .cached_model import CachedModel
from .estimates import Estimate, estimate
from .statistics import scored_mean, stratum_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Backend, LikelihoodScorer, Reason
    from ..storage.database import Store

Likelihoods = list[tuple[float, ...]]
MOST_WORDS = 1000
"""Likely words that are read after a prompt."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The task's metric of one prompt on each of some examples, and the calibration offsets they were read with.

    A value is NaN where there is none, with its reason, and on an example that the prompt shows, without one.
    """

    values: tuple[float, ...]
    offsets: tuple[float, ...]
    reasons: tuple[Reason | None, ...] = ()

    @property
    def quality(self) -> float:
        """The mean of the task's metric where there is one."""
        return scored_mean(self.values)


class Evaluator:
    """Scores prompts on examples through the backend and the store."""

    def __init__(
        self,
        task: Task,
        backend: Backend,
        scorer: LikelihoodScorer | ReplyScorer,
        store: Store | None = None,
    ) -> None:
        self.task = task
        self.backend = backend
        self.scorer = scorer
        self.allowance = Allowance()
        """What mutators may ask for; beyond it they are answered nothing."""
        labelled = Counter(example.target for example in (*task.train, *task.dev))
        self._shares = {label: n / labelled.total() for label, n in labelled.items()}
        self._model = CachedModel(backend, store)
        self._known: dict[Prompt, dict[Example, Outputs]] = {}
        self._values: dict[tuple[Example, str], float] = {}
        self._parts: dict[tuple[Example, str], tuple[float | None, ...]] = {}
        self._tokens: dict[Prompt | Example, int] = {}
        self._flaws: dict[Structure, str] = {}
        self._next_tokens: dict[tuple[Prompt, tuple[Example, ...]], NextTokens] = {}
        self._longest = max(self.example_tokens((*task.dev, *task.test)), default=0)
        self._longest += task.max_tokens if isinstance(scorer, ReplyScorer) else 0

    def limit_dev(self, rows: int) -> None:
        """Judge by the first dev rows alone."""
        if rows < len(self.task.dev):
            note = f"{rows} of {len(self.task.dev)} dev rows used: a tenth of `max_evaluations`"
            self.task = replace(self.task, dev=self.task.dev[:rows], notes=(*self.task.notes, note))

    def example_tokens(self, examples: Sequence[Example]) -> list[int]:
        """Return the number of tokens of each example's inputs."""
        missing = [example for example in examples if example not in self._tokens]
        texts = ["\n".join(text for _, text in example.inputs) for example in missing]
        self._tokens.update(
            zip(missing, self.backend.count_tokens(texts) if texts else [], strict=True)
        )
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
                f"the prompt has {tokens} tokens and the longest input and answer {self._longest}, "
                f"but the model reads at most {self.backend.max_context}"
            )
        return tokens

    def check_answers(self, prompt: Prompt) -> None:
        """Refuse a prompt whose answers cannot be scored, before anything is spent on it.

        Raises
        ------
        InputError
            If labels have no texts of their own, or texts that the model does not know or cannot tell apart.
        """
        if isinstance(self.scorer, ReplyScorer):
            return
        request = self._answers(self.scorer, replace(prompt, demonstrations=()), self.task.dev[0])
        if not self.task.labels or not isinstance(self.backend, TokenReader):
            return
        if prompt.structure not in self._flaws:
            read = self.backend.answer_tokens(request)
            texts = [text.strip() for text in request.continuations]
            self._flaws[prompt.structure] = (
                unreadable(texts, read, self.backend.model) if read else ""
            )
        if self._flaws[prompt.structure]:
            raise InputError(self._flaws[prompt.structure])

    def logical_tokens(self, prompt: Prompt, examples: Sequence[Example]) -> int:
        """Return the tokens of the prompt with each example, counted as if nothing were shared."""
        return len(examples) * self.prompt_tokens(prompt) + sum(self.example_tokens(examples))

    def measure(
        self, prompts: Sequence[Prompt], examples: Sequence[Example]
    ) -> list[list[Outputs]]:
        """Return, for each prompt, the log-likelihoods of each example's answers or its reply."""
        known = [self._known.setdefault(prompt, {}) for prompt in prompts]
        missing = [
            (p, e)
            for p, seen in zip(prompts, known, strict=True)
            for e in examples
            if e not in seen
        ]
        found = self._model.outputs([self._request(prompt, example) for prompt, example in missing])
        for (prompt, example), outputs in zip(missing, found, strict=True):
            self._known[prompt][example] = outputs
        return [[seen[example] for example in examples] for seen in known]

    def ask_again(self) -> None:
        """Ask the model about the starting prompt, though the answer is known: it may not answer any more.

        Raises
        ------
        BackendError
            If it does not.
        """
        CachedModel(self.backend).outputs([self._request(self.task.start, self.task.dev[0])])

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
        if isinstance(self.scorer, ReplyScorer):
            return _unshown(prompt, examples, self._reply_values(self.scorer, prompt, examples), ())
        outputs = self.measure([prompt], examples)[0]
        offsets = self._fitted(prompt, examples, outputs) if offsets is None else offsets
        return _unshown(
            prompt, examples, self._answer_values(self.scorer, examples, outputs, offsets), offsets
        )

    def mean(self, values: Sequence[float], examples: Sequence[Example]) -> float:
        """Return the mean of the examples' values, each label counted by its share in all of train and dev; NaN without any."""
        known = [
            (value, example)
            for value, example in zip(values, examples, strict=True)
            if not math.isnan(value)
        ]
        if not self.task.labels or not known:
            return scored_mean(values)
        weights = self._weights([example for _, example in known])
        scores = [value for value, _ in known]
        mean = math.fsum(weight * value for weight, value in zip(weights, scores, strict=True))
        return min(
            max(mean, min(scores)), max(scores)
        )  # rounding must not carry it beyond what it is the mean of

    def chosen(
        self, prompt: Prompt, examples: Sequence[Example], offsets: tuple[float, ...]
    ) -> list[str] | None:
        """Return the label each example is given, all of which have a score; None where the scorer gives none."""
        if not isinstance(self.scorer, Classifier):
            return None
        return self.scorer.choose(self.task, _numbers(self.measure([prompt], examples)[0]), offsets)

    def replies(self, prompt: Prompt, examples: Sequence[Example]) -> list[str]:
        """Return the replies that can be scored, within the prompt's limits; only for tasks that ask for free text."""
        return [reply for _, reply in self._bound_pairs(prompt, examples)]

    def compliance(self, prompt: Prompt, examples: Sequence[Example]) -> float | None:
        """Return the share of replies that keep to the prompt's constraints unaided; None where that cannot be measured."""
        if not isinstance(self.scorer, ReplyScorer):
            return None
        pairs = self._pairs(prompt, examples)
        return compliance(
            prompt.constraints, [example for example, _ in pairs], [reply for _, reply in pairs]
        )

    def parts(self, prompt: Prompt, examples: Sequence[Example]) -> dict[str, float]:
        """Return the mean score of each of several scorers with weights; nothing of a single one."""
        if not isinstance(self.scorer, Weighted):
            return {}
        self._reply_values(self.scorer, prompt, examples)
        columns = zip(
            *(self._parts[pair] for pair in self._bound_pairs(prompt, examples)), strict=True
        )
        known = [
            [value for value in column if value is not None and not math.isnan(value)]
            for column in columns
        ]
        return {
            part.name: fmean(values)
            for part, values in zip(self.scorer.parts, known, strict=True)
            if values
        }

    def _answer_values(
        self,
        scorer: LikelihoodScorer,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],
    ) -> list[float | Reason]:
        """Return the scores of answers by their log-likelihoods, or why there is none; the scorer sees no other rows."""
        none: Reason = "tie" if isinstance(scorer, Classifier) else "no number"
        found: list[float | Reason] = [
            output.reason if isinstance(output, Unscored) else none for output in outputs
        ]
        rows = [i for i, output in enumerate(outputs) if isinstance(output, tuple)]
        with users_code(self.task.scorer):
            values = (
                scorer.score(self.task, [examples[i] for i in rows], _numbers(outputs), offsets)
                if rows
                else ()
            )
            for i, value in zip(rows, values, strict=True):
                found[i] = none if value is None else value
        return found

    def _reply_values(
        self, scorer: ReplyScorer, prompt: Prompt, examples: Sequence[Example]
    ) -> list[float | Reason]:
        """Return the scores of replies, or why there is none; the scorer sees no other rows."""
        pairs = self._bound_pairs(prompt, examples)
        new = list(dict.fromkeys(pair for pair in pairs if pair not in self._values))
        with users_code(self.task.scorer):
            found = self._score(scorer, new) if new else []
            self._values.update(
                zip(new, [math.nan if value is None else value for value in found], strict=True)
            )
        values = iter([self._values[pair] for pair in pairs])
        return [
            written.reason
            if isinstance(written, Unscored)
            else _together(scorer, [next(values) for _ in written])
            for written in self._written(prompt, examples)
        ]

    def _score(self, scorer: ReplyScorer, new: Sequence[tuple[Example, str]]) -> list[float | None]:
        """Score pairs that have no score yet; what each of several scorers gives is kept."""
        examples, replies = [example for example, _ in new], [reply for _, reply in new]
        if not isinstance(scorer, Weighted):
            return scorer.score_replies(examples, replies)
        parts = scorer.score_parts(examples, replies)
        self._parts.update(zip(new, parts, strict=True))
        return [scorer.mean(values) for values in parts]

    def _bound_pairs(
        self, prompt: Prompt, examples: Sequence[Example]
    ) -> list[tuple[Example, str]]:
        """Return the replies as they are used: within the prompt's limits."""
        return [
            (example, bound(prompt.constraints, reply))
            for example, reply in self._pairs(prompt, examples)
        ]

    def _pairs(self, prompt: Prompt, examples: Sequence[Example]) -> list[tuple[Example, str]]:
        written = zip(examples, self._written(prompt, examples), strict=True)
        return [
            (e, reply)
            for e, replies in written
            if not isinstance(replies, Unscored)
            for reply in replies
        ]

    def _written(self, prompt: Prompt, examples: Sequence[Example]) -> list[list[str] | Unscored]:
        """Return the whole replies to each example, one or as many as the scorer wants, or why they cannot be scored."""
        outputs = cast("list[str | Unscored]", self.measure([prompt], examples)[0])
        return [
            self._read_replies(prompt, example, output)
            for example, output in zip(examples, outputs, strict=True)
        ]

    def _read_replies(
        self, prompt: Prompt, example: Example, output: str | Unscored
    ) -> list[str] | Unscored:
        if isinstance(output, Unscored):
            return output
        written: list[str] = (
            json.loads(output) if isinstance(self.scorer, SampleScorer) else [output]
        )
        said = [without_thinking(reply) for reply in written]
        if any(unfinished for _, unfinished in said):
            return Unscored("cut")
        replies = [read_reply(prompt.structure, reply) for reply, _ in said]
        return Unscored("empty") if any(is_empty(reply, example) for reply in replies) else replies

    def _weights(self, examples: Sequence[Example]) -> list[float]:
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
        found = estimate(
            outputs, [labels.index(example.target) for example in dev], self._weights(dev)
        )
        return dict(zip(seen, found, strict=True))

    def _read(self, prompt: Prompt, examples: Sequence[Example]) -> list[list[float] | None]:
        """Return the labels' log-likelihoods as the prompt's calibration reads them; none for examples without a score."""
        outputs, found = self.measure([prompt], examples)[0], self.evaluate(prompt, examples)
        offsets = found.offsets or (0.0,) * len(self.task.labels)
        return [
            None
            if math.isnan(value)
            else [x - offset for x, offset in zip(output, offsets, strict=True)]
            for output, value in zip(cast("Likelihoods", outputs), found.values, strict=True)
        ]

    def _fitted(
        self, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> tuple[float, ...]:
        unshown = [
            output
            for output, shown in zip(outputs, _shown(prompt, examples), strict=True)
            if not shown
        ]
        known = _numbers(unshown)
        with users_code(self.task.scorer):
            return cast("LikelihoodScorer", self.scorer).fit(prompt, known) if known else ()

    def label_bias(self, prompt: Prompt, *, known: bool) -> tuple[float, ...]:
        """Return how much more likely than the others the prompt makes each label, in nats, whatever the input.

        The mean over the first block of dev inputs, whose labels are not looked at; empty for free text, where none of
        these has finite log-likelihoods, and where mutators have no pairs left. A prompt that is not ``known`` counts as scored for a mutator.

        Raises
        ------
        InputError
            If the prompt does not fit into the model's context.
        """
        if not self.task.labels:
            return ()
        examples = self.task.dev[:FIRST_BLOCK]
        self.prompt_tokens(prompt)
        if not known and not self.allowance.take(len(examples)):
            return ()
        outputs = [
            output
            for output in _numbers(self.measure([prompt], examples)[0])
            if all(map(math.isfinite, output))
        ]
        means = [sum(column) / len(outputs) for column in zip(*outputs, strict=True)]
        return tuple(mean - sum(means) / len(means) for mean in means)

    def next_tokens(
        self, prompt: Prompt, examples: Sequence[Example], *, known: bool
    ) -> NextTokens:
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
        if not isinstance(self.backend, NextTokenReader) or not examples:
            return NextTokens((), [])
        if key not in self._next_tokens:
            if not known and not self.allowance.take(len(examples)):
                return NextTokens((), [])
            texts = [render(prompt, example.inputs) for example in examples]
            self._next_tokens[key] = self.backend.next_tokens(
                texts, continuation(prompt.structure, "x")[:-1], MOST_WORDS
            )
        return self._next_tokens[key]

    def losses(self, prompt: Prompt, examples: Sequence[Example]) -> list[float]:
        """Return minus the log-likelihood of each gold answer, in nats, NaN where there is none.

        Nothing where mutators have no pairs left.
        """
        if not self.allowance.take(len(examples)):
            return []
        golds = [prompt.structure.verbalize(example.target) for example in examples]
        if isinstance(self.scorer, ReplyScorer):
            found = self._gold_likelihoods(prompt, examples, golds)
            return [math.nan if isinstance(output, Unscored) else -output[0] for output in found]
        outputs = cast("list[tuple[float, ...] | Unscored]", self.measure([prompt], examples)[0])
        answers = [self.scorer.answers(prompt, self.task, example) for example in examples]
        return [
            math.nan if isinstance(output, Unscored) else -output[texts.index(gold)]
            for output, texts, gold in zip(outputs, answers, golds, strict=True)
        ]

    def _gold_likelihoods(
        self, prompt: Prompt, examples: Sequence[Example], golds: Sequence[str]
    ) -> list[tuple[float, ...] | Unscored]:
        texts = [continuation(prompt.structure, gold) for gold in golds]
        requests = [
            LikelihoodRequest(render(prompt, e.inputs), (text,))
            for e, text in zip(examples, texts, strict=True)
        ]
        return self._model.likelihoods(requests)

    def _request(self, prompt: Prompt, example: Example) -> LikelihoodRequest | GenerateRequest:
        if isinstance(self.scorer, ReplyScorer):
            max_tokens, ends = decoding_limit(prompt.constraints, self.task.max_tokens)
            end = tuple(dict.fromkeys((*self.task.stop, *ends, *stops(prompt.structure))))
            form = decoding_form(prompt.constraints)
            samples = self.scorer.samples if isinstance(self.scorer, SampleScorer) else 1
            return GenerateRequest(render(prompt, example.inputs), max_tokens, end, form, samples)
        return self._answers(self.scorer, prompt, example)

    def _answers(
        self, scorer: LikelihoodScorer, prompt: Prompt, example: Example
    ) -> LikelihoodRequest:
        """Return the request for an example's answers: for whole ones where one begins another."""
        with users_code(self.task.scorer):
            answers = scorer.answers(prompt, self.task, example)
            texts = tuple(continuation(prompt.structure, answer) for answer in answers)
        return LikelihoodRequest(
            render(prompt, example.inputs), texts, whole=_one_begins_another(texts)
        )


def _one_begins_another(texts: Sequence[str]) -> bool:
    folded = sorted(
        {text.casefold() for text in texts}
    )  # a text stands right before what it begins
    return any(after.startswith(before) for before, after in pairwise(folded))


def _shown(prompt: Prompt, examples: Sequence[Example]) -> list[bool]:
    inputs = {example.inputs for example in prompt.demonstrations}
    return [example.inputs in inputs for example in examples]


def _unshown(
    prompt: Prompt,
    examples: Sequence[Example],
    found: Sequence[float | Reason],
    offsets: tuple[float, ...],
) -> Evaluation:
    """Return the scores, or the reasons why there are none, of the examples that the prompt does not show."""
    rows = list(zip(found, _shown(prompt, examples), strict=True))
    values = tuple(math.nan if known or isinstance(value, str) else value for value, known in rows)
    return Evaluation(
        values, offsets, tuple(None if known else _reason(value) for value, known in rows)
    )


def _reason(value: float | Reason) -> Reason | None:
    if isinstance(value, str):
        return value
    return "no number" if math.isnan(value) else None


def _together(scorer: ReplyScorer, values: Sequence[float]) -> float:
    """Return what the scores of an example's replies make together."""
    if not isinstance(scorer, SampleScorer):
        return values[0]
    return math.nan if any(map(math.isnan, values)) else scorer.combine(values)


def _numbers(outputs: Sequence[Outputs]) -> Likelihoods:
    """Return the log-likelihoods of those that have any."""
    return [output for output in outputs if isinstance(output, tuple)]
