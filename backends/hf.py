"""The Hugging Face backend: all three kinds of language models, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ..search.contracts import Greedy, NextTokens
from ..search.errors import BackendError
from .chat import Templated
from .default_model import NAME, PACKAGE
from .logprobs import ended, greedy_chain
from .models.device import AUTO
from .models.engines import make_engine, within_memory
from .models.generate import Ends, generate
from .models.loading import batch_tokens, load
from .models.plain import PlainEngine
from .packed.decode import write
from .packed.engine import PackedEngine
from .tokenization import Encoder
from .vocabulary import likely_next_tokens, vocabulary

if TYPE_CHECKING:
    from ..search.contracts import AnswerTokens, LikelihoodRequest, Text
    from .models.loading import Loaded

_VOCABULARIES = 8
"""Leads whose words are kept: each takes some megabytes."""


class HFBackend(Templated):
    r"""A language model loaded with transformers: causal, encoder-decoder or masked.

    Parameters
    ----------
    model
        A Hugging Face id or a folder; by default SmolLM2-135M-Instruct, which is fetched once.
    max_batch_tokens
        Tokens in one pass of the model; by default what is fastest, or what fits into free memory.
    trust_remote_code
        Whether code that comes with the model may run here.
    device
        A torch device, or ``"auto"`` to spread the layers over all GPUs; by default the first GPU
        or the CPU.
    packed
        Whether causal models are scored over packed token tries; false for plain passes, to compare
        with.
    dtype
        ``"float32"``, ``"bfloat16"``, ``"float16"`` or, on a CPU, ``"int8"``: about twice as fast
        as float32 where the processor multiplies bytes, and less exact. ``"auto"`` is bfloat16 on a
        GPU and on a CPU that multiplies it in hardware (AMX), else float32.

    Raises
    ------
    BackendError
        If there is no such model or it is of no kind that can score.

    Examples
    --------
    >>> from promptfront.backends.hf import HFBackend
    >>> from promptfront.search.contracts import LikelihoodRequest
    >>> request = LikelihoodRequest("Review: great fun\nSentiment:", (" positive", " negative"))
    >>> [scores] = HFBackend().loglikelihoods([request])  # doctest: +SKIP
    """

    _encoder: Encoder

    def __init__(
        self,
        model: str | None = None,
        *,
        max_batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        device: str | None = None,
        dtype: str = AUTO,
        packed: bool = True,
    ) -> None:
        self.model = NAME if model is None else model
        loaded = load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
        self._tokenizer, self._model = loaded.tokenizer, loaded.model
        self._encoder = Encoder(self._tokenizer, self.model, apart=loaded.kind == "seq2seq")
        config = self._model.config
        self.revision = (
            PACKAGE.version if model is None else str(getattr(config, "_commit_hash", None) or "")
        )
        self.max_context = _max_context(loaded)
        if loaded.kind != "causal":  # what the tokenizer writes after an input takes its place
            self.max_context -= len(self._encoder.end)
        self._identity = loaded.fingerprint
        self._kind = loaded.kind
        self.writes = loaded.kind != "masked"
        self._vocabulary = lru_cache(_VOCABULARIES)(partial(vocabulary, self._encoder))
        tokens = max_batch_tokens or batch_tokens(self._model)
        self._engine = make_engine(loaded, self._encoder, self.model, tokens, packed=packed)
        self.scoring = f"{self._engine.description}, {loaded.dtype}"

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) in nats, over the whole vocabulary."""
        encoded = self._encoder.encode(requests, self.max_context)
        if not encoded:
            return []
        call = partial(self._engine.loglikelihoods, encoded)
        scored = within_memory(self._engine, self._model.device, call)
        if self._kind == "masked":  # it reads each answer up to its end already
            return scored
        return [ended(request, scores) for request, scores in zip(encoded, scored, strict=True)]

    @property
    def reads_greedily(self) -> bool:
        """Whether it can say which answer is written: of causal models."""
        return isinstance(self._engine, (PackedEngine, PlainEngine))

    def greedy(self, requests: Sequence[LikelihoodRequest]) -> list[Greedy]:
        """Return what `loglikelihoods` does, and which continuation the model would write.

        Raises
        ------
        BackendError
            If the model is not a causal one.
        """
        if not isinstance(self._engine, (PackedEngine, PlainEngine)):
            raise BackendError(f"{self.model}: only generating tells what this model would write")
        encoded = self._encoder.encode(requests, self.max_context)
        ends = [Ends(self._model, self._tokenizer, request.stop).at_once for request in requests]
        compute = self._engine.compute
        if isinstance(self._engine, PackedEngine):  # where no continuation is written a reply is
            compute = partial(self._engine.compute, keep=True)
        call = partial(greedy_chain, encoded, compute, ends)
        scored = within_memory(self._engine, self._model.device, call) if encoded else []
        return [
            Greedy(ended(request, logs), written)
            for request, (logs, written) in zip(encoded, scored, strict=True)
        ]

    def answer_tokens(self, request: LikelihoodRequest) -> list[AnswerTokens]:
        """Return how the model reads each continuation of a request."""
        return self._encoder.answer_tokens(request)

    def generate(
        self,
        prompts: Sequence[Text],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        stop: Sequence[str] = (),
    ) -> list[str]:
        """Return one completion per prompt, sampled at ``temperature``.

        0 takes the most likely token each time. Each ends before one of ``stop``, where given.
        """
        if not self.writes:
            raise BackendError(
                f"{self.model} is a masked language model: "
                "it scores answers but cannot generate text"
            )
        end = self._encoder.end if self._kind == "seq2seq" else ()
        encoded = [tokens + end for tokens in self._encoder.encode_prompts(prompts)]
        longest, room = max(map(len, encoded), default=0), self.max_context
        room -= 0 if self._kind == "seq2seq" else max_tokens
        if longest > room:
            raise BackendError(
                f"a prompt of {longest} tokens leaves no room for a reply of {max_tokens} "
                f"in the context of {self.model}"
            )
        ends = Ends(self._model, self._tokenizer, stop)
        if isinstance(self._engine, PackedEngine):
            reply = partial(write, self._engine, encoded, ended=ends)
        else:
            reply = partial(generate, self._model, encoded, ends=ends)
        call = partial(reply, max_tokens=max_tokens, temperature=temperature, seed=seed)
        replies = within_memory(self._engine, self._model.device, call)
        return [ends.whole(tokens) for tokens in replies]

    def next_tokens(self, prompts: Sequence[Text], lead: str, most: int) -> NextTokens:
        """Return the ``most`` likely words of one token after the prompts and ``lead``.

        There are none from other than causal models.
        """
        if not isinstance(self._engine, (PackedEngine, PlainEngine)):
            return NextTokens((), [()] * len(prompts))
        call = partial(
            likely_next_tokens,
            self._encoder.encode_prompts(prompts),
            self._vocabulary(lead),
            most,
            self._engine.compute,
        )
        return within_memory(self._engine, self._model.device, call)

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        return [len(tokens) for tokens in self._encoder.encode_prompts(texts)]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        return self._encoder.truncate(text, max_tokens)

    def close(self) -> None:
        """Forget the prefixes that are kept for prompts to come."""
        self._engine.forget()


def _max_context(loaded: Loaded) -> int:
    config = loaded.model.config
    limit = int(getattr(config, "max_position_embeddings", 0) or loaded.tokenizer.model_max_length)
    # RoBERTa's positions begin after its padding token's.
    return min(limit, int(loaded.tokenizer.model_max_length)) if loaded.kind == "masked" else limit
