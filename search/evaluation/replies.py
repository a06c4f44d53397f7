"""Scores by reply: what is asked, which part of a reply is the answer, what it is worth."""

from __future__ import annotations

import json
import math
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, cast

from ..contracts import REASONS, GenerateRequest, LikelihoodRequest, Unscored, feedback_of
from ..prompts.reasoning import reply_limits, split_reply
from ..prompts.render import continuation, read_reply, render, stops
from ..prompts.rules import bound, constraints_met
from ..prompts.written_answers import without_thinking
from ..records.unscored import is_empty
from ..scoring import Weighted, users_code
from .scores import Said, Scores, Scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..contracts import Example, Outputs, Prompt, Reason, ReplyScorer, Task


class Reply(NamedTuple):
    """A reply that can be scored, and the example it is to."""

    example: Example
    text: str


class ReplyScores(Scoring):
    """Scores prompts by what the model writes; the same reply to an example is scored once."""

    def __init__(self, scorer: ReplyScorer) -> None:
        self._scorer = scorer
        self._weighted = scorer if isinstance(scorer, Weighted) else None
        self._values: dict[Reply, float] = {}
        self._parts: dict[Reply, tuple[float | None, ...]] = {}

    def request(self, task: Task, prompt: Prompt, example: Example) -> GenerateRequest:
        """Return the request for the reply to an example."""
        limits = reply_limits(prompt, task.max_tokens, task.stop)
        return GenerateRequest(
            render(prompt, example.inputs),
            limits.max_tokens,
            tuple(dict.fromkeys((*limits.stop, *stops(prompt.structure)))),
            limits.form,
            self._scorer.samples,
        )

    def gold(
        self,
        task: Task,  # noqa: ARG002
        prompt: Prompt,
        example: Example,
    ) -> tuple[LikelihoodRequest, int]:
        """Return a request that asks for the gold answer, and the answer's position in it."""
        text = continuation(prompt.structure, prompt.structure.verbalize(example.target))
        return LikelihoodRequest(render(prompt, example.inputs), (text,)), 0

    def score(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...] | None,  # noqa: ARG002 (replies are not calibrated)
    ) -> Scores:
        """Return the scores of replies; the scorer sees no others than those that can be scored."""
        with users_code(task.scorer):
            self._score_new(self.bound(prompt, examples, outputs))
        values: list[float | Reason] = []
        for example, replies in zip(examples, self._read(prompt, examples, outputs), strict=True):
            if isinstance(replies, Unscored):
                values.append(replies.reason)
            else:
                values.append(self._combined(prompt, example, replies))
        return Scores(values)

    def replies(self, outputs: Sequence[Outputs]) -> list[str]:
        """Return all samples of all replies, thinking included: who asks pays for that too."""
        return [
            sample
            for output in outputs
            if isinstance(output, str)
            for sample in self._samples(output)
        ]

    def answered(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[Said]:
        """Return the reply to each example, the worst of several, and what is said of it."""
        self.score(task, prompt, examples, outputs, None)
        said = []
        read = self._read(prompt, examples, outputs)
        for example, output, replies in zip(examples, outputs, read, strict=True):
            if isinstance(replies, Unscored):
                said.append(Said("", REASONS[replies.reason]))
                continue
            used = [Reply(example, bound(prompt.constraints, text)) for text in replies]
            values = [self._values[reply] for reply in used]
            worst = values.index(min(values))
            whole = without_thinking(self._samples(cast("str", output))[worst])[0]
            rationale, _ = split_reply(prompt.structure, whole)
            said.append(Said(used[worst].text, feedback_of(values[worst]), rationale))
        return said

    def cut_off(
        self,
        task: Task,
        prompt: Prompt,
        outputs: Sequence[Outputs],
        count_tokens: Callable[[Sequence[str]], Sequence[int]],
    ) -> int:
        """Return how many replies are as long as they may be."""
        most = reply_limits(prompt, task.max_tokens, task.stop).max_tokens
        return sum(tokens >= most for tokens in count_tokens(self.replies(outputs)))

    def bound(
        self, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> list[Reply]:
        """Return the replies as they are used: within the prompt's limits."""
        return [
            Reply(example, bound(prompt.constraints, text))
            for example, text in self.written(prompt, examples, outputs)
        ]

    def written(
        self, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> list[Reply]:
        """Return the whole replies that can be scored."""
        return [
            Reply(example, text)
            for example, replies in zip(
                examples, self._read(prompt, examples, outputs), strict=True
            )
            if not isinstance(replies, Unscored)
            for text in replies
        ]

    def constraints_met(
        self, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> float | None:
        """Return the share of the prompt's constraints that whole replies meet."""
        written = self.written(prompt, examples, outputs)
        return constraints_met(
            prompt.constraints,
            [reply.example for reply in written],
            [reply.text for reply in written],
        )

    def parts(
        self, task: Task, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> dict[str, float]:
        """Return the mean score of each of several scorers with weights.

        Nothing of a single one.
        """
        replies = self.bound(prompt, examples, outputs)
        if self._weighted is None or not replies:
            return {}
        with users_code(task.scorer):
            self._score_new(replies)
        means: dict[str, float] = {}
        columns = zip(*(self._parts[reply] for reply in replies), strict=True)
        for part, column in zip(self._weighted.parts, columns, strict=True):
            known = [value for value in column if value is not None and not math.isnan(value)]
            if known:
                means[part.name] = fmean(known)
        return means

    def _score_new(self, replies: Sequence[Reply]) -> None:
        """Score those replies that have no score yet."""
        new = list(dict.fromkeys(reply for reply in replies if reply not in self._values))
        if not new:
            return
        examples, texts = [reply.example for reply in new], [reply.text for reply in new]
        if self._weighted is None:
            scores = self._scorer.score_replies(examples, texts)
        else:
            parts = self._weighted.score_parts(examples, texts)
            self._parts.update(zip(new, parts, strict=True))
            scores = [self._weighted.mean(values) for values in parts]
        for reply, score in zip(new, scores, strict=True):
            self._values[reply] = math.nan if score is None else score

    def _combined(self, prompt: Prompt, example: Example, replies: Sequence[str]) -> float:
        values = [self._values[Reply(example, bound(prompt.constraints, text))] for text in replies]
        return math.nan if any(map(math.isnan, values)) else self._scorer.combine(values)

    def _read(
        self, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> list[list[str] | Unscored]:
        """Return the replies to each example, as many as are wanted, or why there are none."""
        return [
            self._read_one(prompt, example, cast("str | Unscored", output))
            for example, output in zip(examples, outputs, strict=True)
        ]

    def _read_one(
        self, prompt: Prompt, example: Example, output: str | Unscored
    ) -> list[str] | Unscored:
        if isinstance(output, Unscored):
            return output
        thought_out = [without_thinking(sample) for sample in self._samples(output)]
        if any(unfinished for _, unfinished in thought_out):
            return Unscored("cut")
        replies = [read_reply(prompt.structure, reply) for reply, _ in thought_out]
        if any(is_empty(reply, example) for reply in replies):
            return Unscored("empty")
        return replies

    def _samples(self, output: str) -> list[str]:
        return json.loads(output) if self._scorer.samples > 1 else [output]
