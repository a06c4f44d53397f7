"""Scores by log-likelihood: what is asked, how calibration reads it, what it is worth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ..contracts import LikelihoodRequest, TokenReader, Unscored
from ..data.labels import unreadable
from ..errors import InputError
from ..prompts.reading import unnamed
from ..prompts.render import continuation, render
from ..scoring import users_code
from .scores import Said, Scores, Scoring, numbers, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import (
        Backend,
        Example,
        LikelihoodScorer,
        Outputs,
        Prompt,
        Reason,
        Structure,
        Task,
    )
    from .cached_model import Asked


class AnswerScores(Scoring):
    """Scores prompts by the log-likelihoods of answers."""

    def __init__(self, scorer: LikelihoodScorer) -> None:
        self._scorer = scorer
        self._flaws: dict[Structure, str] = {}

    @property
    def reads_labels(self) -> bool:
        """Whether a reply that says the right label is right, and one that says another is not."""
        return self._scorer.is_accuracy

    def request(self, task: Task, prompt: Prompt, example: Example) -> Asked:
        """Return what the model is asked."""
        return self.likelihoods(task, prompt, example)

    def likelihoods(self, task: Task, prompt: Prompt, example: Example) -> LikelihoodRequest:
        """Return the request for an example's answers: for whole ones where one begins another."""
        return _request(prompt, example, self._answers(task, prompt, example))

    def gold(self, task: Task, prompt: Prompt, example: Example) -> tuple[LikelihoodRequest, int]:
        """Return a request that asks for the gold answer, and the answer's position in it."""
        answers = self._answers(task, prompt, example)
        position = answers.index(prompt.structure.verbalize(example.target))
        return _request(prompt, example, answers), position

    def score(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...] | None,
    ) -> Scores:
        """Return the scores of outputs; the scorer sees no rows without log-likelihoods.

        Without ``offsets`` those are taken that are fitted to these outputs.
        """
        with users_code(task.scorer):
            if offsets is None:
                offsets = self._fitted(prompt, examples, outputs)
            return Scores(self._values(task, examples, outputs, offsets), offsets)

    def chosen(
        self,
        task: Task,
        prompt: Prompt,  # noqa: ARG002
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],
    ) -> list[str]:
        """Return the label that each example is given; nothing where the scorer chooses none."""
        return self._scorer.choose(task, numbers(outputs), offsets)

    def answered(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],
    ) -> list[Said]:
        """Return the label that each example is given, in the prompt's words."""
        rows = [i for i, output in enumerate(outputs) if isinstance(output, tuple)]
        chosen = self.chosen(task, prompt, [outputs[i] for i in rows], offsets)
        labels = dict(zip(rows, chosen, strict=bool(chosen)))
        found = [labels.get(i, "") for i in range(len(examples))]
        return [Said(prompt.structure.verbalize(label) if label else "") for label in found]

    def check(self, task: Task, prompt: Prompt, backend: Backend) -> None:
        """Refuse a prompt whose answers cannot be scored, before anything is spent on it.

        Raises
        ------
        InputError
            If labels have no texts of their own, or texts that the model does not know or cannot
            tell apart, or if the prompt needs more than its text to be answered.
        """
        if task.labels and task.answers in ("written", "choice"):
            _check_text(task, prompt)
        request = self.likelihoods(task, replace(prompt, demonstrations=()), task.dev[0])
        if not task.labels or not isinstance(backend, TokenReader):
            return
        if prompt.structure not in self._flaws:
            read = backend.answer_tokens(request)
            texts = [text.strip() for text in request.continuations]
            flaw = unreadable(texts, read, backend.model) if read else ""
            self._flaws[prompt.structure] = flaw
        if self._flaws[prompt.structure]:
            raise InputError(self._flaws[prompt.structure])

    def _answers(self, task: Task, prompt: Prompt, example: Example) -> tuple[str, ...]:
        with users_code(task.scorer):
            return self._scorer.answers(prompt, task, example)

    def _fitted(
        self, prompt: Prompt, examples: Sequence[Example], outputs: Sequence[Outputs]
    ) -> tuple[float, ...]:
        """Return the offsets learnt from the examples that the prompt does not show."""
        pairs = zip(outputs, shown(prompt, examples), strict=True)
        known = numbers([output for output, is_shown in pairs if not is_shown])
        return self._scorer.fit(prompt, known) if known else ()

    def _values(
        self,
        task: Task,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],
    ) -> list[float | Reason]:
        none: Reason = "tie" if self._scorer.labelled else "no number"
        values: list[float | Reason] = [
            output.reason if isinstance(output, Unscored) else none for output in outputs
        ]
        rows = [i for i, output in enumerate(outputs) if isinstance(output, tuple)]
        if not rows:
            return values
        scores = self._scorer.score(task, [examples[i] for i in rows], numbers(outputs), offsets)
        for i, score in zip(rows, scores, strict=True):
            values[i] = none if score is None else score
        return values


def _check_text(task: Task, prompt: Prompt) -> None:
    """Refuse a prompt whose answers nobody would give who has its text alone."""
    structure, start = prompt.structure, task.start.structure
    if structure.calibration != "none":
        raise InputError(
            "calibration needs `answers` likelihood, because a prompt's text cannot contain it"
        )
    if structure.verbalizers == start.verbalizers:
        return
    if texts := unnamed(prompt, task.labels, task.input_fields):
        raise InputError(
            f"verbalizers that the prompt does not name ({', '.join(texts)}) need "
            "`answers` likelihood"
        )


def _request(prompt: Prompt, example: Example, answers: Sequence[str]) -> LikelihoodRequest:
    texts = tuple(continuation(prompt.structure, answer) for answer in answers)
    return LikelihoodRequest(
        render(prompt, example.inputs), texts, whole=_one_begins_another(texts)
    )


def _one_begins_another(texts: Sequence[str]) -> bool:
    # In sorted order a text stands right before what it begins.
    ordered = sorted({text.casefold() for text in texts})
    return any(after.startswith(before) for before, after in pairwise(ordered))
