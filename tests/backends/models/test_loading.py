"""Models whose files do not fit together are refused with a sentence; unusual tokenizers work."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from promptfront.backends.hf import HFBackend
from promptfront.backends.tokenization import Encoder
from promptfront.search.contracts import LikelihoodRequest, Message
from promptfront.search.errors import BackendError
from tests.tiny import byte_tokenizer, save_tiny, word_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

HALF = "ab\ud83d"


@pytest.fixture
def copied(tiny: Callable[..., str], tmp_path: Path) -> Path:
    """Return a copy of a model's folder."""
    return Path(copytree(tiny("llama"), tmp_path / "copy"))


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    """Tokens without an embedding cannot be read.

    It is told when the model is loaded, with one of them.
    """
    with pytest.raises(
        BackendError,
        match=r"tokens that the model does not know, such as number 300 .* model has 300",
    ):
        HFBackend(save_tiny(tmp_path, vocabulary=300))


def test_a_smaller_tokenizer_is_fine(tmp_path: Path) -> None:
    """Vocabularies are padded to round numbers."""
    (found,) = HFBackend(save_tiny(tmp_path, vocabulary=512)).loglikelihoods(
        [LikelihoodRequest("A film. Good?", (" yes", " no"))]
    )
    assert all(value < 0 for value in found)


def test_control_tokens_that_are_never_written_may_be_unknown(tmp_path: Path) -> None:
    """A padding token that was added later, without an embedding, does no harm.

    One that is written does.
    """
    tokenizer = byte_tokenizer()
    known = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    backend = HFBackend(save_tiny(tmp_path / "pad", "gpt2", tokenizer=tokenizer, vocabulary=known))
    assert len(backend.generate(["a", "a longer one"], max_tokens=2, temperature=0, seed=0)) == 2
    tokenizer.chat_template = "[PAD]{{ messages[0]['content'] }}"
    with pytest.raises(BackendError, match=r"such as number 420 '\[PAD\]'"):
        HFBackend(save_tiny(tmp_path / "written", "gpt2", tokenizer=tokenizer, vocabulary=known))


def _truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def _without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _of_another_shape(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(7)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _configured(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


@pytest.mark.parametrize(
    "harm",
    [
        _truncated,
        _without_a_tensor,
        _of_another_shape,
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "tokenizer.json").write_text("no"),
        lambda folder: _configured(folder, model_type="nothing-known"),
        lambda folder: _configured(folder, hidden_size="wide"),
        lambda folder: _configured(folder, num_attention_heads=0),
        lambda folder: _configured(folder, model_type="clip"),
    ],
)
def test_broken_folders_are_one_sentence(harm: Callable[[Path], object], copied: Path) -> None:
    """Whatever is wrong with a model's files, the sentence names the model."""
    harm(copied)
    with pytest.raises(BackendError, match=r"^`model` .*copy: "):
        HFBackend(str(copied))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> HFBackend:
    """Return an encoder-decoder model of bytes, with a Python tokenizer without offsets."""
    return HFBackend(
        save_tiny(tmp_path_factory.mktemp("slow"), "t5", tokenizer=transformers.ByT5Tokenizer())
    )


def test_python_tokenizers_work(slow: HFBackend) -> None:
    """A tokenizer without a fast backend scores, writes, counts, and cuts."""
    (found,) = slow.loglikelihoods([LikelihoodRequest("Text: é</s>\nLabel:", (" yes", " no"))])
    assert all(value < 0 for value in found)
    assert slow.count_tokens(["é</s>"]) == [6]
    assert [slow.truncate("aéb", n) for n in range(5)] == ["", "a", "a", "aé", "aéb"]
    assert (
        len(slow.generate(["Text: a"], max_tokens=3, temperature=0, seed=0, stop=["\n\nText:"]))
        == 1
    )


def test_python_tokenizers_are_told_apart(slow: HFBackend, tmp_path: Path) -> None:
    """The same files have one fingerprint in any folder, another vocabulary has another."""
    again = HFBackend(save_tiny(tmp_path / "a", "t5", tokenizer=transformers.ByT5Tokenizer()))
    other = HFBackend(
        save_tiny(
            tmp_path / "b", "t5", tokenizer=transformers.ByT5Tokenizer(extra_ids=9), vocabulary=384
        )
    )
    assert again.fingerprint == slow.fingerprint != other.fingerprint


@pytest.mark.parametrize("kind", ["llama", "t5", "bert"])
def test_half_characters_are_read_as_unknown(kind: str, tiny: Callable[..., str]) -> None:
    """A lone surrogate, which no tokenizer takes, is U+FFFD wherever it stands."""
    encoder = Encoder(transformers.AutoTokenizer.from_pretrained(tiny(kind)), "m")
    whole = HALF.replace("\ud83d", "\ufffd")
    half_request, request = (
        LikelihoodRequest(f"Text: {text}\nLabel:", (f" {text}",)) for text in (HALF, whole)
    )
    assert encoder.encode([half_request]) == encoder.encode([request])
    assert encoder.truncate(HALF * 9, 2) == encoder.truncate(whole * 9, 2).replace(
        "\ufffd", "\ud83d"
    )
    if kind == "llama":
        assert encoder.encode_prompts([(Message("user", HALF),)]) == encoder.encode_prompts(
            [(Message("user", whole),)]
        )


def test_tokenizers_without_control_tokens(tmp_path: Path) -> None:
    """Neither start, end, padding nor unknown token is needed."""
    bare = transformers.PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(None).backend_tokenizer
    )
    backend = HFBackend(save_tiny(tmp_path, tokenizer=bare))
    (found,) = backend.loglikelihoods([LikelihoodRequest("Good?", (" yes", " no"))])
    assert all(value < 0 for value in found)
    assert len(backend.generate(["a", "a longer one"], max_tokens=3, temperature=0, seed=0)) == 2


def test_what_ends_an_input_has_a_place(tmp_path: Path) -> None:
    """An input as long as the context allows can be read with the end that the tokenizer writes."""
    backend = HFBackend(save_tiny(tmp_path, "bert", tokenizer=word_tokenizer(), context=32))
    (tokens,) = backend.count_tokens(["a"])
    text = " ".join(["a"] * (backend.max_context - tokens))
    (found,) = backend.loglikelihoods([LikelihoodRequest(text, ("a",))])
    assert found[0] < 0
    with pytest.raises(BackendError, match="does not fit"):
        backend.loglikelihoods([LikelihoodRequest(f"{text} a", ("a",))])


def test_a_reply_has_room(tmp_path: Path) -> None:
    """A prompt that leaves no room for its reply is told before a missing position is read."""
    backend = HFBackend(save_tiny(tmp_path, "gpt2", context=64))
    with pytest.raises(BackendError, match="leaves no room for a reply of 10"):
        backend.generate(["a b " * 28], max_tokens=10, temperature=0, seed=0)
