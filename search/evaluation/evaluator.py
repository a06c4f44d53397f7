"""Prompts x examples -> one flat batch -> outputs -> scores; nothing is scored twice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..contracts import Example, Outputs, Prompt, ReplyScorer, Task
from ..prompts.reading import label_tokens
from .answers import AnswerScores
from .cached_model import CachedModel
from .log_odds import LogOdds
from .probes import Probes
from .replies import ReplyScores
from .scores import Scoring, shown
from .statistics import scored_mean, stratum_weights
from .tokens import TokenCounts
from .written import WrittenScores

if TYPE_CHECKING:
    from ..contracts import Backend, LikelihoodScorer, Reason
    from ..storage.database import Store


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The task's metric of one prompt on some examples, and the offsets they were read with.

    A value is NaN where there is none, with its reason, and on an example that the prompt shows,
    without one.
    """

    values: tuple[float, ...]
    offsets: tuple[float, ...]
    reasons: tuple[Reason | None, ...] = ()

    @property
    def quality(self) -> float:
        """The mean of the task's metric where there is one."""
        return scored_mean(self.values)


class Evaluator:
    """Scores prompts on examples through the backend and the store.

    ``scoring`` says what the ``model`` is asked and what its answers are worth, ``log_odds`` what
    labels' likelihoods tell besides, ``tokens`` counts what prompts cost, ``probes`` answers
    mutators.
    """

    def __init__(
        self,
        task: Task,
        backend: Backend,
        scorer: LikelihoodScorer | ReplyScorer,
        store: Store | None = None,
        max_prompt_tokens: int | None = None,
    ) -> None:
        self.task = task
        self.backend = backend
        self.model = CachedModel(backend, store)
        self._known: dict[Prompt, dict[Example, Outputs]] = {}
        targets = Counter(example.target for example in (*task.train, *task.dev))
        self._shares = {label: n / targets.total() for label, n in targets.items()}
        self.scoring: Scoring
        if isinstance(scorer, ReplyScorer):
            self.scoring, reply = ReplyScores(scorer), task.max_tokens
        elif task.answers == "written":
            self.scoring = WrittenScores(scorer)
            reply = label_tokens(task.start.structure, task.labels)
        else:
            self.scoring, reply = AnswerScores(scorer), 0
        self.tokens = TokenCounts(task, backend, reply, max_prompt_tokens)
        self.log_odds = LogOdds(self)
        self.probes = Probes(self)

    def limit_dev(self, rows: int) -> None:
        """Judge by the first dev rows alone."""
        if rows < len(self.task.dev):
            note = f"{rows} of {len(self.task.dev)} dev rows used: a tenth of `max_evaluations`"
            self.task = replace(self.task, dev=self.task.dev[:rows], notes=(*self.task.notes, note))

    def check(self, prompt: Prompt) -> None:
        """Refuse a prompt that is too long, or whose answers cannot be scored.

        Raises
        ------
        InputError
            If it is.
        """
        self.tokens.of_prompt(prompt)
        self.check_answers(prompt)

    def check_answers(self, prompt: Prompt) -> None:
        """Refuse a prompt whose answers cannot be scored, before anything is spent on it.

        Raises
        ------
        InputError
            If labels have no texts of their own, or texts that the model does not know or cannot
            tell apart.
        """
        self.scoring.check(self.task, prompt, self.backend)

    def measure(
        self, prompts: Sequence[Prompt], examples: Sequence[Example]
    ) -> list[list[Outputs]]:
        """Return, for each prompt, the log-likelihoods of each example's answers or its reply."""
        known = [self._known.setdefault(prompt, {}) for prompt in prompts]
        missing = [
            (prompt, example)
            for prompt, seen in zip(prompts, known, strict=True)
            for example in examples
            if example not in seen
        ]
        requests = [self.scoring.request(self.task, *pair) for pair in missing]
        answered = self.model.outputs(requests)
        for (prompt, example), outputs in zip(missing, answered, strict=True):
            self._known[prompt][example] = outputs
        return [[seen[example] for example in examples] for seen in known]

    def ask_again(self) -> None:
        """Ask about the starting prompt, though the answer is known: there may be none any more.

        Raises
        ------
        BackendError
            If the model does not answer.
        """
        request = self.scoring.request(self.task, self.task.start, self.task.dev[0])
        CachedModel(self.backend).outputs([request])

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
        scores = self.scoring.score(self.task, prompt, examples, outputs, offsets)
        return _unshown(prompt, examples, scores.values, scores.offsets)

    def mean(self, values: Sequence[float], examples: Sequence[Example]) -> float:
        """Return the mean of the examples' values; NaN without any.

        Each label counts by its share in all of train and dev.
        """
        known = [
            (value, example)
            for value, example in zip(values, examples, strict=True)
            if not math.isnan(value)
        ]
        if not self.task.labels or not known:
            return scored_mean(values)
        weights = self.weights([example for _, example in known])
        scores = [value for value, _ in known]
        mean = math.fsum(weight * value for weight, value in zip(weights, scores, strict=True))
        # Rounding must not carry it beyond what it is the mean of.
        return min(max(mean, min(scores)), max(scores))

    def chosen(
        self, prompt: Prompt, examples: Sequence[Example], offsets: tuple[float, ...]
    ) -> list[str]:
        """Return the label each example is given, all of which have a score.

        Nothing where the scorer chooses none.
        """
        outputs = self.measure([prompt], examples)[0]
        return self.scoring.chosen(self.task, prompt, outputs, offsets)

    def unread(self, prompt: Prompt, examples: Sequence[Example]) -> list[str]:
        """Return the replies that are to say a label and say none, or several."""
        return self.scoring.unread(self.task, prompt, self.measure([prompt], examples)[0])

    def cut_off(self, prompt: Prompt, examples: Sequence[Example]) -> int:
        """Return how many replies are as long as they may be."""
        outputs = self.measure([prompt], examples)[0]
        return self.scoring.cut_off(self.task, prompt, outputs, self.backend.count_tokens)

    def reply_tokens(self, prompt: Prompt, examples: Sequence[Example]) -> float:
        """Return the mean number of tokens that the model writes to an example; 0 for none."""
        outputs = self.measure([prompt], examples)[0]
        return self.tokens.of_replies(self.scoring.replies(outputs))

    def constraints_met(self, prompt: Prompt, examples: Sequence[Example]) -> float | None:
        """Return the share of the prompt's constraints that whole replies meet.

        None where that cannot be measured.
        """
        outputs = self.measure([prompt], examples)[0]
        return self.scoring.constraints_met(prompt, examples, outputs)

    def parts(self, prompt: Prompt, examples: Sequence[Example]) -> dict[str, float]:
        """Return the mean score of each of several scorers with weights; nothing of one alone."""
        outputs = self.measure([prompt], examples)[0]
        return self.scoring.parts(self.task, prompt, examples, outputs)

    def weights(self, examples: Sequence[Example]) -> list[float]:
        """Return what each example counts: each label its share in all of train and dev."""
        return stratum_weights([example.target for example in examples], self._shares)


def _unshown(
    prompt: Prompt,
    examples: Sequence[Example],
    values: Sequence[float | Reason],
    offsets: tuple[float, ...],
) -> Evaluation:
    """Return the scores, or why there are none, of the examples that the prompt does not show."""
    kept: list[float] = []
    reasons: list[Reason | None] = []
    for value, is_shown in zip(values, shown(prompt, examples), strict=True):
        kept.append(math.nan if is_shown or isinstance(value, str) else value)
        reasons.append(None if is_shown else _reason(value))
    return Evaluation(tuple(kept), offsets, tuple(reasons))


def _reason(value: float | Reason) -> Reason | None:
    if isinstance(value, str):
        return value
    return "no number" if math.isnan(value) else None
