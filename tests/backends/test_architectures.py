"""Every kind of model that transformers offers, against one plain forward pass per answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from tokenizers.processors import TemplateProcessing

from promptfront.backends.hf import HFBackend
from promptfront.backends.models.plain import PlainEngine
from promptfront.backends.packed.engine import PackedEngine
from promptfront.search.assembly import make_evaluator
from promptfront.search.contracts import LikelihoodRequest, Message
from promptfront.search.data.load_task import load_task
from promptfront.search.errors import BackendError
from tests.tiny import byte_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

_VOCABULARY = 420
_SIZE: dict[str, Any] = {
    "vocab_size": _VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
_GROUPED: dict[str, Any] = {**_SIZE, "num_key_value_heads": 2}
_CAUSAL: dict[str, Callable[[], Any]] = {
    "llama": lambda: transformers.LlamaConfig(**_GROUPED),
    "qwen2": lambda: transformers.Qwen2Config(**_GROUPED),
    "qwen3": lambda: transformers.Qwen3Config(**_GROUPED, head_dim=8),
    "mistral": lambda: transformers.MistralConfig(**_GROUPED, sliding_window=8),
    "gemma2": lambda: transformers.Gemma2Config(**_GROUPED, head_dim=8, sliding_window=8),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **_GROUPED,
        head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    ),
    "granite": lambda: transformers.GraniteConfig(**_GROUPED, logits_scaling=3.0),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=_VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=1024
    ),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**_SIZE),
    "opt": lambda: transformers.OPTConfig(
        vocab_size=_VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
    ),
}
_TRANSLATING: dict[str, Callable[[], Any]] = {
    "t5": lambda: transformers.T5Config(
        vocab_size=_VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
    ),
    "bart": lambda: transformers.BartConfig(
        vocab_size=_VOCABULARY,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        decoder_start_token_id=2,
    ),
}
_MASKED: dict[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertConfig(**_SIZE),
    "roberta": lambda: transformers.RobertaConfig(
        **_SIZE, pad_token_id=1, max_position_embeddings=514
    ),
}
_LABELS = (" positive", " very good indeed", " very bad", " very", "\n")
_TEXTS = ["great fun", "a {x} mess {{y}}", "很好，推荐 🎬", "two\nlines", "", "long " * 20]
_PREFIXES = [
    "",
    "Classify the review as positive or negative.\n\n",
    "Review: loved it\nSentiment: positive\n\n" * 4,
]
_REQUESTS = [
    LikelihoodRequest(f"{p}Review: {t}\nSentiment:", _LABELS) for p in _PREFIXES for t in _TEXTS
]


def saved(config: Any, auto: Any, folder: Path) -> str:
    """Save a random model with a tiny tokenizer; return its folder."""
    tokenizer = byte_tokenizer()
    start, end = ("<s>", 1), ("</s>", 2)
    if auto is not transformers.AutoModelForCausalLM:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A </s>", special_tokens=[start, end]
        )
    torch.manual_seed(0)
    model = auto.from_config(config)
    for weight in (
        model.parameters()
    ):  # larger than models begin with, so that every part of them shows in the result
        torch.nn.init.normal_(weight, std=0.2) if weight.dim() > 1 else None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def close(found: list[tuple[float, ...]], expected: list[tuple[float, ...]]) -> None:
    """Check that all numbers agree to 1e-4 and every arg-max is the same."""
    worst = max(
        abs(a - b) for f, e in zip(found, expected, strict=True) for a, b in zip(f, e, strict=True)
    )
    assert worst < 1e-4
    assert [f.index(max(f)) for f in found] == [e.index(max(e)) for e in expected]


def logs(logits: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities in double precision."""
    return torch.log_softmax(logits.double(), dim=-1)


@pytest.mark.parametrize("kind", sorted(_CAUSAL))
def test_causal_models_are_packed_and_exact(kind: str, tmp_path: Path) -> None:
    """Rotary and absolute positions, grouped heads, capped logits, and short windows."""
    other = HFBackend(saved(_CAUSAL[kind](), transformers.AutoModelForCausalLM, tmp_path))
    expected = []
    for encoded in other._encoder.encode(_REQUESTS):
        scores = []
        for answer in encoded.continuations:
            with torch.inference_mode():
                found = other._model(input_ids=torch.tensor([encoded.prompt + answer])).logits[0]
            rows = logs(found[len(encoded.prompt) - 1 :])
            scores.append(sum(float(rows[i, token]) for i, token in enumerate(answer)))
        expected.append(tuple(scores))
    assert isinstance(other._engine, PackedEngine)
    close(other.loglikelihoods(_REQUESTS), expected)
    close(other.loglikelihoods(_REQUESTS[::-1])[::-1], expected)


@pytest.mark.parametrize("kind", sorted(_TRANSLATING))
def test_encoder_decoder_models_are_exact(kind: str, tmp_path: Path) -> None:
    """An answer is what the decoder writes from its start token on."""
    other = HFBackend(saved(_TRANSLATING[kind](), transformers.AutoModelForSeq2SeqLM, tmp_path))
    start = other._model.config.decoder_start_token_id
    expected = []
    for encoded in other._encoder.encode(_REQUESTS):
        assert encoded.prompt[0] == 1
        scores = []
        for answer in encoded.continuations:
            with torch.inference_mode():
                rows = logs(
                    other._model(
                        input_ids=torch.tensor([[*encoded.prompt, 2]]),
                        decoder_input_ids=torch.tensor([[start, *answer[:-1]]]),
                    ).logits[0]
                )
            scores.append(sum(float(rows[i, token]) for i, token in enumerate(answer)))
        expected.append(tuple(scores))
    close(other.loglikelihoods(_REQUESTS), expected)
    assert (
        len(other.generate(["Say it", "Say it again, please"], max_tokens=4, temperature=0, seed=0))
        == 2
    )


@pytest.mark.parametrize("kind", sorted(_CAUSAL))
def test_replies_are_what_the_model_writes_alone(kind: str, tmp_path: Path) -> None:
    """Whatever is in the batch.

    Prompts of other lengths, and others with the same long beginning.
    """
    other = HFBackend(saved(_CAUSAL[kind](), transformers.AutoModelForCausalLM, tmp_path))
    start = "The plot is thin and the cast is good. " * 6
    prompts = [
        f"{start}One",
        "Say it",
        f"{start}Two or three",
        "Say it again, please",
        f"{start}One and two",
    ]
    expected = []
    for tokens in other._encoder.encode_prompts(prompts):
        written = list(tokens)
        for _ in range(6):
            with torch.inference_mode():
                written.append(
                    int(other._model(input_ids=torch.tensor([written])).logits[0, -1].argmax())
                )
        expected.append(other._tokenizer.decode(written[len(tokens) :], skip_special_tokens=True))
    end = other._tokenizer.eos_token
    found = other.generate(prompts, max_tokens=6, temperature=0, seed=0)
    assert [text.split(end)[0] for text in expected] == found


@pytest.mark.parametrize("kind", sorted(_MASKED))
def test_masked_models_are_exact(kind: str, tmp_path: Path) -> None:
    """An answer is read at masks after the prompt, token by token, the other tokens being shown."""
    other = HFBackend(saved(_MASKED[kind](), transformers.AutoModelForMaskedLM, tmp_path))
    mask = other._tokenizer.mask_token_id
    expected = []
    for encoded in other._encoder.encode(_REQUESTS):
        scores = []
        for answer in encoded.continuations:
            score = 0.0
            for i, token in enumerate(answer):
                shown = [*encoded.prompt, *answer[:i], mask, *answer[i + 1 :], 2]
                with torch.inference_mode():
                    found = other._model(input_ids=torch.tensor([shown])).logits[0]
                score += float(logs(found[len(encoded.prompt) + i])[token])
            scores.append(score)
        expected.append(tuple(scores))
    close(other.loglikelihoods(_REQUESTS), expected)
    with pytest.raises(BackendError, match="cannot generate text"):
        other.generate(["Say it"], max_tokens=4, temperature=0, seed=0)
    with pytest.raises(BackendError, match=r"does not fit into the context of .* \(51\d tokens\)"):
        other.loglikelihoods([LikelihoodRequest("word " * 600, _LABELS)])


def test_what_cannot_be_packed_is_scored_plainly(tmp_path: Path) -> None:
    """Positions by slopes instead of embeddings (ALiBi): one warning, then right numbers."""
    config = transformers.BloomConfig(vocab_size=_VOCABULARY, hidden_size=32, n_layer=2, n_head=4)
    folder = saved(config, transformers.AutoModelForCausalLM, tmp_path)
    with pytest.warns(UserWarning, match="scoring continues with plain passes, more slowly"):
        other = HFBackend(folder)
    assert isinstance(other._engine, PlainEngine)
    encoded = other._encoder.encode(_REQUESTS[:1])[0]
    with torch.inference_mode():
        rows = logs(other._model(input_ids=torch.tensor([encoded.prompt])).logits[0])
    found = other.loglikelihoods(_REQUESTS[:1])[0]
    (token,) = encoded.continuations[-1]
    assert found[-1] == pytest.approx(float(rows[-1, token]), abs=1e-4)


def test_int8_needs_linear_layers(tmp_path: Path) -> None:
    """T5's layers are rounded and its answers stay near.

    GPT-2 has layers of another kind, and the sentence says so.
    """
    folder = saved(_TRANSLATING["t5"](), transformers.AutoModelForSeq2SeqLM, tmp_path / "t5")
    exact, rounded = HFBackend(folder), HFBackend(folder, dtype="int8")
    pairs = zip(rounded.loglikelihoods(_REQUESTS), exact.loglikelihoods(_REQUESTS), strict=True)
    assert 0 < max(abs(a - b) for f, e in pairs for a, b in zip(f, e, strict=True)) < 2
    folder = saved(_CAUSAL["gpt2"](), transformers.AutoModelForCausalLM, tmp_path / "gpt2")
    with pytest.raises(
        BackendError, match="has no linear layers that could be int8; leave `dtype` out"
    ):
        HFBackend(folder, dtype="int8")


def test_chat_needs_a_template(tmp_path: Path) -> None:
    """Without a chat template a model says so, and a chat task asks in plain text instead."""
    folder = Path(saved(_CAUSAL["llama"](), transformers.AutoModelForCausalLM, tmp_path))
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(BackendError, match="has no chat template"):
        HFBackend(str(folder)).loglikelihoods(
            [LikelihoodRequest((Message("user", "Hi"),), _LABELS)]
        )
    task = make_evaluator(load_task("poem"), model=str(folder)).task
    assert (task.start.structure.layout, load_task("poem").start.structure.layout) == (
        "plain",
        "chat",
    )
    assert "has no chat template" in task.notes[-1]
