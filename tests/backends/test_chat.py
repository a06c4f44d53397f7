"""Chat templates of every kind are filled as their model reads them, or refused with a sentence."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.backends.chat import ChatTemplate, fill
from promptfront.backends.hf import HFBackend
from promptfront.search.contracts import Dated, LikelihoodRequest, Message
from promptfront.search.errors import BackendError
from tests.tiny import NO_SYSTEM, SYSTEM_LAST, TEMPLATE, byte_tokenizer, save_tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TURNS = ("system", "user", "assistant", "user")
CONTENTS = ("Judge.", "one", "good", "two")
PARTS = (
    "{% for m in messages %}<{{ m['role'] }}>{% for c in m['content'] %}{% if c['type'] == 'text' "
    "%}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
DAY = (
    "{{ 'Today: ' + (date_string if date_string is defined else strftime_now('%d %b %Y')) + '\n' }}"
)
CHAT = (Message("system", "Judge."), Message("user", "Great fun"))


def filled(template: Any, roles: tuple[str, ...] = TURNS) -> str:
    """Return turns as a template writes them."""
    return fill(ChatTemplate(byte_tokenizer(template), "m").render(roles), CONTENTS)


def test_instruction_opens_first_user_turn_where_system_is_refused() -> None:
    """Without a system turn the instruction is in the first user turn, demonstrations as ever."""
    text = filled(NO_SYSTEM)
    assert text == (
        "<|turn|>user\nJudge.\n\none<|end|>\n<|turn|>assistant\ngood<|end|>\n<|turn|>user\ntwo<|end|>\n<|turn|>model\n"
    )


def test_turns_without_system_are_left_alone() -> None:
    """What a template takes is given as it is."""
    roles = ("user", "assistant", "user")
    assert filled(TEMPLATE) == "".join(
        f"<|turn|>{role}\n{content}<|end|>\n" for role, content in zip(TURNS, CONTENTS, strict=True)
    ) + ("<|turn|>assistant\n")
    assert filled(NO_SYSTEM, roles).startswith("<|turn|>user\nJudge.<|end|>")


def test_slots_may_stand_in_any_order() -> None:
    """A template may move the system's text into the last user turn."""
    assert filled(SYSTEM_LAST) == "<|turn|>one<|end|> good</s><|turn|>Judge.\n\ntwo<|end|>"


def test_contents_in_parts() -> None:
    """A template that reads contents as lists of parts, as those with images, gets them so."""
    assert filled(PARTS) == "<system>Judge.<user>one<assistant>good<user>two"


def test_system_that_is_dropped_is_written_into_the_user_turn() -> None:
    """A template that passes over system turns in silence loses no instruction."""
    template = (
        "{% for m in messages if m['role'] != 'system' %}<{{ m['role'] }}>{{ m['content'] }}{% "
        "endfor %}"
    )
    assert filled(template).startswith("<user>Judge.\n\none")


def test_no_thought_is_begun() -> None:
    """A template that can leave the thought out does, and says so in the fingerprint."""
    template = TEMPLATE + (
        "{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}"
    )
    assert filled(template).endswith("<think></think>")
    assert ChatTemplate(byte_tokenizer(template), "m").settings == {"enable_thinking": False}


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('never') }}",
        "{{ messages[0]['content'] + 1 }}",
        "{{ nothing.more }}",
        "{{ messages | no_such_filter }}",
        "{% for m in messages %}",
        "{{ 1 // 0 }}",
        "{{ messages[9]['content'].x.y }}",
        "{% macro again(n) %}{{ again(n) }}{% endmacro %}{{ again(1) }}",
        "{{ strftime_now() }}",
        "{% for m in messages if m['role'] == 'user' %}{{ m['content'] }}{% endfor %}",
        "{% for m in messages %}{{ m['content'] }}{{ m['content'] }}{% endfor %}",
        {"tools": TEMPLATE},
        "",
    ],
)
def test_templates_that_fail_are_one_sentence(template: Any) -> None:
    """Whatever a template raises, or does to the turns, is a sentence with the model's name."""
    with pytest.raises(BackendError, match=r"^m(:| has) .*chat template"):
        filled(template)


def test_named_templates() -> None:
    """Of several templates the default one is taken."""
    assert filled({"default": NO_SYSTEM, "tools": ""}) == filled(NO_SYSTEM)


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> HFBackend:
    """Return a model whose template writes the day."""
    return HFBackend(
        save_tiny(tmp_path_factory.mktemp("dated"), tokenizer=byte_tokenizer(DAY + TEMPLATE))
    )


def test_the_day_is_given(dated: HFBackend) -> None:
    """The day that a template writes is the backend's, at first today.

    Prompts and fingerprint follow it.
    """
    assert isinstance(dated, Dated)
    assert dated.writes_date
    assert dated.date == datetime.date.today().isoformat()
    request = LikelihoodRequest(CHAT, ("good", "bad"))
    found: dict[str, list[Any]] = {}
    for day in ("2024-07-26", "2031-01-05", "2024-07-26"):
        dated.date = day
        found.setdefault(day, []).append((dated.fingerprint, dated.loglikelihoods([request])))
    assert found["2024-07-26"][0] == found["2024-07-26"][1]
    assert found["2024-07-26"][0][0] != found["2031-01-05"][0][0]
    assert found["2024-07-26"][0][1] != found["2031-01-05"][0][1]


def test_the_hour_is_not_written() -> None:
    """A template that writes the time writes midnight: it changes within a run."""
    template = ChatTemplate(
        byte_tokenizer("{{ strftime_now('%Y-%m-%d %H:%M:%S') }}" + TEMPLATE), "m"
    )
    template.date = "2025-02-03"
    assert template.render(["user"]).startswith("2025-02-03 00:00:00")


def test_day_changes_nothing_where_it_is_not_written(tiny: Callable[..., str]) -> None:
    """A template without a date has the same fingerprint on every day."""
    backend = HFBackend(tiny("llama"))
    before = backend.fingerprint
    backend.date = "1999-12-31"
    assert not backend.writes_date
    assert backend.fingerprint == before


def test_same_numbers_with_and_without_slots(tmp_path: Path) -> None:
    """A prompt is read as the template writes it with the contents in place."""
    backend = HFBackend(save_tiny(tmp_path, tokenizer=byte_tokenizer(NO_SYSTEM)))
    text = "<|turn|>user\nJudge.\n\nGreat fun<|end|>\n<|turn|>model\n"
    tokens = byte_tokenizer(NO_SYSTEM)(text, add_special_tokens=False)["input_ids"]
    assert backend.count_tokens([CHAT]) == [len(tokens)]
