"""Loading a model: which kind it is, what it must have, and what identifies it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psutil
import torch

from ...search.errors import BackendError
from ..default_model import default_model_folder
from ..quiet import quiet_transformers
from .device import AUTO, check_device, device_of, dtype_of

Kind = Literal["causal", "seq2seq", "masked"]
_CPU_TOKENS = 1024
"""Tokens of a pass on a CPU, at most: more are no faster."""
_GPU_TOKENS = 16_384
"""The same on a GPU."""
_MEMORY_SHARE = 0.25
"""Share of the free memory that a pass may take."""


class Loaded(NamedTuple):
    """A model, its tokenizer, kind and dtype, and a hash of all that decides its numbers."""

    model: Any
    tokenizer: Any
    kind: Kind
    dtype: str
    fingerprint: str


def load(name: str | None, *, device: str | None, dtype: str, trust_remote_code: bool) -> Loaded:
    """Load a model.

    Parameters
    ----------
    name
        A Hugging Face id or a folder; by default the default model.
    device
        A torch device, or ``"auto"`` to spread the layers over all GPUs; by default the first GPU
        or the CPU.
    dtype
        One of `DTYPES`; ``"auto"`` is the device's own fast one. For int8 the model comes in
        float32, to be quantized.
    trust_remote_code
        Whether code that comes with the model may run here.

    Raises
    ------
    BackendError
        If there is no such model, it is of no kind that can score, or it does not fit the device or
        dtype.
    """
    source = str(default_model_folder()) if name is None else name
    place = device_of(device)
    dtype = dtype_of(dtype, place)
    check_device(place)
    with quiet_transformers():
        weights = torch.float32 if dtype == "int8" else getattr(torch, dtype)
        tokenizer, model, kind = _read(source, name or source, trust_remote_code, place, weights)
    _check_vocabulary(model, tokenizer, kind, name or source)
    return Loaded(model.eval(), tokenizer, kind, dtype, _fingerprint(model, tokenizer, dtype))


def batch_tokens(model: Any) -> int:  # noqa: ANN401
    """Return how many tokens one pass may have: what is fastest, or fewer where memory is short.

    A layer's widest activations and a share for logits are counted, in a quarter of the memory that
    is free.
    """
    config = model.config.get_text_config()
    width = int(getattr(config, "hidden_size", 1024))
    inner = int(getattr(config, "intermediate_size", None) or 4 * width)
    layers = int(getattr(config, "num_hidden_layers", 24))
    size = torch.finfo(model.dtype).bits // 8
    per_token = (
        size * (8 * width + 3 * inner + 2 * layers * width) + 4 * int(config.vocab_size) // 8
    )
    if model.device.type == "cuda":
        free, most = torch.cuda.mem_get_info(model.device)[0], _GPU_TOKENS
    else:
        free, most = psutil.virtual_memory().available, _CPU_TOKENS
    return int(max(64, min(most, _MEMORY_SHARE * free // per_token)))


def known_tokens(model: Any) -> int:  # noqa: ANN401
    """Return how many tokens a model has embeddings of."""
    return int(
        getattr(
            model.get_input_embeddings(),
            "num_embeddings",
            model.config.get_text_config().vocab_size,
        )
    )


def _read(
    source: str, name: str, trust_remote_code: bool, place: str, dtype: torch.dtype
) -> tuple[Any, Any, Kind]:
    """Return a model's tokenizer, the model and its kind."""
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise BackendError(
            f"`model` {name}: expected a folder with a config.json, weights and a tokenizer, "
            "but it has no config.json"
        )
    try:
        tokenizer, model, kind, missing = _from_pretrained(
            source, name, trust_remote_code, place, dtype
        )
    except BackendError:
        raise
    # A broken file, a missing package or a model's own code can raise anything.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BackendError(
            f"`model` {name}: expected the id or folder of a Hugging Face model, "
            f"but it cannot be loaded ({reason}); "
            "check the name, and the network if it is not on this machine"
        ) from error
    if missing:  # they would be random
        raise BackendError(
            f"`model` {name}: expected all weights of a {model.config.model_type} language model, "
            f"but {len(missing)} are missing, such as {missing[0]}"
        )
    return tokenizer, model if place == AUTO else model.to(place), kind


def _from_pretrained(
    source: str, name: str, trust_remote_code: bool, place: str, dtype: torch.dtype
) -> tuple[Any, Any, Kind, list[str]]:
    """Return what transformers reads, and the names of missing weights."""
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    kind, auto = _kind(config, name, trust_remote_code)
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
    longest = tokenizer.model_max_length
    if not isinstance(longest, int | float):
        raise TypeError(f"model_max_length {longest!r} of its tokenizer is no number")
    # Never ends where its unknown token is none of its tokens.
    tokenizer.convert_tokens_to_ids("\ue000")
    spread = {"device_map": "auto"} if place == AUTO else {}
    model, info = auto.from_pretrained(
        source,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        output_loading_info=True,
        **spread,
    )
    return tokenizer, model, kind, sorted(info["missing_keys"])


def _kind(config: Any, name: str, trust_remote_code: bool) -> tuple[Kind, Any]:  # noqa: ANN401
    """Return what kind of language model a configuration describes, and the class that loads it."""
    import transformers
    from transformers.models.auto import modeling_auto as auto

    masked = any(str(a).endswith("ForMaskedLM") for a in config.architectures or ())
    if (
        config.is_encoder_decoder
        and config.model_type in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    ):
        return "seq2seq", transformers.AutoModelForSeq2SeqLM
    if masked and config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "masked", transformers.AutoModelForMaskedLM
    if not config.is_encoder_decoder and (
        config.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or trust_remote_code
    ):
        return "causal", transformers.AutoModelForCausalLM
    raise BackendError(
        f"`model` {name}: expected a causal, encoder-decoder or masked language model, "
        f"found {config.model_type}"
    )


def _check_vocabulary(model: Any, tokenizer: Any, kind: Kind, name: str) -> None:  # noqa: ANN401
    """Refuse a tokenizer with tokens that are written and that the model does not know."""
    known = known_tokens(model)
    unknown = {i: token for token, i in tokenizer.get_vocab().items() if i >= known}
    written = {*tokenizer("a")["input_ids"], tokenizer.bos_token_id, tokenizer.eos_token_id}
    written |= {tokenizer.mask_token_id, tokenizer.pad_token_id} if kind == "masked" else set()
    spare = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special} - written
    template = str(tokenizer.chat_template)
    wrong = sorted(i for i, token in unknown.items() if i not in spare or token in template)
    if wrong:
        raise BackendError(
            f"`model` {name}: its tokenizer has {len(wrong)} tokens that the model does not know, "
            f"such as number {wrong[0]} {unknown[wrong[0]]!r} where the model has {known}: "
            "it belongs to another model"
        )


def _described(tokenizer: Any) -> str:  # noqa: ANN401
    """Return what decides a tokenizer's tokens."""
    if tokenizer.is_fast:
        return str(tokenizer.backend_tokenizer.to_str())
    settings = {
        k: str(v)
        for k, v in tokenizer.init_kwargs.items()
        if k != "name_or_path" and not k.endswith("_file")
    }
    return json.dumps([type(tokenizer).__name__, tokenizer.get_vocab(), settings], sort_keys=True)


def _fingerprint(model: Any, tokenizer: Any, dtype: str) -> str:  # noqa: ANN401
    """Hash what decides the numbers.

    That is every weight, the configuration, tokenizer, chat template, dtype and kind of device.
    """
    config = {
        k: v
        for k, v in model.config.to_dict().items()
        if k not in {"_name_or_path", "transformers_version"}
    }
    described = json.dumps([config, dtype, model.device.type], sort_keys=True, default=str)
    digest = hashlib.sha256(described.encode())
    digest.update(_described(tokenizer).encode())
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
