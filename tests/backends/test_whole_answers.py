"""Answers of which one begins another.

Their ends are scored, as forward passes made by hand say.
"""

from __future__ import annotations

import csv
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from promptfront.backends.hf import HFBackend
from promptfront.backends.logprobs import ended
from promptfront.backends.models.plain import PlainEngine
from promptfront.backends.openai import OpenAIBackend
from promptfront.backends.tokenization import Encoded
from promptfront.backends.vllm import VLLMBackend
from promptfront.search import DataOptions, optimize
from promptfront.search.contracts import LikelihoodRequest
from tests.backends.serving import model_handler, running, url
from tests.tiny import save_tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from promptfront.backends.logprobs import Pair

_PROMPTS = ("Text: a good film\nRating:", "Text: no\nRating: 50\n\nText: a bad film\nRating:")
_NUMBERS = (" 5", " 50", " 500", " 7")


def step(model: Any, context: Sequence[int], token: int, **options: Any) -> float:
    """Return log P(token | context) of one forward pass."""
    name = "decoder_input_ids" if options else "input_ids"
    with torch.inference_mode():
        logits = model(**{name: torch.tensor([list(context)])}, **options).logits[0, -1]
    return float(torch.log_softmax(logits.double(), -1)[token])


def by_hand(first: float, goes_on: float) -> float:
    """Return log P(an answer, and no longer one)."""
    return first + math.log(1 - math.exp(goes_on))


@pytest.mark.parametrize("packed", [True, False])
def test_the_end_of_an_answer_is_what_does_not_go_on(
    packed: bool, tiny: Callable[..., str]
) -> None:
    """A causal model's "5" is a five that no zero follows; so it is with "50"."""
    backend = HFBackend(tiny("base"), packed=packed)
    model, tokenizer = backend._model, backend._tokenizer
    five, nought, seven = (
        tokenizer(" 5")["input_ids"][0],
        *(tokenizer(d)["input_ids"][0] for d in ("0", " 7")),
    )
    assert [five, nought, nought] == tokenizer(" 500")["input_ids"]
    for prompt in _PROMPTS:
        ids = tokenizer(prompt)["input_ids"]
        p5, p0, p00 = (
            step(model, ids, five),
            step(model, [*ids, five], nought),
            step(model, [*ids, five, nought], nought),
        )
        expected = by_hand(p5, p0), by_hand(p5 + p0, p00), p5 + p0 + p00, step(model, ids, seven)
        (found,) = backend.loglikelihoods([LikelihoodRequest(prompt, _NUMBERS, whole=True)])
        assert found == pytest.approx(expected, abs=1e-5)
        (plain,) = backend.loglikelihoods([LikelihoodRequest(prompt, _NUMBERS)])
        assert plain == pytest.approx((p5, p5 + p0, p5 + p0 + p00, expected[3]), abs=1e-5)


def test_an_encoder_decoder_ends_its_answers_too(tiny: Callable[..., str]) -> None:
    """The decoder's "1" is a one after which it writes no zero."""
    backend = HFBackend(tiny("t5"))
    model, tokenizer = backend._model, backend._tokenizer
    one, nought = tokenizer("10", add_special_tokens=False)["input_ids"]
    read = torch.tensor([tokenizer(_PROMPTS[0])["input_ids"]])
    p1, p0 = step(model, [0], one, input_ids=read), step(model, [0, one], nought, input_ids=read)
    (found,) = backend.loglikelihoods([LikelihoodRequest(_PROMPTS[0], (" 1", " 10"), whole=True)])
    assert found == pytest.approx((by_hand(p1, p0), p1 + p0), abs=1e-5)


def test_a_server_ends_its_answers_too(
    tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP, by token ids, the numbers are those of the model here."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    backend = HFBackend(tiny("base"))
    asked = [LikelihoodRequest(prompt, _NUMBERS, whole=True) for prompt in _PROMPTS]
    with running(model_handler(backend)) as server:
        remote = OpenAIBackend(base_url=url(server), tokenizer=tiny("base"))
        for found, expected in zip(
            remote.loglikelihoods(asked), backend.loglikelihoods(asked), strict=True
        ):
            assert found == pytest.approx(expected, abs=1e-4)


def test_vllm_ends_its_answers_too(tiny: Callable[..., str]) -> None:
    """What it says of tokens, one by one or of long answers at once, makes the same numbers."""
    expected = HFBackend(tiny("base"))
    plain = PlainEngine(expected._model)

    def read_whole(pairs: Sequence[Pair]) -> dict[Pair, float]:
        return {pair: plain.loglikelihoods([Encoded(pair[0], (pair[1],))])[0][0] for pair in pairs}

    backend = VLLMBackend.__new__(VLLMBackend)  # vLLM itself needs an environment of its own
    backend._encoder, backend.max_context = expected._encoder, expected.max_context
    backend._reader = SimpleNamespace(  # type: ignore[assignment]
        next_tokens=plain.compute, whole=read_whole
    )
    asked = [
        LikelihoodRequest(
            _PROMPTS[0], (" no", " no opinion", " no opinion at all", " yes"), whole=True
        )
    ]
    assert backend.loglikelihoods(asked)[0] == pytest.approx(
        expected.loglikelihoods(asked)[0], abs=1e-4
    )
    assert backend.answer_tokens(asked[0]) == expected.answer_tokens(asked[0])


@pytest.mark.parametrize(
    ("tokens", "scores", "expected"),
    [
        (
            ((1,), (1, 2), (1, 3)),
            (-1.0, -2.0, -3.0),
            (math.log(math.exp(-1) - math.exp(-2) - math.exp(-3)), -2, -3),
        ),
        (((1,), (10,)), (-1.0, -2.0), (-1, -2)),  # no token of one begins the other
        (
            ((1,), (1,), (1, 2)),
            (-1.0, -1.0, -2.0),
            (math.log(math.exp(-1) - math.exp(-2)),) * 2 + (-2,),
        ),
        (((1,), (1, 2)), (-math.inf, -math.inf), (-math.inf, -math.inf)),
    ],
)
def test_shares_of_a_beginning(
    tokens: tuple[tuple[int, ...], ...], scores: tuple[float, ...], expected: tuple[float, ...]
) -> None:
    """What goes on as any longer answer is taken off once.

    Answers without a common beginning stay as they are.
    """
    assert ended(Encoded((0,), tokens, whole=True), scores) == pytest.approx(expected)
    assert ended(Encoded((0,), tokens), scores) == scores


def test_whole_answers_have_at_most_all_of_the_probability() -> None:
    """Of answers that begin one another each keeps its own share.

    One that always goes on is unlikely, not impossible.
    """
    nested = Encoded((0,), ((1,), (1, 2), (1, 2, 3), (1, 4)), whole=True)
    found = ended(nested, (-0.1, -0.5, -0.9, -2.0))
    assert sum(map(math.exp, found)) == pytest.approx(math.exp(-0.1))
    always = ended(Encoded((0,), ((1,), (1, 2)), whole=True), (-0.1, -0.1 + 1e-9))
    assert -20 < always[0] < -15
    assert always[1] == pytest.approx(-0.1)


@pytest.fixture(scope="module")
def rater(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a model that has learnt to rate films as 5, 50 or 7."""
    folder = save_tiny(tmp_path_factory.mktemp("rater"))
    model, tokenizer = (
        make.from_pretrained(folder)
        for make in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer)
    )
    learnt = [
        f"Rate the film.\n\nText: {text}\nRating: {rating}\n\n" for text, rating in _films(range(2))
    ]
    batch = tokenizer(learnt, return_tensors="pt", padding=True, return_token_type_ids=False)
    wanted = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    for step_size in torch.linspace(
        1e-2, 1e-3, 30
    ):  # by signs alone: torch.optim takes long to import
        model.zero_grad()
        model(**batch, labels=wanted).loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight.sub_(step_size * weight.grad.sign())
    model.save_pretrained(folder)
    return folder


def _films(numbers: range) -> list[tuple[str, str]]:
    words = (("great", "50"), ("awful", "5"), ("fair", "7"))
    return [(f"{word} film {number}", rating) for number in numbers for word, rating in words]


def test_a_longer_label_wins_where_the_model_writes_it(rater: str, tmp_path: Path) -> None:
    """A search over labels that begin one another finds the rows of all of them."""
    data = tmp_path / "films.csv"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "rating"), *_films(range(10))])
    options = DataOptions(data=str(data), target_column="rating", instructions=("Rate the film.",))
    without = ("calibration", "paraphrase", "induce", "crossover")
    found = optimize(
        None,
        data=options,
        model=rater,
        answers="likelihood",
        budget=2,
        without=without,
        storage=f"sqlite:///{tmp_path}/a.db",
    )
    assert found.start.quality == 1.0
    prompt = "Rate the film.\n\nText: great film 1\nRating:"
    five, fifty, _ = HFBackend(rater).loglikelihoods(
        [LikelihoodRequest(prompt, (" 5", " 50", " 7"))]
    )[0]
    assert five > fifty  # so that it would be chosen by the probability of the beginning alone
