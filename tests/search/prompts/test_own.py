"""Prompts of the user's own: where constraints and demonstrations go, and what must not change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptfront.search.contracts import Constraint, Example, Message, Prompt, Structure
from promptfront.search.prompts.own import has_roles, keeps_form, own_text, own_turns
from promptfront.search.prompts.render import prompt_from_dict, prompt_to_dict, render
from promptfront.search.prompts.slots import Slot, Turn

FIELDS = ("title", "body text")
STRUCTURE = Structure(("Title", "Ticket"), "Team", layout="chat", own=True)
SHOWN = Example((("title", "Paper"), ("body text", "jam\nagain")), "hardware")
INPUTS = (("title", "{body text}"), ("body text", "  it {{title}}\nbroke 🖨 "))
BRIEF = Constraint("brief", "Answer with one word.")


def _text(instruction: str, *, examples: int = 0, rules: bool = False) -> list[str]:
    """Return the contents of the turns that a prompt is rendered as."""
    prompt = Prompt(instruction, STRUCTURE, (SHOWN,) * examples, (BRIEF,) if rules else ())
    rendered = render(prompt, INPUTS)
    assert not isinstance(rendered, str)
    return [turn.content for turn in rendered]


def test_values_stand_as_they_are_wherever_fields_are() -> None:
    """That is how the user's program puts them there: nothing is stripped, indented or read."""
    (text,) = _text("On {{title}}: {{body text}}! {title} {{other}} {{title}}")
    assert text == ("On {body text}:   it {{title}}\nbroke 🖨 ! {title} {{other}} {body text}")


def test_demonstrations_stand_before_the_line_of_the_query() -> None:
    """Constraints come before them, after what the prompt says."""
    (text,) = _text(
        "Sort it.\n\nNever guess.\n\nTicket: {{body text}}\nTeam:", examples=1, rules=True
    )
    assert text == (
        "Sort it.\n\nNever guess.\n\nAnswer with one word.\n\n"
        "Title: Paper\nTicket: jam\n  again\nTeam: hardware\n\n"
        "Ticket:   it {{title}}\nbroke 🖨 \nTeam:"
    )


def test_without_a_line_of_its_own_the_paragraph_is_the_query() -> None:
    """A sentence is not torn apart."""
    (text,) = _text("Sort it.\n\nThis one,\n{{title}}, is new.\n\nWhich team?", examples=1)
    assert text == (
        "Sort it.\n\nTitle: Paper\nTicket: jam\n  again\nTeam: hardware\n\n"
        "This one,\n{body text}, is new.\n\nWhich team?"
    )


def test_a_constraint_follows_a_prompt_that_begins_with_its_query() -> None:
    """Unless that is a line with a label."""
    assert _text("Is {{title}} new?", rules=True) == ["Is {body text} new?\nAnswer with one word."]
    assert _text("Ticket: {{title}}\nTeam:", rules=True) == [
        "Answer with one word.\n\nTicket: {body text}\nTeam:"
    ]


def test_examples_have_a_place_of_their_own() -> None:
    """Where there are none, nothing stands there."""
    text = "Sort it like these:\n{{examples}}\nTicket: {{title}}"
    assert _text(text) == ["Sort it like these:\n\nTicket: {body text}"]
    assert _text(text, examples=1) == [
        "Sort it like these:\nTitle: Paper\nTicket: jam\n  again\nTeam: hardware\n"
        "Ticket: {body text}"
    ]


def test_messages_show_examples_as_turns() -> None:
    """The constraint ends the system's turn."""
    prompt = Prompt(
        "[[system]]\nSort it.\n[[user]]\n{{title}}: {{body text}}", STRUCTURE, (SHOWN,), (BRIEF,)
    )
    assert render(prompt, INPUTS) == (
        Message("system", "Sort it.\nAnswer with one word."),
        Message("user", "Paper: jam\nagain"),
        Message("assistant", "hardware"),
        Message("user", "{body text}:   it {{title}}\nbroke 🖨 "),
    )


def test_reasoning_is_asked_for_and_shown_where_rules_and_examples_are() -> None:
    """In turns, in a text, and where an example has no rationale."""
    reasons = replace(STRUCTURE, reasoning='Think. End with "{marker}" and it.')
    examples = replace(SHOWN, rationale="Jam is of paper."), SHOWN
    messages = "[[system]]\nSort it.\n[[user]]\n{{title}}"
    assert render(Prompt(messages, reasons, examples, (BRIEF,)), INPUTS) == (
        Message("system", 'Sort it.\nAnswer with one word.\nThink. End with "Team:" and it.'),
        Message("user", "Paper"),
        Message("assistant", "Jam is of paper.\nTeam: hardware"),
        Message("user", "Paper"),
        Message("assistant", "Team: hardware"),
        Message("user", "{body text}"),
    )
    text = Prompt("Sort it.\n\nTicket: {{title}}", reasons, examples[:1])
    assert render(text, INPUTS) == (
        Message(
            "user",
            'Sort it.\n\nThink. End with "Team:" and it.\n\nTitle: Paper\nTicket: jam\n  again\n'
            "Jam is of paper.\nTeam: hardware\n\nTicket: {body text}",
        ),
    )


def test_a_long_message_is_not_repeated_for_each_example() -> None:
    """Its examples stand in it."""
    long = "[[system]]\nSort it.\n[[user]]\n" + "one word more " * 30 + "\n\nTicket: {{title}}"
    system, user = _text(long, examples=2)
    assert system == "Sort it."
    assert user.count("Team: hardware") == 2
    assert user.endswith("Ticket: {body text}")


def test_without_a_chat_template_turns_follow_each_other() -> None:
    """The prompt ends where its last word does: a space would be another word's beginning."""
    plain = replace(STRUCTURE, layout="plain")
    prompt = Prompt("[[system]]\nSort it.\n[[user]]\nTicket: {{title}}\nTeam: ", plain)
    assert render(prompt, INPUTS) == "Sort it.\n\nTicket: {body text}\nTeam:"


def test_other_prompts_are_described_as_before() -> None:
    """What identifies studies that exist stays the same; an own prompt survives."""
    assert "own" not in prompt_to_dict(Prompt("Say.", Structure(("Text",), "Label")))["structure"]
    own = Prompt("Say {{title}}.", STRUCTURE, (SHOWN,))
    assert prompt_from_dict(prompt_to_dict(own)) == own


@pytest.mark.parametrize(
    "changed",
    [
        "",
        "[[system]]\nBe kind.\n[[user]]\nSort {{title}}.",  # a field less
        "[[system]]\nBe kind.\n[[user]]\nSort {{title}}: {{body text}} {{title}}.",  # one more
        "[[system]]\nBe kind. {{title}}\n[[user]]\nSort {{body text}}.",  # in another turn
        "Be kind.\n[[user]]\nSort {{title}}: {{body text}}.",  # a role less
        "Now: [[system]]\nBe kind.\n[[user]]\nSort {{title}}: {{body text}}.",
        "[[system]]\nBe mean.\n[[user]]\nSort {{title}}: {{body text}}.",  # not what is kept
        "[[system]]\nBe kind.\n[[user]]\nSort {{title}}: {{body_text}}.",
    ],
)
def test_what_breaks_a_prompt_is_seen(changed: str) -> None:
    """Fields, turns and kept texts must stand where they stood."""
    before = Prompt("[[system]]\nBe kind.\n[[user]]\nSort {{title}}: {{body text}}.", STRUCTURE)
    assert keeps_form(before, before, FIELDS, ["Be kind."])
    assert not keeps_form(before, replace(before, instruction=changed), FIELDS, ["Be kind."])
    other = replace(before, structure=replace(STRUCTURE, question="Which?"))
    assert not keeps_form(before, other, FIELDS, [])
    asking = replace(before, structure=replace(STRUCTURE, reasoning="Think.", reply_factor=2))
    assert keeps_form(before, asking, FIELDS, ["Be kind."])


def test_texts_are_kept_in_any_prompt() -> None:
    """Other prompts may be rewritten but for these."""
    before = Prompt("Rate it. Never say why.", Structure(("Text",), "Label"))
    after = replace(before, instruction="Never say why.")
    assert keeps_form(before, after, ("text",), ["Never say why."])
    assert not keeps_form(before, replace(before, instruction="Rate it."), ("text",), ["say why."])


_CONTENT = st.lists(
    st.sampled_from(["{{title}}", "{{body text}}", "{", "}", "{{", "[[user]]", "\n", "a ", "字"])
).map("".join)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), _CONTENT), min_size=1))
def test_turns_that_are_read_are_written_again(turns: list[tuple[str, str]]) -> None:
    """Nothing of a text is lost, whatever it holds."""
    text = "\n".join(f"[[{role}]]\n{content}" for role, content in turns)
    assert own_text(own_turns(text, FIELDS), roles=True) == text
    assert has_roles(text)


def test_a_text_without_roles_is_one_turn() -> None:
    """Text that only looks like a role's line in its middle stays text."""
    assert own_turns("Hi\n[[user]]\n{{title}}", FIELDS) == (
        Turn("user", ("Hi\n[[user]]\n", Slot("title"))),
    )
