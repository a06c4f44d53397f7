"""What is asked of a model is asked once: its answers are kept in memory and in the store."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import astuple
from typing import TYPE_CHECKING

from .contracts import Generation, Outputs, Request
from .errors import InterruptedCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contracts import Backend
    from .store import Store

Asked = Request | Generation


class Asking:
    """A backend whose answers are kept.

    One call of `outputs` is at most one call of the backend for each way a reply may end, and what each answers is stored in one
    transaction: a call that was interrupted is repeated exactly, so a resumed run sees the same numbers as an undisturbed one.

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
        wanted = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._kept}
        if self._store and wanted:
            self._kept.update(self._store.read_scores(self.backend.fingerprint, list(wanted)))
        for call in _calls({key: request for key, request in wanted.items() if key not in self._kept}):
            names = list(call)
            try:
                self._keep(dict(zip(names, self._ask(list(call.values())), strict=True)))
            except InterruptedCallError as error:
                self._keep({names[i]: outputs for i, outputs in error.answered.items()})
                raise
        return [self._kept[key] for key in keys]

    def likelihoods(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) in nats of each continuation of each request."""
        return [outputs for outputs in self.outputs(requests) if not isinstance(outputs, str)]

    def _ask(self, requests: Sequence[Asked]) -> Sequence[Outputs]:
        kind, prompts = requests[0], [request.prompt for request in requests]
        if isinstance(kind, Generation):
            return self.backend.generate(prompts, max_tokens=kind.max_tokens, temperature=0, seed=0, stop=kind.stop)
        return self.backend.loglikelihoods([request for request in requests if isinstance(request, Request)])

    def _keep(self, outputs: dict[str, Outputs]) -> None:
        if self._store and outputs:
            self._store.write_scores(self.backend.fingerprint, outputs)
        self._kept.update(outputs)


def _calls(requests: dict[str, Asked]) -> list[dict[str, Asked]]:
    """Return the requests by what a backend can answer in one call."""
    calls: dict[tuple[int, tuple[str, ...]] | None, dict[str, Asked]] = defaultdict(dict)
    for key, request in requests.items():
        kind = (request.max_tokens, request.stop) if isinstance(request, Generation) else None
        calls[kind][key] = request
    return list(calls.values())


def _key(request: Asked) -> str:
    text = json.dumps(astuple(request) if isinstance(request, Generation) else [request.prompt, request.continuations])
    return hashlib.sha256(text.encode()).hexdigest()
