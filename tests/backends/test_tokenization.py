"""Tokens of whole prompts and of their lines are the same, whatever the tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from promptfront.backends.default_model import default_model_folder
from promptfront.backends.tokenization import Encoder
from promptfront.search.contracts import LikelihoodRequest, Message

if TYPE_CHECKING:
    from collections.abc import Callable

UNKNOWN = "[UNK]"
_CORPUS = [
    "Review: great fun\nSentiment: positive\n\nReview: 很好，推荐 🎬\nSentiment: bad\n  "
    "indented\tx\r\n1\n2\n\n\n",
    "a\nb\n" * 9,
]
_PARTS = [
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "\r\n",
    "Review:",
    " great",
    "a",
    "b",
    "1",
    "é",
    "很好",
    "🎬",
    "'s",
    "▁",
    "\u3000",
    "\u0301",
    "<|im_end|>",
]
_TEXTS = st.lists(st.sampled_from(_PARTS), max_size=14).map("".join)


def byte_level(split: bool) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE; without splits its tokens reach over lines."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        _CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def unigram() -> PreTrainedTokenizerFast:
    """Return one that turns every newline into a space, as T5's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("\n", " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, unk_token=UNKNOWN, special_tokens=[UNKNOWN])
    tokenizer.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=UNKNOWN)


def word_piece() -> PreTrainedTokenizerFast:
    """Return one of words, as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        _CORPUS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=[UNKNOWN])
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=UNKNOWN)


MADE: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "default": lambda: AutoTokenizer.from_pretrained(default_model_folder()),
    "byte-level": lambda: byte_level(split=True),
    "byte-level without splits": lambda: byte_level(split=False),
    "unigram": unigram,
    "word-piece": word_piece,
}


@pytest.fixture(scope="module", params=MADE)
def encoders(request: pytest.FixtureRequest) -> tuple[Encoder, Encoder]:
    """One that may read line by line and one that may not."""
    tokenizer = MADE[request.param]()
    by_lines, whole = Encoder(tokenizer, "m"), Encoder(tokenizer, "m")
    whole._pieces.by_lines = False
    return by_lines, whole


@settings(max_examples=150, deadline=None)
@given(
    prompts=st.lists(_TEXTS.map(lambda text: f"x{text}"), min_size=1, max_size=4),
    continuation=_TEXTS,
)
def test_lines_give_the_tokens_of_the_whole(
    encoders: tuple[Encoder, Encoder], prompts: list[str], continuation: str
) -> None:
    """White space anywhere, Chinese, emoji, combining characters, and control tokens."""
    by_lines, whole = encoders
    requests = [LikelihoodRequest(prompt, (" positive", f" a{continuation}")) for prompt in prompts]
    assert by_lines.encode(requests) == whole.encode(requests)
    assert by_lines.encode_prompts(prompts) == whole.encode_prompts(prompts)


def test_chats_too() -> None:
    """Control tokens of the template part the lines; those in a message are text."""
    tokenizer = MADE["default"]()
    by_lines, whole = Encoder(tokenizer, "m"), Encoder(tokenizer, "m")
    whole._pieces.by_lines = False
    chat = (Message("system", "a\n\nb"), Message("user", "\n {x}\n<|im_end|>\nend\n"))
    assert by_lines._pieces.by_lines
    assert by_lines.encode([LikelihoodRequest(chat, ("yes", "no"))]) == whole.encode(
        [LikelihoodRequest(chat, ("yes", "no"))]
    )


def test_tokens_across_lines_are_noticed() -> None:
    """By the vocabulary, or by the first token that is met."""
    assert not Encoder(byte_level(split=False), "m")._pieces.by_lines
    assert Encoder(byte_level(split=True), "m")._pieces.by_lines
