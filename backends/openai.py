"""The backend for OpenAI-compatible servers: vLLM's, llama.cpp's, and hosted ones."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..search.contracts import Form, Unscored
from ..search.errors import BackendError
from .chat import Templated
from .quiet import quiet_transformers
from .sampling import TOP_P
from .server import answers as server_answers
from .server.address import KEY
from .server.answers import Reply, choices
from .server.calls import Budget, Call, UnsupportedError
from .server.cards import find_card
from .server.client import Client
from .server.exact import ExactTokens
from .server.replies import Writer, before, messages
from .server.scoring import LikelyFirstTokens, Path, Scores, WrittenAnswers
from .server.structured_outputs import structured_outputs
from .tokenization import Encoder

if TYPE_CHECKING:
    from ..search.contracts import AnswerTokens, LikelihoodRequest, Text

_log = logging.getLogger(__name__)
_BYTES_A_TOKEN = 4
_CONTEXT = 128_000
"""Taken for the context of a server that does not say."""
_VERSION = 2
"""Of how answers are read: what an earlier way read is not taken for what this one would."""
_SLACK = 8
"""Tokens by which a reply may look longer than the server counted them."""


class OpenAIBackend(Templated):
    """A model behind an OpenAI-compatible server.

    With the model's tokenizer at hand, prompts are sent as token ids, and log-likelihoods are those
    that a local backend gives. Without it prompts are chat messages, tokens are counted as four
    bytes each, and log-likelihoods are approximate; `scoring` says which way is in use.

    Parameters
    ----------
    model
        The model's name on the server; by default the only one that it serves.
    base_url
        The server's address, with ``/v1``; by default OpenAI's. The key is read from
        the environment.
    tokenizer
        A Hugging Face id or folder with the model's tokenizer; by default what the model's name
        names, if anything.
    concurrency
        Requests in flight, at most.
    timeout, retry_timeout
        Seconds for one attempt, and for all attempts at one request, after which the run ends and
        keeps what it has.
    key_variable
        The variable of the environment that holds the key.
    max_cost, price
        Dollars that this run may cost, and dollars for a million prompt tokens and a million
        completion tokens.

    Raises
    ------
    BackendError
        If the server cannot be asked or does not serve the model.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        tokenizer: str | None = None,
        concurrency: int = 16,
        timeout: float = 120.0,
        retry_timeout: float = 600.0,
        key_variable: str = KEY,
        max_cost: float | None = None,
        price: Sequence[float] = (),
    ) -> None:
        self._client = Client(
            base_url, concurrency, timeout, retry_timeout, _budget(max_cost, price), key_variable
        )
        card = find_card(self._client, model)
        self.model = card.name
        self.revision = ""
        self._encoder = _encoder(tokenizer or self.model, required=tokenizer is not None)
        self.max_context = card.context or _CONTEXT
        self._writer = Writer(self._client, self.model)
        self._path = self._best_path()
        self.scoring = f"{self._client.name}: {self._path.description}"
        described = [_VERSION, self._client.name, self.model, self._path.description, tokenizer]
        self._identity = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]

    @property
    def server(self) -> str:
        """The server's address."""
        return self._client.name

    @cached_property
    def holds_to_form(self) -> bool:
        """Whether the server has structured outputs, found out by asking for one of two words."""
        words = ["blue", "red"]
        form = {"structured_outputs": structured_outputs(Form("choice", json.dumps(words)))}

        def ask(prompt: str) -> Call:
            return Call(
                "chat", {"model": self.model, "messages": messages(prompt), "max_tokens": 8} | form
            )

        reply = self._client.attempt(
            ask, lambda _, answer: server_answers.reply(choices(answer, 1)[0]), "Count to ten."
        )
        return isinstance(reply, Reply) and reply.text in words

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[Scores]:
        """Return log P(continuation | prompt) in nats, or what stands for it.

        Raises
        ------
        InterruptedCallError
            If the server stays silent or the cost limit is reached; it holds what was answered.
        """
        return self._path.loglikelihoods(requests) if requests else []

    def answer_tokens(self, request: LikelihoodRequest) -> list[AnswerTokens]:
        """Return how the model reads each continuation; nothing where the server is sent text."""
        if self._encoder is None or not isinstance(self._path, ExactTokens):
            return []
        return self._encoder.answer_tokens(request)

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
        form: Form | None = None,
    ) -> list[str | Unscored]:
        """Return one completion per prompt, sampled at ``temperature``.

        0 takes the most likely token each time. Each ends before one of ``stop``, where given, and
        is of the form, where given and the server knows structured outputs.
        """
        sampling: dict[str, Any] = {"temperature": temperature, "seed": seed}
        sampling |= {"top_p": TOP_P} if temperature > 0 else {}
        sampling |= {"stop": list(stop)} if stop else {}
        sampling |= {"structured_outputs": structured_outputs(form)} if form else {}
        asked: Sequence[Text] | Sequence[tuple[int, ...]] = prompts
        if isinstance(self._path, ExactTokens) and self._encoder is not None:
            asked = [tuple(tokens) for tokens in self._encoder.encode_prompts(prompts)]

        def read(_: int, reply: Reply) -> str | Unscored:
            text = before(reply.text, stop)
            if reply.roomy and self.count_tokens([text])[0] > max_tokens + _SLACK:
                text = self.truncate(text, max_tokens)
            return text if text.strip() else Unscored("empty")

        return self._writer.write(asked, read, sampling, max_tokens) if prompts else []

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the tokens the model reads for each text; without its tokenizer, an estimate."""
        if self._encoder is not None:
            return [len(tokens) for tokens in self._encoder.encode_prompts(texts)]
        turns = [
            [text] if isinstance(text, str) else [message.content for message in text]
            for text in texts
        ]
        return [
            sum(
                math.ceil(len(part.encode(errors="surrogatepass")) / _BYTES_A_TOKEN)
                for part in parts
            )
            for parts in turns
        ]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        if self._encoder is not None:
            return self._encoder.truncate(text, max_tokens)
        return text.encode(errors="surrogatepass")[: max_tokens * _BYTES_A_TOKEN].decode(
            errors="ignore"
        )

    def close(self) -> None:
        """Say what was used."""
        used, cost = self._client.usage, self._client.cost
        dollars = f", {cost:.4g} dollars" if cost else ""
        faults = f", {used.faults} faults" if used.faults else ""
        _log.info(
            f"{self._client.name}: {used.requests} requests, {used.prompt_tokens} prompt tokens, "
            f"{used.completion_tokens} completion tokens{dollars}{faults}"
        )

    def _best_path(self) -> Path:
        if self._encoder is not None:
            try:
                return ExactTokens(self._client, self.model, self._encoder, self.max_context)
            except UnsupportedError:
                pass
        try:
            return LikelyFirstTokens(self._writer)
        except UnsupportedError:
            return WrittenAnswers(self._writer)


def _budget(max_cost: float | None, price: Sequence[float]) -> Budget:
    if price and (len(price) != 2 or min(price) < 0):
        raise BackendError(
            "`price`: expected dollars per million prompt tokens and per million completion "
            "tokens, such as 0.15,0.6"
        )
    if max_cost is not None and not price:
        raise BackendError(
            "`max_cost`: expected `price` too, such as 0.15,0.6 "
            "(dollars per million prompt tokens and completion tokens)"
        )
    return Budget(max_cost, (price[0], price[1]) if price else (0.0, 0.0))


def _encoder(source: str, *, required: bool) -> Encoder | None:
    """Return the tokenizer of a model's name, if it names one."""
    try:
        from transformers import AutoTokenizer

        with quiet_transformers():
            return Encoder(AutoTokenizer.from_pretrained(source), source)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        BackendError,
    ) as error:
        if required:
            reason = " ".join(str(error).split())[:150]
            raise BackendError(
                f"`tokenizer` {source}: expected the id or folder of a tokenizer ({reason})"
            ) from error
        return None
