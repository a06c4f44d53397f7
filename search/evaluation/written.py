"""Scores by the label that the model writes: what is asked, which label a reply says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..contracts import GenerateRequest, Unscored, Written
from ..prompts.reading import label_limits, said_label
from ..prompts.reasoning import split_reply
from .answers import AnswerScores
from .cached_model import WrittenRequest
from .scores import Said, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Example, Outputs, Prompt, Reason, Task

_UNREAD = "this says none of the labels, or several"


class WrittenScores(AnswerScores):
    """Scores prompts by whether the reply, read as a program reads it, says the right label."""

    def request(
        self, task: Task, prompt: Prompt, example: Example
    ) -> WrittenRequest | GenerateRequest:
        """Return the request for what is written to an example.

        Where the prompt asks for reasoning that is the whole reply, for no label follows at once.
        """
        asked = super().likelihoods(task, prompt, example)
        most, stop, _ = label_limits(prompt.structure, task.labels)
        reply = GenerateRequest(asked.prompt, most, stop)
        if prompt.structure.reasoning:
            return reply
        return WrittenRequest(replace(asked, stop=stop), reply)

    def score(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...] | None,  # noqa: ARG002 (what is written is not calibrated)
    ) -> Scores:
        """Return 1 where the right label is written, and 0 where another is or none.

        A reply that says no label is no help to a program: it is wrong. What was not written to its
        end (filtered, cut off in its thinking) is unknown.
        """
        values: list[float | Reason] = []
        for example, output in zip(examples, outputs, strict=True):
            label = _label(task, prompt, output)
            if isinstance(label, Unscored) and (label is output or label.reason == "cut"):
                values.append(label.reason)
            else:
                values.append(float(label == task.labels.index(example.target)))
        return Scores(values)

    def chosen(
        self,
        task: Task,
        prompt: Prompt,
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[str]:
        """Return the label that is written to each example; empty where none is."""
        labels = [_label(task, prompt, output) for output in outputs]
        return ["" if isinstance(label, Unscored) else task.labels[label] for label in labels]

    def answered(
        self,
        task: Task,
        prompt: Prompt,
        examples: Sequence[Example],
        outputs: Sequence[Outputs],
        offsets: tuple[float, ...],  # noqa: ARG002
    ) -> list[Said]:
        """Return what is written to each example, and whether that says no label."""
        said = []
        for _, output in zip(examples, outputs, strict=True):
            rationale, reply = split_reply(prompt.structure, _reply(output).strip())
            unread = reply and isinstance(_label(task, prompt, output), Unscored)
            said.append(Said(reply, _UNREAD if unread else "", rationale))
        return said

    def replies(self, outputs: Sequence[Outputs]) -> list[str]:
        """Return what is written."""
        return [_reply(output) for output in outputs if not isinstance(output, Unscored)]

    def unread(self, task: Task, prompt: Prompt, outputs: Sequence[Outputs]) -> list[str]:
        """Return the replies that say no label, or several."""
        return [
            _reply(output)
            for output in outputs
            if not isinstance(output, Unscored)
            and isinstance(_label(task, prompt, output), Unscored)
        ]


def _label(task: Task, prompt: Prompt, output: Outputs) -> int | Unscored:
    if isinstance(output, Unscored):
        return output
    return said_label(prompt.structure, task.labels, _reply(output))


def _reply(output: Outputs) -> str:
    """Return what is written; nothing where nothing is."""
    if isinstance(output, Written):
        return output.reply
    return output if isinstance(output, str) else ""
