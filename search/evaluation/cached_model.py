"""What is asked of a model is asked once: its answers are kept in memory and in the store."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..contracts import (
    FormWriter,
    GenerateRequest,
    Greedy,
    GreedyReader,
    LikelihoodRequest,
    Outputs,
    Unscored,
    Written,
)
from ..errors import InterruptedCallError
from ..secrets import mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Backend, Text
    from ..storage.database import Store


class WrittenRequest(NamedTuple):
    """A prompt, and the answers of which its most likely reply is to be one.

    The reply is written only where the backend cannot say, while it scores the answers, that it
    would be one of them.
    """

    likelihoods: LikelihoodRequest
    reply: GenerateRequest

    @property
    def prompt(self) -> Text:
        """The prompt, which both ask about."""
        return self.reply.prompt


Asked = LikelihoodRequest | GenerateRequest | WrittenRequest
TEMPERATURE = 0.8
"""At which replies are drawn at random (pass@k of large k; Chen et al. 2021, arXiv 2107.03374)."""


class CachedModel:
    """A backend whose answers are kept.

    One call of `outputs` is at most one call of the backend for each way a reply may end (and one
    more where labels are written), and what each answers is stored in one transaction: a call that
    was interrupted is repeated exactly, so a resumed run sees the same numbers as an undisturbed
    one.

    Parameters
    ----------
    backend
        Who is asked.
    store
        Where answers are kept beyond this process.
    """

    def __init__(self, backend: Backend, store: Store | None = None) -> None:
        self.backend = backend
        self._store = store
        self._kept: dict[str, Outputs] = {}

    def outputs(self, requests: Sequence[Asked]) -> list[Outputs]:
        """Return the log-likelihoods or the reply that each request asks for, in order."""
        keys = [_key(request) for request in requests]
        wanted = {
            key: request
            for key, request in zip(keys, requests, strict=True)
            if key not in self._kept
        }
        if self._store and wanted:
            self._kept.update(self._store.read_scores(self.backend.fingerprint, list(wanted)))
        for call in _calls(
            {key: request for key, request in wanted.items() if key not in self._kept}
        ):
            names = list(call)
            try:
                self._keep(dict(zip(names, self._ask(list(call.values())), strict=True)))
            except InterruptedCallError as error:
                self._keep({names[i]: outputs for i, outputs in error.answered.items()})
                raise
        return [self._kept[key] for key in keys]

    def likelihoods(
        self, requests: Sequence[LikelihoodRequest]
    ) -> list[tuple[float, ...] | Unscored]:
        """Return log P(continuation | prompt) in nats, or why there is none, of each request."""
        return cast("list[tuple[float, ...] | Unscored]", self.outputs(requests))

    def _ask(self, requests: Sequence[Asked]) -> Sequence[Outputs]:
        """Ask the backend, in one call, requests that it can answer in one."""
        kind, prompts = requests[0], [request.prompt for request in requests]
        if isinstance(kind, GenerateRequest):
            return self._write(kind, prompts)
        if isinstance(kind, WrittenRequest):
            return self._answer([r for r in requests if isinstance(r, WrittenRequest)])
        answered = self.backend.loglikelihoods(
            [request for request in requests if isinstance(request, LikelihoodRequest)]
        )
        return [
            Unscored("no number") if _without_number(outputs) else outputs for outputs in answered
        ]

    def _answer(self, requests: Sequence[WrittenRequest]) -> Sequence[Outputs]:
        """Return what is written to each prompt, with the answers' log-likelihoods where known."""
        asked, backend = [request.likelihoods for request in requests], self.backend
        scored: Sequence[Greedy | Unscored] = [Greedy((), None)] * len(asked)
        if isinstance(backend, GreedyReader) and backend.reads_greedily:
            scored = backend.greedy(asked)
        answers: dict[int, Outputs] = {}
        for i, one in enumerate(scored):
            if isinstance(one, Unscored) or any(map(math.isnan, one.logs)):
                answers[i] = one if isinstance(one, Unscored) else Unscored("no number")
            elif one.written is not None:
                answers[i] = Written(asked[i].continuations[one.written].strip(), one.logs)
        others = [i for i in range(len(asked)) if i not in answers]

        def taken(replies: Mapping[int, Outputs]) -> dict[int, Outputs]:
            for place, reply in replies.items():
                logs = cast("Greedy", scored[others[place]]).logs
                answers[others[place]] = Written(reply, logs) if isinstance(reply, str) else reply
            return answers

        try:
            prompts = [requests[i].prompt for i in others]
            replies = self._write(requests[0].reply, prompts) if others else ()
        except InterruptedCallError as error:
            raise InterruptedCallError(str(error), taken(error.answered)) from error
        return [answer for _, answer in sorted(taken(dict(enumerate(replies))).items())]

    def _write(self, kind: GenerateRequest, prompts: Sequence[Text]) -> Sequence[Outputs]:
        """Return the replies to prompts: each of the kind's samples, or the most likely one."""
        writer: Any = self.backend
        held = kind.form and isinstance(writer, FormWriter) and writer.holds_to_form
        # What is held to a form ends with it, and may have lines.
        options: dict[str, Any] = {"form": kind.form} if held else {"stop": kind.stop}
        options |= {"max_tokens": kind.max_tokens, "seed": 0}
        if kind.samples == 1:
            return list(writer.generate(prompts, temperature=0, **options))
        repeated = [prompt for prompt in prompts for _ in range(kind.samples)]
        try:
            drawn = writer.generate(repeated, temperature=TEMPERATURE, **options)
        except InterruptedCallError as error:
            complete = _complete(error.answered, kind.samples)
            raise InterruptedCallError(str(error), complete) from error
        return list(_complete(dict(enumerate(drawn)), kind.samples).values())

    def _keep(self, outputs: dict[str, Outputs]) -> None:
        outputs = {key: _without_secrets(one) for key, one in outputs.items()}
        if self._store and outputs:
            self._store.write_scores(self.backend.fingerprint, outputs)
        self._kept.update(outputs)


def _calls(requests: dict[str, Asked]) -> list[dict[str, Asked]]:
    """Return the requests by what a backend can answer in one call."""
    calls: dict[Any, dict[str, Asked]] = defaultdict(dict)
    for key, request in requests.items():
        reply = request.reply if isinstance(request, WrittenRequest) else request
        kind: Any = None
        if isinstance(reply, GenerateRequest):
            kind = (type(request), reply.max_tokens, reply.stop, reply.form, reply.samples)
        calls[kind][key] = request
    return list(calls.values())


def _complete(replies: Mapping[int, str | Unscored], samples: int) -> dict[int, Outputs]:
    """Return the replies to each prompt as one, by its position, where all samples are there."""
    places = [
        range(start, start + samples) for start in range(0, max(replies, default=-1) + 1, samples)
    ]
    return {
        i: _together([replies[place] for place in group])
        for i, group in enumerate(places)
        if all(place in replies for place in group)
    }


def _together(replies: Sequence[str | Unscored]) -> Outputs:
    """Return the replies to one prompt as one, or why there is none: each of them is needed."""
    missing = [reply for reply in replies if isinstance(reply, Unscored)]
    return missing[0] if missing else json.dumps(list(replies))


def _without_secrets(outputs: Outputs) -> Outputs:
    """Return outputs whose reply holds no key: a server may say the one that it was given."""
    if isinstance(outputs, Written):
        return replace(outputs, reply=mask(outputs.reply))
    return mask(outputs) if isinstance(outputs, str) else outputs


def _without_number(outputs: tuple[float, ...] | Unscored) -> bool:
    return not isinstance(outputs, Unscored) and any(map(math.isnan, outputs))


def _key(request: Asked) -> str:
    parts: list[Any]
    if isinstance(request, WrittenRequest):
        parts = ["written", _key(request.likelihoods), _key(request.reply)]
    elif isinstance(request, GenerateRequest):
        parts = [
            request.prompt,
            request.max_tokens,
            request.stop,
            *([request.form] if request.form else []),
        ]
        parts += [request.samples] if request.samples > 1 else []
    else:
        parts = [request.prompt, request.continuations, *(["whole"] if request.whole else [])]
    text = json.dumps(parts)
    return hashlib.sha256(text.encode()).hexdigest()
