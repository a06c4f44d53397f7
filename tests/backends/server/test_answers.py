"""What servers answer, as they do and as they should not.

A right number, a reason, or one sentence.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from promptfront.backends.openai import OpenAIBackend
from promptfront.backends.server import answers as server_answers
from promptfront.backends.server.answers import Reply, UnusableAnswerError
from promptfront.backends.tokenization import Encoder
from promptfront.search.contracts import LikelihoodRequest, Message, Unscored
from promptfront.search.errors import BackendError, InterruptedCallError
from tests.backends.scenarios import (
    chat,
    gold,
    listing,
    missing,
    refusal,
    said,
    serving,
    without_logprobs,
)

if TYPE_CHECKING:
    from tests.backends.scenarios import Answer, Body, Replies

_ROWS = ("a sunny day 1", "a dark day 2", "a sunny day 3")
_RIGHT = [(0.0, -20.0), (-20.0, 0.0), (0.0, -20.0)]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-00112233")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def remote(address: str, **options: Any) -> OpenAIBackend:
    """Return the backend, with little patience."""
    return OpenAIBackend(base_url=address, **{"retry_timeout": 2.5, **options})


def scores(
    script: Replies, labels: tuple[str, ...] = ("yes", "no"), rows: tuple[str, ...] = _ROWS
) -> list[Any]:
    """Return what a scripted server's labels are worth."""
    with serving(script) as (address, _):
        asked = [
            LikelihoodRequest((Message("user", f"Is it fine? {row}"),), labels) for row in rows
        ]
        return remote(address).loglikelihoods(asked)


def thinking(tokens: int) -> Replies:
    """Return a script that thinks for some tokens before it answers."""
    return lambda body: (
        chat(f"<think>no? yes? {gold(body)}\n</think>\n{gold(body)}")
        if body["max_tokens"] > tokens
        else chat("<think>no?", "length")
    )


def hidden_thinking(body: Body) -> Answer:
    """Think beside the content."""
    done = body["max_tokens"] > 16
    return chat(
        gold(body) if done else None,
        "stop" if done else "length",
        reasoning_content="yes, or no ...",
    )


def unknown(name: str) -> Replies:
    """Return a script that does not know a parameter."""
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    return lambda body: refusal(400, message, param=name) if name in body else chat(gold(body))


@pytest.mark.parametrize(
    "script",
    [
        lambda body: chat(gold(body).upper() + "."),
        lambda body: chat(f"Nothing speaks against it: {gold(body)}"),
        lambda body: chat(
            [{"type": "thinking", "thinking": []}, {"type": "text", "text": gold(body)}]
        ),
        thinking(16),
        thinking(1000),
        hidden_thinking,
        unknown("max_tokens"),
        unknown("temperature"),
    ],
)
def test_what_a_server_says_is_read(script: Replies) -> None:
    """Whichever way it is said, and however long the model thinks."""
    assert scores(without_logprobs(script)) == _RIGHT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (chat(None), "empty"),
        (chat(" \n"), "empty"),
        (chat(None, "length", reasoning_content="hm"), "cut"),
        (chat("<think>yes", "length"), "cut"),
        (chat("Let me look at", "length"), "cut"),
        (chat("perhaps"), "no label"),
        (chat("yes or no"), "several labels"),
        (chat("", refusal="I will not."), "refused"),
        (chat("yes", "content_filter"), "filtered"),
        ((200, {"choices": [], "usage": None}), "filtered"),
        (
            (200, {"error": {"message": "blocked", "code": "content_filter"}, "choices": None}),
            "filtered",
        ),
        (
            refusal(
                400, "The prompt triggered the content management policy.", code="content_filter"
            ),
            "filtered",
        ),
        (refusal(400, "no", code="content_policy_violation"), "filtered"),
        (refusal(403, "Your input was flagged"), "filtered"),
        (
            refusal(400, "maximum context length exceeded", code="context_length_exceeded"),
            "refused",
        ),
        (refusal(422, "cannot"), "refused"),
    ],
)
def test_a_row_that_is_not_answered_costs_its_row(answer: Answer, reason: str) -> None:
    """The others have their scores; nothing is waited for long."""
    started = time.monotonic()
    found = scores(
        without_logprobs(lambda body: answer if "dark" in said(body) else chat(gold(body)))
    )
    assert found == [_RIGHT[0], Unscored(reason), _RIGHT[2]]  # type: ignore[arg-type]
    assert time.monotonic() - started < 10


def test_what_thinking_needs_is_remembered() -> None:
    """Later requests ask for as many tokens at once.

    Free text has no thinking and is as long as it should be.
    """
    with serving(without_logprobs(thinking(16))) as (address, asked):
        backend = remote(address)
        requests = [LikelihoodRequest("a sunny day", ("yes", "no"))]
        for _ in range(2):
            assert backend.loglikelihoods(requests) == [_RIGHT[0]]
        assert [body["max_tokens"] for _, body in asked[-3:]] == [16, 528, 528]
        assert backend.generate(
            ["a sunny day"], max_tokens=5, temperature=0, seed=0, stop=["\n"]
        ) == ["yes"]
        assert "stop" not in asked[-1][1]


def test_free_text_without_text_is_none() -> None:
    """Null is no reply, nor is thinking alone; a stop ends a reply whoever cuts it."""
    with serving(
        lambda body: chat({"null": None, "think": "<think>a</think>"}.get(said(body), "a b\nc"))
    ) as (url, _):
        found = remote(url).generate(
            ["null", "think", "text"], max_tokens=9, temperature=0, seed=0, stop=["\n"]
        )
    assert found == [Unscored("empty"), Unscored("empty"), "a b"]


@pytest.mark.parametrize(
    ("listed", "labels", "expected"),
    [
        ({"Yes": 0.6, " yes": 0.3, "no": 0.05}, ("yes", "no"), (math.log(0.9), math.log(0.05))),
        (
            {"The": 0.6, "Yes": 0.3},
            ("yes", "no"),
            (math.log(0.3), pytest.approx(math.log(0.3), abs=1e-3)),
        ),
        ({"The": 0.6, "A": 0.3}, ("yes", "no"), Unscored("no label")),
        ({"yes": 0.5, "no": 0.5}, ("yes", "no"), Unscored("tie")),
        ({"pos": 0.5, "neg": 0.4}, ("positive", "negative"), (math.log(0.5), math.log(0.4))),
    ],
)
def test_listed_tokens_are_matched_over_case_and_space(
    listed: dict[str, float], labels: tuple[str, ...], expected: Any
) -> None:
    """Equal texts are summed; what is not listed is less likely than what is."""
    (found,) = scores(listing(lambda _: listed), labels, _ROWS[:1])
    if isinstance(expected, Unscored):
        assert found == expected
    else:
        assert found == pytest.approx(expected)
        assert found[0] > found[1]


def test_labels_that_begin_alike_are_written() -> None:
    """First tokens cannot tell "very good" from "very bad".

    The model writes, and the plan says so.
    """

    def script(body: Body) -> Answer:
        return listing(lambda _: {"very": 0.9})(body) if "logprobs" in body else chat("Very bad.")

    with serving(script) as (address, _):
        backend = remote(address)
        assert "answers that begin alike are written" in backend.scoring
        asked = [
            LikelihoodRequest("x", ("very good", "very bad")),
            LikelihoodRequest("x", ("very", "fine")),
        ]
        assert backend.loglikelihoods(asked) == [
            (-20.0, 0.0),
            pytest.approx((math.log(0.9),) * 2, abs=1e-3),
        ]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"<!doctype html><html>Sign in</html>",
        b"{",
        b"[" * 100_000,
        [],
        {},
        "yes",
        7,
        None,
        {"choices": None},
        {"choices": "yes"},
        {"choices": [None]},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": None, "message": None}]},
        {"choices": [{"message": "yes"}]},
        {"choices": [{"message": {"content": True}}]},
        {"error": "overloaded"},
    ],
)
def test_what_is_no_answer_is_one_sentence(value: Any) -> None:
    """It is asked for again, a few times."""
    with serving(without_logprobs(lambda _: (200, value))) as (address, asked):
        backend = remote(address)
        with pytest.raises(InterruptedCallError, match=r"no (usable )?answer (within|in)"):
            backend.loglikelihoods([LikelihoodRequest("x", ("yes", "no"))])
        assert len(asked) < 20


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["yes", "length"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "text",
                    "index",
                    "logprobs",
                    "top_logprobs",
                    "token",
                    "logprob",
                    "finish_reason",
                    "refusal",
                    "error",
                    "type",
                    "id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_unusable(value: Any) -> None:
    """No shape of an answer is another error."""
    for shape in (
        value,
        {"choices": [value]},
        {"choices": [{"message": value, "logprobs": value}]},
        {"choices": value},
    ):
        try:
            (choice,) = server_answers.choices(shape, 1)
            server_answers.thinks_first(choice)
            found = server_answers.reply(choice)
            assert isinstance(found, Unscored) or (
                isinstance(found, Reply) and found.text.encode() is not None
            )
            assert all(value <= 0 for _, _, value in server_answers.first_tokens(choice))
        except UnusableAnswerError:
            continue


@pytest.mark.parametrize(
    "models", [missing(), (200, b"<html>Sign in</html>"), (405, b""), (200, {"data": []})]
)
def test_a_server_without_a_list_of_models_needs_a_name(models: Answer) -> None:
    """With it all is well."""
    with serving(without_logprobs(lambda body: chat(gold(body))), models=models) as (address, _):
        backend = remote(address, model="modest-1")
        assert backend.loglikelihoods([LikelihoodRequest(_ROWS[0], ("yes", "no"))]) == _RIGHT[:1]
        with pytest.raises(BackendError, match="`model`"):
            remote(address)


def test_an_address_without_v1_is_understood() -> None:
    """It is found under /v1; where it is not, the sentence asks for it."""
    with serving(without_logprobs(lambda body: chat(gold(body)))) as (address, _):
        backend = remote(address.removesuffix("/v1"))
        assert backend.scoring.startswith(f"{address}: ")
        assert backend.loglikelihoods([LikelihoodRequest(_ROWS[0], ("yes", "no"))]) == _RIGHT[:1]
    with serving(lambda body: chat(gold(body)), models=missing()) as (address, _):
        backend = remote(address.removesuffix("/v1"), model="modest-1")
        with pytest.raises(BackendError, match="check that `base_url` ends in /v1"):
            backend.loglikelihoods([LikelihoodRequest(_ROWS[0], ("yes", "no"))])


def test_what_a_server_does_not_know_is_left_out_once() -> None:
    """Later requests go without it from the start."""
    with serving(without_logprobs(unknown("max_tokens"))) as (address, asked):
        backend = remote(address)
        for _ in range(3):
            backend.loglikelihoods([LikelihoodRequest(_ROWS[0], ("yes", "no"))])
        assert sum("max_tokens" in body and "logprobs" not in body for _, body in asked) <= 1
        assert asked[-1][1]["max_completion_tokens"] == 16


def test_a_server_that_refuses_everything_ends_the_run() -> None:
    """With what it says, after few requests."""
    with serving(lambda _: refusal(400, "model is asleep")) as (address, asked):
        backend = remote(address, concurrency=2)
        with pytest.raises(
            BackendError, match=r"the server refuses the request: .*model is asleep"
        ):
            backend.loglikelihoods([LikelihoodRequest(f"x {i}", ("yes", "no")) for i in range(500)])
        assert len(asked) < 60


def test_the_back_off_has_a_floor() -> None:
    """A server that asks for no pause gets one."""
    busy = refusal(429, "slow down")
    with serving(without_logprobs(lambda _: busy), headers_sent={"Retry-After": "0"}) as (
        address,
        asked,
    ):
        backend = remote(address, retry_timeout=2)
        with pytest.raises(InterruptedCallError, match="no answer within 2 s"):
            backend.loglikelihoods([LikelihoodRequest("x", ("yes", "no"))])
        assert len(asked) < 20


@pytest.mark.parametrize("wait", ["1e9", "nan", "-5", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"])
def test_no_wish_to_wait_is_longer_than_the_patience(wait: str) -> None:
    """Whatever the header says."""
    started = time.monotonic()
    with serving(
        without_logprobs(lambda _: refusal(503, "later")), headers_sent={"Retry-After": wait}
    ) as (address, _):
        backend = remote(address, retry_timeout=1)
        with pytest.raises(InterruptedCallError, match="no answer within 1 s"):
            backend.loglikelihoods([LikelihoodRequest("x", ("yes", "no"))])
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    "answer",
    [
        refusal(
            429,
            "You exceeded your current quota, please check your plan.",
            code="insufficient_quota",
        ),
        refusal(402, "Payment required"),
        refusal(403, "Your credit balance is too low"),
    ],
)
def test_what_is_used_up_ends_at_once(answer: Answer) -> None:
    """Waiting brings no money."""
    with serving(lambda _: answer) as (address, asked):
        with pytest.raises(BackendError, match="used up"):
            remote(address, retry_timeout=600).loglikelihoods(
                [LikelihoodRequest("x", ("yes", "no"))]
            )
        assert len(asked) < 5


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"top_logprobs": [None]},
        {"top_logprobs": None},
        {"content": [{"token": "a", "top_logprobs": None}]},
        "x",
        {"content": "x"},
    ],
)
def test_completions_without_numbers_are_not_taken_for_some(logprobs: Any) -> None:
    """Whatever stands where log-probabilities should."""
    with pytest.raises(UnusableAnswerError, match="without log-probabilities"):
        server_answers.first_tokens(json.loads(json.dumps({"logprobs": logprobs})))


@pytest.mark.parametrize("echoes", [False, True])
def test_a_refused_row_of_a_batch_of_completions_costs_its_row(tiny: Any, echoes: bool) -> None:
    """Prompts go to the server together.

    Which of them is refused is found out by sending each alone.
    """
    folder = tiny("llama")
    (bad,) = Encoder(AutoTokenizer.from_pretrained(folder), folder).encode_prompts([_ROWS[1]])

    def script(body: Body) -> Answer:
        prompts = body["prompt"] if isinstance(body["prompt"][0], list) else [body["prompt"]]
        if body.get("echo"):
            values = [None] + [-1.0] * (len(prompts[0]) - 1)
            made = {"choices": [{"index": 0, "text": "", "logprobs": {"token_logprobs": values}}]}
            return (200, made) if echoes else refusal(400, "no echo")
        if any(prompt[: len(bad)] == list(bad) for prompt in prompts):
            return refusal(400, "filtered", code="content_filter")
        listed = {f"token_id:{token}": -1.0 for token in body["logprob_token_ids"]}
        return 200, {
            "choices": [
                {"index": i, "text": "", "logprobs": {"top_logprobs": [listed]}}
                for i in range(len(prompts))
            ]
        }

    with serving(script, served="/v1/completions") as (address, _):
        backend = remote(address, tokenizer=folder)
        found = backend.loglikelihoods([LikelihoodRequest(row, (" a", " b")) for row in _ROWS])
    assert found[1] == Unscored("filtered")
    assert all(isinstance(scores, tuple) and len(scores) == 2 for scores in (found[0], found[2]))
