"""Reasoning before the answer: how it is asked for, shown, and where the answer begins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.contracts import Constraint, Example, Message, Prompt, Structure
from promptfront.search.prompts.reasoning import REASONING_TOKENS, reply_limits, split_reply
from promptfront.search.prompts.render import (
    prompt_from_dict,
    prompt_to_dict,
    read_reply,
    render,
)

ASKS = 'Think. End with "{marker}" and the answer.'
SHOWN = Example((("q", "1 + 1"),), "2", rationale="One and one\nare two.")
CHAT = Prompt(
    "Solve it.",
    Structure(("Sum",), "Answer", layout="chat", reasoning=ASKS),
    (SHOWN,),
    (Constraint("short", "Use at most {limit} words.", 3, "max_words"),),
)


def test_a_chat_asks_in_its_system_turn_and_shows_rationales() -> None:
    """The sentence comes last there and names the marker; an answer follows it."""
    assert render(CHAT, {"q": "2 + 2"}) == (
        Message(
            "system", 'Solve it.\nUse at most 3 words.\nThink. End with "Answer:" and the answer.'
        ),
        Message("user", "Sum: 1 + 1"),
        Message("assistant", "One and one\nare two.\nAnswer: 2"),
        Message("user", "Sum: 2 + 2"),
    )


def test_plain_text_leaves_the_marker_to_the_model() -> None:
    """The lines of a rationale are indented like all data, and so read back."""
    plain = replace(CHAT, structure=replace(CHAT.structure, layout="plain"), constraints=())
    text = render(plain, {"q": "2 + 2"})
    assert isinstance(text, str)
    *_, shown, query = text.split("\n\n")
    assert shown == "Sum: 1 + 1\nOne and one\n  are two.\nAnswer: 2"
    assert query == "Sum: 2 + 2\n"


def test_without_reasoning_rationales_are_not_shown() -> None:
    """As if there were none."""
    silent = replace(CHAT, structure=replace(CHAT.structure, reasoning=""))
    bare = replace(silent, demonstrations=(replace(SHOWN, rationale=""),))
    assert render(silent, {"q": "2 + 2"}) == render(bare, {"q": "2 + 2"})


@pytest.mark.parametrize(
    ("label", "reply", "rationale", "answer"),
    [
        ("Answer", "2 and 2\nare 4.\nAnswer: 4", "2 and 2\nare 4.", "4"),
        ("Answer", "Answer: 3? No.\n**Answer:** 4 ", "Answer: 3? No.", "4"),
        ("Answer", "### answer: **4**", "", "4"),
        ("Answer", "It is 4.", "", "It is 4."),
        ("Answer", "MyAnswer: 4", "", "MyAnswer: 4"),
        ("Answer", "So\nAnswer:", "So", ""),
        ("Answer", "So\nAnswer:\ndef f():\n    return 4", "So", "def f():\n    return 4"),
        ("", "So\nAnswer: 4", "So", "4"),
        ("答案", "二加二\n答案：4", "二加二", "4"),
        ("C++ (x)", "so\nC++ (x): 4", "so", "4"),
    ],
)
def test_the_answer_follows_the_last_marker(
    label: str, reply: str, rationale: str, answer: str
) -> None:
    """In any case and bold or not; a reply without one is the answer."""
    structure = replace(CHAT.structure, target_label=label)
    assert split_reply(structure, reply) == (rationale, answer)
    assert read_reply(structure, reply) == answer
    assert split_reply(replace(structure, reasoning=""), reply) == ("", reply)


def test_reasoning_has_room_of_its_own() -> None:
    """The answer's limits, its line's end and its form are not the reply's."""
    silent = replace(CHAT, structure=replace(CHAT.structure, reasoning=""))
    assert reply_limits(silent, 100, ["\n"]).stop == ("\n",)
    assert reply_limits(silent, 100, []).max_tokens < 20
    assert reply_limits(CHAT, 100, ["\n"]) == (100 + REASONING_TOKENS, (), None)
    longer = replace(CHAT, structure=replace(CHAT.structure, reply_factor=2))
    assert reply_limits(longer, 100, []).max_tokens == 200 + REASONING_TOKENS
    assert (
        reply_limits(
            replace(longer, constraints=(), structure=replace(silent.structure, reply_factor=4)),
            100,
            [],
        ).max_tokens
        == 400
    )
    assert prompt_from_dict(prompt_to_dict(longer)) == longer


def test_prompts_are_written_and_read_back() -> None:
    """With reasoning and rationales, which stand nowhere where there are none."""
    assert prompt_from_dict(prompt_to_dict(CHAT)) == CHAT
    silent = replace(
        CHAT,
        structure=replace(CHAT.structure, reasoning=""),
        demonstrations=(replace(SHOWN, rationale=""),),
    )
    assert "reasoning" not in prompt_to_dict(silent)["structure"]
    assert "rationale" not in prompt_to_dict(silent)["demonstrations"][0]
