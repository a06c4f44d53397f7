"""The Hugging Face backend: causal language models through transformers, on this machine."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..search.errors import BackendError
from .default_model import NAME, PACKAGE, default_model_folder
from .engine import PackedEngine, PlainEngine, loglikelihoods
from .tokenization import Encoded, Encoder

if TYPE_CHECKING:
    from ..search.contracts import Request, Text
    from .tokenization import Tokens

_BATCH_TOKENS = 512
_GENERATED_TOGETHER = 16
_PROBE = (
    "The film is a quiet triumph. I liked it",
    "The film is a mess. I",
    "The film is a quiet triumph. He did not like",
    "它很好",
)
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}


class HFBackend:
    r"""A causal language model loaded with transformers.

    Parameters
    ----------
    model
        A Hugging Face id or a folder; by default SmolLM2-135M-Instruct, which is fetched once.
    max_batch_tokens
        Tokens in one pass of the model.
    trust_remote_code
        Whether code that comes with the model may run here.
    device
        A torch device; by default the first GPU (in bfloat16) or the CPU (in float32).

    Raises
    ------
    BackendError
        If there is no such model or it is not a causal language model.

    Examples
    --------
    >>> from promptfront.backends.hf import HFBackend  # doctest: +SKIP
    >>> from promptfront.search.contracts import Request
    >>> HFBackend().loglikelihoods([Request("Review: great fun\nSentiment:", (" positive", " negative"))])  #
    doctest: +SKIP
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        max_batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        device: str | None = None,
    ) -> None:
        self.model = NAME if model is None else model
        with _quiet_transformers():
            source = str(default_model_folder()) if model is None else model
            self._tokenizer, self._model = _load(source, self.model, trust_remote_code, device)
        self._encoder = Encoder(self._tokenizer, self.model)
        config = self._model.config
        self.revision = PACKAGE.version if model is None else str(getattr(config, "_commit_hash", None) or "")
        self.max_context = int(getattr(config, "max_position_embeddings", 0) or self._tokenizer.model_max_length)
        self.fingerprint = _fingerprint(self._model, self._tokenizer)
        self._engine = self._checked_engine(max_batch_tokens or _BATCH_TOKENS)

    def loglikelihoods(self, requests: Sequence[Request]) -> list[tuple[float, ...]]:
        """Return log P(continuation | prompt) in nats, over the whole vocabulary."""
        encoded = self._encoder.encode(requests)
        for request in encoded:
            longest = len(request.prompt) + max(map(len, request.continuations))
            if longest > self.max_context:
                raise BackendError(
                    f"a prompt of {longest} tokens does not fit into the {self.max_context} that {self.model} reads"
                )
        return loglikelihoods(encoded, self._engine.compute)

    def generate(self, prompts: Sequence[Text], *, max_tokens: int, temperature: float, seed: int) -> list[str]:
        """Return one completion per prompt, sampled at ``temperature`` (0: the most likely token each time)."""
        encoded = self._encoder.encode_prompts(prompts)
        replies: list[str] = []
        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            for start in range(0, len(encoded), _GENERATED_TOGETHER):
                replies += self._generate(encoded[start : start + _GENERATED_TOGETHER], max_tokens, temperature)
        return replies

    def count_tokens(self, texts: Sequence[Text]) -> list[int]:
        """Return the number of tokens the model reads for each text."""
        return [len(tokens) for tokens in self._encoder.encode_prompts(texts)]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the longest beginning of ``text`` that has at most ``max_tokens`` tokens."""
        return self._encoder.truncate(text, max_tokens)

    @torch.inference_mode()
    def _generate(self, prompts: Sequence[Tokens], max_tokens: int, temperature: float) -> list[str]:
        width = max(map(len, prompts))
        end = self._tokenizer.eos_token_id
        pad = self._tokenizer.pad_token_id if self._tokenizer.pad_token_id is not None else (end or 0)
        # Padding goes to the left, so that every completion begins where its prompt ends.
        ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts], device=self._model.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self._model.device)
        sampling = (
            {"do_sample": True, "temperature": temperature, "top_p": 0.95} if temperature > 0 else {"do_sample": False}
        )
        with _quiet_transformers():
            output = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_tokens,
                pad_token_id=pad,
                eos_token_id=end,
                **sampling,
            )
        return [str(text) for text in self._tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)]

    def _checked_engine(self, max_batch_tokens: int) -> PackedEngine | PlainEngine:
        """Return the packed engine if it agrees with plain passes on a probe, else plain passes."""
        plain, packed = PlainEngine(self._model), PackedEngine(self._model, max_batch_tokens)
        text = self._model.config.get_text_config()
        if "sliding_attention" in (getattr(text, "layer_types", None) or ()) or getattr(text, "sliding_window", None):
            return plain
        probe = [
            Encoded(tokens[:-2], (tokens[-2:], tokens[-1:]))
            for tokens in self._encoder.encode_prompts(_PROBE)
            if len(tokens) > 2
        ]
        expected = loglikelihoods(probe, plain.compute)
        found = loglikelihoods(probe, packed.compute)
        difference = max(abs(a - b) for e, f in zip(expected, found, strict=True) for a, b in zip(e, f, strict=True))
        if difference <= _TOLERANCE.get(self._model.dtype, 1e-3):
            return packed
        warnings.warn(
            f"{self.model}: packed and plain passes differ by {difference:.2g}; scoring goes on with plain passes, slower",
            stacklevel=2,
        )
        return plain


def _load(source: str, name: str, trust_remote_code: bool, device: str | None) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if place.startswith("cuda") else torch.float32
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise BackendError(
            f"--model {name}: expected a folder with a config.json, weights and a tokenizer, but it has no config.json"
        )
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        if config.is_encoder_decoder or (
            config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not trust_remote_code
        ):
            raise BackendError(f"--model {name}: expected a causal language model, found {config.model_type}")
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BackendError(
            f"--model {name}: expected the id or folder of a Hugging Face model, but it cannot be loaded ({reason}); "
            "check the name, and the network if it is not on this machine"
        ) from error
    return tokenizer, model.to(place).eval()


def _fingerprint(model: Any, tokenizer: Any) -> str:  # noqa: ANN401 (transformers publishes no types)
    """Hash what decides the numbers: every weight, the configuration, tokenizer, chat template, dtype and kind of device."""
    config = {k: v for k, v in model.config.to_dict().items() if k not in {"_name_or_path", "transformers_version"}}
    digest = hashlib.sha256(
        json.dumps([config, str(model.dtype), model.device.type], sort_keys=True, default=str).encode()
    )
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    digest.update(str(tokenizer.chat_template).encode())
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    for name, weight in sorted(model.state_dict().items()):
        bits = weight.detach().contiguous().view(-1).view(integers[weight.element_size()])
        sums = [
            int(bits.sum(dtype=torch.int64)),
            int(bits[::2].sum(dtype=torch.int64)),
            int(bits[::7].sum(dtype=torch.int64)),
        ]
        digest.update(json.dumps([name, list(weight.shape), *sums]).encode())
    return digest.hexdigest()[:32]


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and notices off the terminal for a while."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
