"""Models of every kind, tiny and random, with a tokenizer made on the spot.

They load in a moment.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TEXT = [
    "A warm and funny film about growing up. Great cast, good songs, loved it.",
    "A dull and empty film about nothing. Bad cast, poor songs, hated it.",
    "Classify the text as good or bad. Read the review and answer yes or no, positive or negative.",
    "Text Review Label Sentiment Question Answer Output Input 0 1 2 3 4 5 6 7 8 9 10 11 12 . , : ; "
    "? ! ' ( )",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ",
]
_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>", "<|turn|>", "<|end|>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|turn|>' + m['role'] + '\n' + m['content'] + '<|end|>\n' }}{% "
    "endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}"
)
"""A chat template that takes every role."""
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn here') }}{% endif "
    "%}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns must alternate') }}{% endif %}"
    "{{ '<|turn|>' + m['role'] + '\n' + m['content'] | trim + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn|>model\n' }}{% endif %}"
)
"""One that refuses a system turn."""
SYSTEM_LAST = (
    "{% if messages[0]['role'] == 'system' %}{% set head = messages[0]['content'] + '\n\n' %}{% "
    "set turns = messages[1:] %}"
    "{% else %}{% set head = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if m['role'] == 'user' %}"
    "{{ '<|turn|>' + (head if loop.last else '') + m['content'] + '<|end|>' }}"
    "{% else %}{{ ' ' + m['content'] + '</s>' }}{% endif %}{% endfor %}"
)
"""One that moves the system turn into the last user turn."""


def byte_tokenizer(template: str | None = TEMPLATE) -> Any:
    """Return a byte-level tokenizer: every text has tokens, and none is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=_SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    made = _fast(tokenizer)
    made.chat_template = template
    return made


def word_tokenizer(*, lowercase: bool = True) -> Any:
    """Return a word-piece tokenizer as BERT's is: what it does not know is one unknown token."""
    splitter = pre_tokenizers.BertPreTokenizer()
    text = " ".join(_TEXT).lower() if lowercase else " ".join(_TEXT)
    words = {word for word, _ in splitter.pre_tokenize_str(text)}
    letters = sorted({letter for word in words for letter in word})
    # Written down, not trained: the trainer leaves ties to chance.
    pieces = [
        *_SPECIAL,
        *letters,
        *(f"##{letter}" for letter in letters),
        *sorted(words - {*letters}),
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))  # noqa: S106 (no password)
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase, handle_chinese_chars=True
    )
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(_SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return _fast(tokenizer)


def unigram_tokenizer() -> Any:
    """Return a unigram tokenizer as T5's is.

    No line breaks, and unknown characters are one token.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("\n", " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=250,
        unk_token="<unk>",  # noqa: S106
        special_tokens=_SPECIAL,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    return _fast(_in_order(tokenizer))


def _in_order(tokenizer: Tokenizer) -> Tokenizer:
    """Return a unigram tokenizer with its pieces in order: the trainer leaves ties to chance."""
    tree = json.loads(tokenizer.to_str())
    learned = [
        [piece, round(score, 4)] for piece, score in tree["model"]["vocab"] if piece not in _SPECIAL
    ]
    learned.sort(key=lambda entry: (-entry[1], entry[0]))
    tree["model"]["vocab"] = [*([piece, 0.0] for piece in _SPECIAL), *learned]
    return Tokenizer.from_str(json.dumps(tree))


def _fast(tokenizer: Tokenizer) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",  # noqa: S106
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        mask_token="<mask>",  # noqa: S106
    )


def _config(kind: str, vocabulary: int, context: int) -> Any:
    ids = {"vocab_size": vocabulary, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    made: dict[str, Callable[[], Any]] = {
        "llama": lambda: transformers.LlamaConfig(
            **ids,
            **layers,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=context,
        ),
        "gpt2": lambda: transformers.GPT2Config(
            **ids, n_embd=32, n_layer=2, n_head=4, n_positions=context
        ),
        "opt": lambda: transformers.OPTConfig(
            **ids, **layers, ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=context
        ),
        "t5": lambda: transformers.T5Config(
            **ids, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
        ),
        "bert": lambda: transformers.BertConfig(
            **ids,
            **layers,
            intermediate_size=64,
            max_position_embeddings=context,
            architectures=["BertForMaskedLM"],
        ),
    }
    return made[kind]()


_TOKENIZERS: dict[str, Callable[[], Any]] = {"t5": unigram_tokenizer, "bert": word_tokenizer}


def save_tiny(
    folder: Path,
    kind: str = "llama",
    *,
    tokenizer: Any = None,
    context: int = 2048,
    vocabulary: int | None = None,
) -> str:
    """Write a model into a folder and return the folder.

    Parameters
    ----------
    folder
        Where to.
    kind
        ``"llama"``, ``"gpt2"`` or ``"opt"`` (causal), ``"t5"`` (encoder-decoder) or ``"bert"``
        (masked).
    tokenizer
        Its tokenizer; by default one as models of its kind have it, with `TEMPLATE` for causal
        models.
    context
        The tokens it reads.
    vocabulary
        The tokens it knows; by default those of the tokenizer.
    """
    tokenizer = tokenizer or _TOKENIZERS.get(kind, byte_tokenizer)()
    auto = {"t5": transformers.AutoModelForSeq2SeqLM, "bert": transformers.AutoModelForMaskedLM}
    torch.manual_seed(0)
    config = _config(kind, vocabulary or len(tokenizer), context)
    model = auto.get(kind, transformers.AutoModelForCausalLM).from_config(config)
    for weight in (
        model.parameters()
    ):  # larger than models begin with, so that what they say depends on what they read
        torch.nn.init.normal_(weight, std=0.2) if weight.dim() > 1 else None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
