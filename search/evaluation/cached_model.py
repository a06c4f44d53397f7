"""What is asked of a model is asked once: its answers are kept in memory and in the store."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from ..contracts import FormWriter, GenerateRequest, LikelihoodRequest, Outputs, Unscored
from ..errors import InterruptedCallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Backend, Text
    from ..storage.database import Store

Asked = LikelihoodRequest | GenerateRequest
TEMPERATURE = 0.8
"""At which replies are drawn at random (pass@k of large k; Chen et al. 2021, arXiv 2107.03374)."""


class CachedModel:
    """A backend whose answers are kept.

    One call of `outputs` is at most one call of the backend for each way a reply may end, and what
    each answers is stored in one transaction: a call that was interrupted is repeated exactly, so a
    resumed run sees the same numbers as an undisturbed one.

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
        answered = self.backend.loglikelihoods(
            [request for request in requests if isinstance(request, LikelihoodRequest)]
        )
        return [
            Unscored("no number") if _without_number(outputs) else outputs for outputs in answered
        ]

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
        if self._store and outputs:
            self._store.write_scores(self.backend.fingerprint, outputs)
        self._kept.update(outputs)


def _calls(requests: dict[str, Asked]) -> list[dict[str, Asked]]:
    """Return the requests by what a backend can answer in one call."""
    calls: dict[Any, dict[str, Asked]] = defaultdict(dict)
    for key, request in requests.items():
        kind = (
            (request.max_tokens, request.stop, request.form, request.samples)
            if isinstance(request, GenerateRequest)
            else None
        )
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


def _without_number(outputs: tuple[float, ...] | Unscored) -> bool:
    return not isinstance(outputs, Unscored) and any(map(math.isnan, outputs))


def _key(request: Asked) -> str:
    if isinstance(request, GenerateRequest):
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
