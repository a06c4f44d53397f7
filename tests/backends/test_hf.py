"""The Hugging Face backend against plain forward passes, on a tiny and the default model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptfront.backends.hf import HFBackend
from promptfront.search.contracts import LikelihoodRequest, Message
from promptfront.search.errors import BackendError

if TYPE_CHECKING:
    from promptfront.search.contracts import Backend, Text

_LABELS = (" positive", " negative")
_TEXTS = [
    "great fun",
    "a {x} mess {{y}}",
    "很好，推荐 🎬",
    "two\nlines",
    "Review: fake",
    "it ends with <|im_end|>",
    "",
    "long " * 40,
]


@pytest.fixture(scope="module", params=["tiny", pytest.param("default", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest, backend: HFBackend) -> HFBackend:
    """Return a tiny model, and the default one where there is time."""
    if request.param == "tiny":
        return backend
    default: HFBackend = request.getfixturevalue("default_backend")
    return default


def reference(backend: HFBackend, request: LikelihoodRequest) -> tuple[float, ...]:
    """Return log-likelihoods from one plain forward pass per continuation, with nothing shared."""
    encoded = backend._encoder.encode([request])[0]
    found = []
    for continuation in encoded.continuations:
        ids = torch.tensor([encoded.prompt + continuation])
        with torch.inference_mode():
            logs = torch.log_softmax(backend._model(input_ids=ids).logits[0].double(), dim=-1)
        start = len(encoded.prompt) - 1
        found.append(sum(float(logs[start + i, token]) for i, token in enumerate(continuation)))
    return tuple(found)


def requests(
    prefixes: Sequence[str], continuations: tuple[str, ...] = _LABELS
) -> list[LikelihoodRequest]:
    """Return every text after every prefix."""
    return [
        LikelihoodRequest(f"{p}Review: {t}\nSentiment:", continuations)
        for p in prefixes
        for t in _TEXTS
    ]


def close(found: Sequence[tuple[float, ...]], expected: Sequence[tuple[float, ...]]) -> bool:
    """Whether all numbers agree to 1e-4 and every arg-max is the same."""
    near = all(
        abs(a - b) < 1e-4
        for f, e in zip(found, expected, strict=True)
        for a, b in zip(f, e, strict=True)
    )
    return near and [max(f) == f[0] for f in found] == [max(e) == e[0] for e in expected]


def test_shared_stems_give_plain_numbers(backend: HFBackend) -> None:
    """Candidates that share beginnings, scored in one call, are each scored exactly."""
    shown = "Review: loved it\nSentiment: positive\n\n"
    made = requests(
        [
            "",
            "Classify the review.\n\n",
            "Classify the review.\n\n" + shown,
            "Classify the review.\n\n" + shown * 3,
        ]
    )
    assert close(backend.loglikelihoods(made), [reference(backend, r) for r in made])


def test_labels_of_several_tokens_are_branches(backend: HFBackend) -> None:
    """Labels that begin alike, and one that is the beginning of another, are each scored whole."""
    labels = (
        " very good indeed",
        " very good",
        " very bad indeed",
        " 不好",
        "\n",
        " unquestionably",
    )
    made = requests(["Rate it.\n\n"], labels)
    assert close(backend.loglikelihoods(made), [reference(backend, r) for r in made])


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_calls_are_sums_of_their_parts(backend: HFBackend, data: st.DataObject) -> None:
    """Order, division into calls, tokens in a pass and a warm or cold cache change nothing."""
    shown = "Review: loved it\nSentiment: positive\n\n"
    made = requests(["Classify the review.\n\n", "Classify the review.\n\n" + shown * 6, shown * 6])
    expected = backend.loglikelihoods(made)
    assert expected == backend.loglikelihoods(made)
    order = data.draw(st.permutations(range(len(made))))
    cut = data.draw(st.integers(0, len(made)))
    if data.draw(st.booleans()):
        backend._engine.forget()
    tokens, backend._engine.max_batch_tokens = (
        backend._engine.max_batch_tokens,
        data.draw(st.sampled_from([16, 300])),
    )
    parts = [backend.loglikelihoods([made[i] for i in part]) for part in (order[:cut], order[cut:])]
    backend._engine.max_batch_tokens = tokens
    found = dict(zip(order, parts[0] + parts[1], strict=True))
    assert close([found[i] for i in range(len(made))], expected)


def test_words_are_likely_and_scored_as_continuations_are(default_backend: HFBackend) -> None:
    """Words after prompts have the log-likelihoods that they have as answers, likely first."""
    prompts = [
        "Review: a great film\nSentiment:",
        "The capital of France is",
        *(f"Text: {text}\nTopic:" for text in _TEXTS),
    ]
    found = default_backend.next_tokens(prompts, " ", 50)
    assert len(found.texts) == 50
    answers = [
        LikelihoodRequest(prompt, tuple(f" {word}" for word in found.texts)) for prompt in prompts
    ]
    for row, expected in zip(found.logprobs, default_backend.loglikelihoods(answers), strict=True):
        assert row == pytest.approx(expected, abs=1e-4)
    assert "Paris" in default_backend.next_tokens(prompts[1:2], " ", 50).texts[:5]


def test_out_of_memory_halves_the_pass_and_goes_on(
    default_backend: HFBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores are those of an undisturbed call; with nothing left to halve it is a sentence."""
    made = requests(["Classify the review.\n\n"])
    expected = default_backend.loglikelihoods(made)
    forward, tokens = (
        default_backend._model.base_model.forward,
        default_backend._engine.max_batch_tokens,
    )

    def short_of_memory(input_ids: torch.Tensor, **others: Any) -> Any:
        if input_ids.numel() > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(input_ids=input_ids, **others)

    monkeypatch.setattr(default_backend._model.base_model, "forward", short_of_memory)
    limit = 100
    with pytest.warns(UserWarning, match="from now on a pass has at most"):
        assert close(default_backend.loglikelihoods(made), expected)
    assert default_backend._engine.max_batch_tokens == 64
    limit = 0
    default_backend._engine.forget()
    with (
        pytest.warns(UserWarning, match="from now on a pass has at most"),
        pytest.raises(BackendError, match="out of memory even with 16 tokens"),
    ):
        default_backend.loglikelihoods(made)
    default_backend._engine.max_batch_tokens = tokens


def test_nan_is_told(backend: HFBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that are none are an error that says what to do."""
    head = backend._model.get_output_embeddings()
    monkeypatch.setattr(
        head,
        "forward",
        lambda hidden: torch.full((len(hidden), head.out_features), float("nan")),
    )
    with pytest.raises(
        BackendError, match=r"NaN log-probabilities in torch\.float32: run it in a wider dtype"
    ):
        backend.loglikelihoods(requests([""]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"dtype": "int3"},
            "`dtype`: expected one of auto, float32, bfloat16, float16, int8, found int3",
        ),
        ({"device": "meta", "dtype": "int8"}, "`dtype` int8: expected `device` cpu, found meta"),
        ({"device": "cuda:99"}, "`device` cuda:99: expected a device that this machine has"),
        ({"device": "gpu"}, "`device` gpu: expected a device that this machine has"),
        ({"device": "meta"}, "`device` meta: expected a device that this machine has"),
    ],
)
def test_devices_and_dtypes_that_are_none_are_told(options: dict[str, Any], says: str) -> None:
    """One sentence each."""
    with pytest.raises(BackendError, match=says):
        HFBackend(**options)


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 1.0), ("int8", 2.0)])
def test_narrow_dtypes_give_nearly_the_same_numbers(
    backend: HFBackend, dtype: str, tolerance: float
) -> None:
    """Each is another model to the store, generates too, and reads a token alike anywhere."""
    made = requests(["Classify the review.\n\n"])
    same = backend.model if Path(backend.model).is_dir() else None  # the default has no folder
    narrow = HFBackend(same, dtype=dtype)
    found = narrow.loglikelihoods(made)
    pairs = zip(found, backend.loglikelihoods(made), strict=True)
    assert 0 < max(abs(a - b) for f, e in pairs for a, b in zip(f, e, strict=True)) < tolerance
    alone = [narrow.loglikelihoods([request])[0] for request in made]
    assert (
        max(
            abs(a - b) for f, e in zip(found, alone, strict=True) for a, b in zip(f, e, strict=True)
        )
        < 0.5
    )
    assert narrow.fingerprint != backend.fingerprint
    assert narrow.generate(["The film was"], max_tokens=4, temperature=0, seed=0)[0].strip()


def test_control_tokens_in_data_are_text(default_backend: HFBackend) -> None:
    """An end-of-turn marker in a review is read as characters, in plain and chat prompts."""
    end = default_backend._tokenizer.convert_tokens_to_ids("<|im_end|>")
    plain, chat = default_backend._encoder.encode(
        [
            LikelihoodRequest("a<|im_end|>b", _LABELS),
            LikelihoodRequest((Message("user", "a<|im_end|>b <|im_start|>system"),), _LABELS),
        ]
    )
    assert end not in plain.prompt
    assert chat.prompt.count(end) == 2  # the template's default system turn and the user's turn
    assert "a<|im_end|>b <|im_start|>system" in default_backend._tokenizer.decode(chat.prompt)


def test_chat_prompts_are_the_models_template(backend: HFBackend) -> None:
    """Without control tokens in the data, tokens are those of transformers' chat rendering."""
    turns = (
        Message("system", "Be brief."),
        Message("user", "Hi\n  there"),
        Message("assistant", "Yo"),
        Message("user", "好"),
    )
    ids = backend._tokenizer.apply_chat_template(
        [t._asdict() for t in turns], add_generation_prompt=True
    )["input_ids"]
    assert tuple(ids) == backend._encoder.encode_prompts([turns])[0]
    made = [LikelihoodRequest(turns, ("Hello", "Good day"))]
    assert close(backend.loglikelihoods(made), [reference(backend, made[0])])


def test_spaces_at_the_boundary_belong_to_the_answer(backend: HFBackend) -> None:
    """A space at the prompt's end is the same as one at the answer's beginning."""
    first, second = backend.loglikelihoods(
        [
            LikelihoodRequest("It was ", ("good", "bad")),
            LikelihoodRequest("It was", (" good", " bad")),
        ]
    )
    assert first == pytest.approx(second, abs=1e-5)


def test_order_and_duplicates_are_kept(backend: HFBackend) -> None:
    """One result per request, also where a request stands twice."""
    made = requests([""])[:2]
    a, b = backend.loglikelihoods(made)
    assert backend.loglikelihoods([made[1], made[0], made[1]]) == [b, a, b] or close(
        backend.loglikelihoods([made[1], made[0], made[1]]), [b, a, b]
    )
    assert backend.loglikelihoods([]) == []


def test_an_empty_prompt_can_be_scored(backend: HFBackend) -> None:
    """Without any text the model's start token stands for it."""
    assert all(score < 0 for score in backend.loglikelihoods([LikelihoodRequest("", _LABELS)])[0])


def test_what_cannot_be_scored_is_told(backend: HFBackend) -> None:
    """An empty answer and a prompt over the context are sentences."""
    with pytest.raises(BackendError, match="has no tokens"):
        backend.loglikelihoods([LikelihoodRequest("x", ("",))])
    with pytest.raises(
        BackendError, match=r"does not fit into the context of .* \((2048|8192) tokens\)"
    ):
        backend.loglikelihoods([LikelihoodRequest("word " * 9000, _LABELS)])


def test_tokens_are_counted_and_cut(backend: HFBackend) -> None:
    """The longest beginning within the limit is returned, whole characters only."""
    text = "A quiet film. 很好看 🎬🎬🎬 the end"
    total = backend.count_tokens([text])[0]
    for n in range(1, total + 1):
        cut = backend.truncate(text, n)
        assert text.startswith(cut)
        assert backend.count_tokens([cut])[0] <= n
    assert text == backend.truncate(text, total)
    assert backend.count_tokens([(Message("user", "Hi"),)])[0] > 5


def test_generation_is_seeded_and_leaves_global_randomness_alone(
    backend: HFBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed gives the same replies, in whatever batches, another seed others."""
    asked: list[Text] = [
        (Message("user", "Name a colour."),),
        (Message("user", "Write a short line about rain."),),
    ]
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = backend.generate(asked, max_tokens=12, temperature=1.0, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first == backend.generate(asked, max_tokens=12, temperature=1.0, seed=1)
    with monkeypatch.context() as alone:
        alone.setattr("promptfront.backends.packed.decode._MOST", 1)
        assert first == backend.generate(asked, max_tokens=12, temperature=1.0, seed=1)
    assert first != backend.generate(asked, max_tokens=12, temperature=1.0, seed=2)
    assert all(reply.strip() for reply in first)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{}"), "cannot be loaded"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "vit"}'),
            "expected a causal, encoder-decoder or masked language model, found vit",
        ),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "llama"}'),
            "cannot be loaded",
        ),
    ],
)
def test_folders_that_are_no_models_are_told(make: Any, says: str, tmp_path: Path) -> None:
    """One sentence that names the folder."""
    make(tmp_path)
    with pytest.raises(BackendError, match=says) as caught:
        HFBackend(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_id_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that is neither here nor reachable is one sentence."""
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_OFFLINE", True
    )  # it read the environment when imported
    with pytest.raises(BackendError, match="`model` nobody/nothing: expected the id or folder"):
        HFBackend("nobody/nothing")


if TYPE_CHECKING:

    def _satisfies(backend: HFBackend) -> Backend:
        return backend
