"""A prompt as its parts: what can be left out, and what is left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptfront.search.contracts import Constraint, Example, Prompt, Structure
from promptfront.search.prompts.parts import PromptParts

DEFAULT = Structure(("Text",), "Mood")
LIST = """Read the text. Then say its mood:

- good: it is kind.
- bad: it is
  not kind.

评论是好是坏？请回答。"""
PROMPT = Prompt(
    LIST,
    replace(DEFAULT, question="Which mood?", verbalizers=(("good", "fine"),)),
    (Example((("text", "a {x}"),), "good"), Example((("text", "b"),), "bad")),
    (Constraint("short", "Use {limit} words.", 3),),
)


def test_names_every_part_in_the_order_it_is_read() -> None:
    """Sentences, items of a list and Chinese ones; rules; examples; settings unlike the default."""
    parts = PromptParts(PROMPT, DEFAULT, ["text"]).all()
    assert [part.text for part in parts] == [
        "Read the text.",
        "Then say its mood:",
        "- good: it is kind.",
        "- bad: it is\n  not kind.",
        "评论是好是坏？",
        "请回答。",
        "Use 3 words.",
        "a {x} -> good",
        "b -> bad",
        "question 'Which mood?', not none",
        "verbalizers 'good', 'fine', not none",
    ]


def test_leaves_out_one_or_several() -> None:
    """What is left stays as it stands, wherever the others were."""
    parts = PromptParts(PROMPT, DEFAULT, ["text"])
    named = {part.text: part for part in parts.all()}
    gone = [named[text] for text in ("Read the text.", "- bad: it is\n  not kind.", "b -> bad")]
    left = parts.without(gone)
    assert left.instruction == "Then say its mood:\n\n- good: it is kind.\n\n评论是好是坏？请回答。"
    assert left.demonstrations == PROMPT.demonstrations[:1]
    assert left.constraints == PROMPT.constraints
    bare = parts.without(parts.all())
    assert bare == Prompt("", DEFAULT)


def test_every_set_of_parts_can_go() -> None:
    """No removal moves another part: what is left holds each part that stays, and no other."""
    parts = PromptParts(PROMPT, DEFAULT, ["text"])
    sentences = [part for part in parts.all() if part.gene == "instruction"]
    for bits in range(2 ** len(sentences)):
        gone = [part for i, part in enumerate(sentences) if bits >> i & 1]
        left = parts.without(gone).instruction
        assert [part.text in left for part in sentences] == [part not in gone for part in sentences]


@pytest.mark.parametrize("turns", ["", "[[system]]\nYou sort. Be calm.\n[[user]]\n"])
def test_places_of_inputs_and_turns_stay(turns: str) -> None:
    """In a prompt of the user's own a sentence with an input is no part, nor is a role."""
    text = f"{turns}Hear this. The text is {{{{text}}}} as it came. Say its mood."
    own = Prompt(text, replace(DEFAULT, own=True))
    parts = PromptParts(own, own.structure, ["text"]).all()
    inside = ["You sort.", "Be calm."] if turns else []
    assert [part.text for part in parts] == [*inside, "Hear this.", "Say its mood."]
