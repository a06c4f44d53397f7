"""The Hugging Face backend: language models of all three kinds through transformers, on this machine."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from ..search.contracts import NextTokens
from ..search.errors import BackendError
from .chat import Templated
from .default_model import NAME, PACKAGE
from .logprobs import ended
from .models.device import AUTO, physical_cores
from .models.generate import Ends, generate
from .models.loading import batch_tokens, load, quiet_transformers
from .models.masked import MaskedEngine
from .models.plain import PlainEngine
from .models.quantization import quantize
from .models.seq2seq import Seq2SeqEngine
from .packed.decode import write
from .packed.engine import PackedEngine
from .tokenization import Encoded, Encoder
from .vocabulary import likely_next_tokens, vocabulary

if TYPE_CHECKING:
    from ..search.contracts import AnswerTokens, LikelihoodRequest, Text
    from .models.loading import Kind, Loaded

Found = TypeVar("Found")
_LEAST_TOKENS = 16
_PROBE = (
    "The film is a quiet triumph. I liked it",
    "The film is a mess. I",
    "The film is a quiet triumph. He did not like",
    "它很好",
)
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}


class Engine(Protocol):
    """Scores encoded requests with one model."""

    description: str
    max_batch_tokens: int
    computed_tokens: int

    def loglikelihoods(self, requests: Sequence[Encoded]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) of each continuation of each request."""
        ...

    def forget(self) -> None:
        """Give back the memory that is kept for later calls."""
        ...


class HFBackend(Templated):
    r"""A language model loaded with transformers: causal, encoder-decoder or masked, whichever its configuration says.

    Parameters
    ----------
    model
        A Hugging Face id or a folder; by default SmolLM2-135M-Instruct, which is fetched once.
    max_batch_tokens
        Tokens in one pass of the model; by default what is fastest, or what fits into free memory.
    trust_remote_code
        Whether code that comes with the model may run here.
    device
        A torch device, or ``"auto"`` to spread the layers over all GPUs; by default the first GPU or the CPU.
    packed
        Whether causal models are scored over packed token tries; false for plain passes, to compare with.
    dtype
        ``"float32"``, ``"bfloat16"``, ``"float16"`` or, on a CPU, ``"int8"``: about twice as fast as float32
        where the processor multiplies bytes, and less exact. ``"auto"`` is bfloat16 on a GPU and on a CPU
        that multiplies it in hardware (AMX), else float32.

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
        self._vocabulary: dict[str, dict[int, str]] = {}
        self._engine = self._make_engine(
            loaded.kind, max_batch_tokens or batch_tokens(self._model), packed
        )
        if loaded.dtype == "int8":
            self._quantize()
        self.scoring = f"{self._engine.description}, {loaded.dtype}"

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) in nats, over the whole vocabulary."""
        encoded = self._encoder.encode(requests, self.max_context)
        found = self._within_memory(lambda: self._engine.loglikelihoods(encoded) if encoded else [])
        if self._kind == "masked":  # it reads each answer up to its end already
            return found
        return [ended(request, scores) for request, scores in zip(encoded, found, strict=True)]

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
        """Return one completion per prompt, sampled at ``temperature`` (0: the most likely token each time).

        Each ends before one of ``stop``, where given.
        """
        if not self.writes:
            raise BackendError(
                f"{self.model} is a masked language model: it scores answers and cannot write any"
            )
        end = self._encoder.end if self._kind == "seq2seq" else ()
        encoded = [tokens + end for tokens in self._encoder.encode_prompts(prompts)]
        longest, room = max(map(len, encoded), default=0), self.max_context
        room -= 0 if self._kind == "seq2seq" else max_tokens
        if longest > room:
            raise BackendError(
                f"a prompt of {longest} tokens leaves no room for a reply of {max_tokens} in {self.model}"
            )
        ends = Ends(self._model, self._tokenizer, stop)
        if isinstance(self._engine, PackedEngine):
            reply = partial(write, self._engine, encoded, ended=ends)
        else:
            reply = partial(generate, self._model, encoded, ends=ends)
        found = self._within_memory(
            lambda: reply(max_tokens=max_tokens, temperature=temperature, seed=seed)
        )
        return [ends.whole(tokens) for tokens in found]

    def next_tokens(self, prompts: Sequence[Text], lead: str, most: int) -> NextTokens:
        """Return the ``most`` likely words of one token after the prompts and ``lead``; none from other than causal models."""
        if not isinstance(self._engine, (PackedEngine, PlainEngine)):
            return NextTokens((), [()] * len(prompts))
        if lead not in self._vocabulary:
            self._vocabulary[lead] = vocabulary(self._encoder, lead)
        tokens, compute = self._encoder.encode_prompts(prompts), self._engine.compute
        with self._cores():
            return likely_next_tokens(tokens, self._vocabulary[lead], most, compute)

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        return [len(tokens) for tokens in self._encoder.encode_prompts(texts)]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        return self._encoder.truncate(text, max_tokens)

    def close(self) -> None:
        """Forget the prefixes that are kept for prompts to come."""
        self._engine.forget()

    def _make_engine(self, kind: Kind, max_batch_tokens: int, packed: bool) -> Engine:
        if kind == "seq2seq":
            return Seq2SeqEngine(self._model, self._encoder.end, max_batch_tokens)
        if kind == "masked":
            pad, mask = self._tokenizer.pad_token_id or 0, self._tokenizer.mask_token_id
            return MaskedEngine(self._model, mask, pad, self._encoder.end, max_batch_tokens)
        return (
            self._checked(PackedEngine(self._model, max_batch_tokens))
            if packed
            else PlainEngine(self._model)
        )

    def _checked(self, packed: PackedEngine) -> PackedEngine | PlainEngine:
        """Return the packed engine if it agrees with plain passes on a probe, else plain passes."""
        plain = PlainEngine(self._model)
        probe = [
            Encoded(tokens[:-2], (tokens[-2:], tokens[-1:]))
            for tokens in self._encoder.encode_prompts(_PROBE)
            if len(tokens) > 2
        ]
        with self._cores():
            expected = plain.loglikelihoods(probe)
        try:
            with self._cores(), quiet_transformers():
                found = packed.loglikelihoods(probe)
        except (NotImplementedError, TypeError, AttributeError) as error:
            why = f"cannot be packed ({error})"
        else:
            pairs = zip(expected, found, strict=True)
            differences = [abs(a - b) for e, f in pairs for a, b in zip(e, f, strict=True)]
            difference = max(
                differences, default=0.0
            )  # none where the tokenizer has no tokens for the probe
            if difference <= _TOLERANCE.get(self._model.dtype, 1e-3):
                return packed
            why = f"packed and plain passes differ by {difference:.2g}"
        warnings.warn(
            f"{self.model}: {why}; scoring goes on with plain passes, slower", stacklevel=2
        )
        return plain

    def _quantize(self) -> None:
        """Round the model's weights, once the engine is checked: rounding alone moves numbers more than a check allows."""
        if not quantize(self._model):
            raise BackendError(
                f"`dtype` int8: {self.model} has no linear layers that could be int8; leave `dtype` out"
            )
        self._engine.forget()

    def _cores(self) -> AbstractContextManager[None]:
        return physical_cores(self._model.device.type)

    def _within_memory(self, call: Callable[[], Found]) -> Found:
        """Return what a call returns, made again in smaller passes while memory runs out."""
        while True:
            try:
                with self._cores():
                    return call()
            except (MemoryError, RuntimeError) as error:
                self._use_less_memory(error)

    def _use_less_memory(self, error: MemoryError | RuntimeError) -> None:
        """Halve the tokens of a pass if memory is what ran out, else raise."""
        message = str(error)
        short = (
            isinstance(error, (MemoryError, torch.OutOfMemoryError))
            or "can't allocate memory" in message
        )
        if not short:
            raise error
        if self._engine.max_batch_tokens <= _LEAST_TOKENS:
            raise BackendError(
                f"out of memory even with {self._engine.max_batch_tokens} tokens in a pass"
            ) from error
        self._engine.forget()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self._engine.max_batch_tokens //= 2
        warnings.warn(
            f"out of memory: {self._engine.max_batch_tokens} tokens in a pass from here on",
            stacklevel=3,
        )


def _max_context(loaded: Loaded) -> int:
    config = loaded.model.config
    limit = int(getattr(config, "max_position_embeddings", 0) or loaded.tokenizer.model_max_length)
    # RoBERTa's positions begin after its padding token's.
    return min(limit, int(loaded.tokenizer.model_max_length)) if loaded.kind == "masked" else limit
