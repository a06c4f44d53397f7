"""Which answer a model would write, said while its answers are scored."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

import pytest
import torch

from promptfront.backends.hf import HFBackend
from promptfront.search.contracts import GreedyReader, LikelihoodRequest
from promptfront.search.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptfront.backends.packed.engine import PackedEngine

PROMPTS = ["good film", "bad film and", "Review: yes", "0 1 2 3", "很好", "a\nb", "word " * 50]


def likeliest(backend: HFBackend, prompt: str, count: int) -> list[int]:
    """Return the tokens that follow a prompt greedily, by one plain forward pass each."""
    ids = list(backend._encoder.encode_prompts([prompt])[0])
    start = len(ids)
    for _ in range(count):
        with torch.inference_mode():
            logits = backend._model(input_ids=torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax()))
    return ids[start:]


@pytest.mark.parametrize("packed", [True, False])
def test_the_written_answer_is_the_greedy_one(packed: bool, tiny: Callable[..., str]) -> None:
    """Two tokens are what is written if they are the likeliest, and if the third ends them."""
    backend = HFBackend(tiny(), packed=packed)
    assert isinstance(backend, GreedyReader)
    assert backend.reads_greedily
    asked: list[LikelihoodRequest] = []
    expected: list[int | None] = []
    for prompt in PROMPTS:
        *two, third = likeliest(backend, prompt, 3)
        text = backend._tokenizer.decode(two)
        end = backend._tokenizer.decode([third]).lstrip(" ")
        for stop in ((end,), ("never said",)):
            asked.append(LikelihoodRequest(prompt, (" x", text, " no"), stop=stop))
            [encoded] = backend._encoder.encode([asked[-1]])
            is_written = list(encoded.continuations[1]) == two and stop == (end,) and end
            expected.append(1 if is_written else None)
    greedy = backend.greedy(asked)
    assert [one.written for one in greedy] == expected
    assert 1 in expected
    scored = backend.loglikelihoods(asked)
    for one, logs in zip(greedy, scored, strict=True):
        assert one.logs == pytest.approx(logs, abs=1e-4)


def test_replies_go_on_from_what_was_scored(tiny: Callable[..., str]) -> None:
    """They are the same, from fewer tokens: each prompt's last one, and those of the replies."""
    backend = HFBackend(tiny())
    written = partial(backend.generate, PROMPTS, max_tokens=4, temperature=0, seed=0)
    expected, alone = written(), _computed(backend, written)
    backend.greedy([LikelihoodRequest(prompt, (" x", " yes no")) for prompt in PROMPTS])
    assert expected == written()
    backend.greedy([LikelihoodRequest(prompt, (" x", " yes no")) for prompt in PROMPTS[3:]])
    some = _computed(backend, written)
    backend.greedy([LikelihoodRequest(prompt, (" x", " yes no")) for prompt in PROMPTS])
    assert _computed(backend, written) < some < alone


def _computed(backend: HFBackend, call: Callable[[], object]) -> int:
    """Return how many tokens pass through the model in a call."""
    engine = cast("PackedEngine", backend._engine)
    before = engine.computed_tokens
    call()
    return engine.computed_tokens - before


def test_an_encoder_decoder_knows_by_writing_alone(tiny: Callable[..., str]) -> None:
    """It says so, and refuses."""
    backend = HFBackend(tiny("t5"))
    assert not backend.reads_greedily
    with pytest.raises(BackendError, match="only generating tells"):
        backend.greedy([LikelihoodRequest("a", ("b",))])
    assert not HFBackend(tiny("bert")).reads_greedily
