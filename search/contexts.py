"""What mutators are given: the task, the front, and whom they may ask."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from .contracts import MutationContext, Remote, Unscored
from .errors import BackendError, InterruptedCallError
from .evaluation.cached_model import TEMPERATURE
from .evaluation.holdout import train_rows
from .prompts.render import zero_shot
from .prompts.written_answers import without_thinking
from .proposals.composer import PROPOSER_CALLS
from .proposals.waiting import answered
from .records.efforts import Effort

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Sequence

    from .contracts import Backend, Example, NextTokens, Prompt, Text
    from .evaluation.evaluator import Evaluator
    from .storage.study import Study

_log = logging.getLogger(__name__)
_OWN_CALLS = 2 * PROPOSER_CALLS
"""Calls in a batch of a proposer of its own, which does not keep the model from scoring."""
_FAILURES = 3
"""Calls in a row that a proposer of its own may fail before it is asked no more in a run."""


class Proposer:
    """The model that writes proposals, and what it has read and written.

    One of its own may fail: then there are no proposals, which is told, and the search goes on. It
    goes on too while one on another machine writes.

    Parameters
    ----------
    backend
        The model.
    own
        Whether it is another than the one that is searched for.
    """

    def __init__(self, backend: Backend, *, own: bool) -> None:
        self._backend = backend
        self._own = own
        self._elsewhere = own and isinstance(backend, Remote)
        self._failures = 0
        self.calls = self.tokens = 0

    def calls_in_a_batch(self) -> int:
        """Return how many calls a batch of candidates may have: none of one that always fails."""
        if self._failures >= _FAILURES:
            return 0
        return _OWN_CALLS if self._own else PROPOSER_CALLS

    def write(self, rng: random.Random, prompts: Sequence[Text], max_tokens: int) -> list[str]:
        """Return a reply to each prompt, without its thinking; empty where there is none.

        There is none to what the model cannot be given, such as more than it reads.

        Raises
        ------
        InterruptedCallError
            If the model that is searched for does not answer any more.
        """
        seed = rng.getrandbits(31)
        if not self.calls_in_a_batch():
            return [""] * len(prompts)
        try:
            ask = partial(self._replies, prompts, max_tokens, seed)
            replies = answered(ask) if self._elsewhere else ask()
        except BackendError as error:
            if self._own:
                self._tell(error)
            elif isinstance(error, InterruptedCallError):
                raise
            return [""] * len(prompts)
        self._failures = 0
        texts = ["" if isinstance(reply, Unscored) else reply for reply in replies]
        self.calls += len(prompts)
        self.tokens += sum(self._backend.count_tokens([*map(_as_text, prompts), *texts]))
        return [without_thinking(text)[0] for text in texts]

    def _replies(
        self, prompts: Sequence[Text], max_tokens: int, seed: int
    ) -> Sequence[str | Unscored]:
        write = partial(
            self._backend.generate, max_tokens=max_tokens, temperature=TEMPERATURE, seed=seed
        )
        try:
            return write(prompts)
        except InterruptedCallError:
            raise
        except BackendError:  # it may have no chat template: then it is asked in plain text
            return write([_as_text(prompt) for prompt in prompts])

    def _tell(self, error: BackendError) -> None:
        """Log that there are no proposals, and whether there will be any."""
        self._failures += 1
        if self._failures > _FAILURES:  # it was asked before that was known
            return
        rest = "is not asked again" if self._failures == _FAILURES else "will be asked again"
        _log.warning("the proposer %s failed and %s: %s", self._backend.model, rest, error)


class Contexts:
    """Makes what a mutator is given: the task without confirmation rows, the front, and probes.

    Parameters
    ----------
    evaluator
        Scores prompts, and answers mutators.
    proposer
        Writes proposals.
    study
        What was found so far.
    token_readers
        Names of the mutators that read which words follow a prompt.
    instruction_tokens
        Tokens of an instruction at most.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        proposer: Proposer,
        study: Study,
        token_readers: Collection[str],
        instruction_tokens: int,
    ) -> None:
        self._task = replace(evaluator.task, train=train_rows(evaluator.task))
        self._evaluator = evaluator
        self._probes = evaluator.probes
        self._tokens = evaluator.tokens
        self._proposer = proposer
        self._study = study
        self._token_readers = token_readers
        self._instruction_tokens = instruction_tokens

    def make(self, rng: random.Random) -> MutationContext:
        """Return the context of one candidate, which draws from its own generator."""
        return MutationContext(
            self._task,
            tuple(self._study.front()),
            rng,
            partial(self._proposer.write, rng),
            self._probes.losses,
            self._label_bias,
            self._next_tokens,
            partial(self._tokens.fit, most_instruction=self._instruction_tokens),
            self._probes.answers,
            self._instruction_tokens,
            tuple(self._study.evaluated()),
            self._cut_off,
        )

    def spent(self) -> Effort:
        """Return the proposer's calls and tokens, the mutators' evaluations, and the time."""
        return Effort(
            seconds=time.monotonic(),
            calls=self._proposer.calls,
            tokens=self._proposer.tokens,
            evaluations=self._probes.allowance.spent,
        )

    def _cut_off(self, prompt: Prompt) -> float:
        if prompt not in self._study.complete(without=""):
            return 0.0
        return self._evaluator.cut_off(prompt, self._task.dev) / len(self._task.dev)

    def _label_bias(self, prompt: Prompt) -> tuple[float, ...]:
        known = prompt in self._study.history().numbers
        return self._probes.label_bias(prompt, known=known)

    def _next_tokens(self, prompt: Prompt, examples: Sequence[Example]) -> NextTokens:
        read = self._study.history().read_by(self._token_readers)
        return self._probes.next_tokens(prompt, examples, known=zero_shot(prompt) in read)


def _as_text(ask: Text) -> Text:
    """Return turns as plain text that ends where the answer begins."""
    return (
        ask if isinstance(ask, str) else "\n\n".join([*(turn.content for turn in ask), "Answer:"])
    )
