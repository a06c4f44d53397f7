"""Every format says what `render` says, for every field name and character, in its own tool."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.contracts import Example, Prompt, Structure
from promptfront.search.export.formats import format_prompt, notes, renamed
from promptfront.search.export.names import identifiers, placeholders
from promptfront.search.prompts.render import render

ODD = (
    "review text", "final.text", "2text", "{text}", "a'b", 'a"b', "self", "loop", "true", "None",
    "class", "stop", "_x", "text", "text_2", "文本", "ﬁ", "🎬", "²", "-", "a-b", "a b", "a_b",
    "#}", "{{text}}", "\n", "model_x", "in", "field",
)  # fmt: skip
NAMES = st.sampled_from(ODD) | st.text(min_size=1, max_size=5).filter(
    lambda name: name.isprintable()
)
CHARACTERS = st.sampled_from("ab {}%#'\"\\\r\n\v\f\x1c\x1e\x85\u2028\u2029\0\t好🎬")
TEXTS = st.text(CHARACTERS | st.characters(exclude_categories=["Cs"]), max_size=12)
PROMPTS = settings(max_examples=60, deadline=None)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], Prompt, dict[str, str]]:
    """Return a document, its prompt in plain text, and values of its fields."""
    fields = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    labels = tuple(draw(st.sampled_from(("Text", "", "{{", "a{%"))) for _ in fields)
    shown = tuple((field, draw(TEXTS)) for field in fields)
    example = Example(shown, "good", rationale=draw(TEXTS))
    structure = Structure(
        labels,
        draw(st.sampled_from(("Label", "", "标签"))),
        question=draw(TEXTS),
        reasoning=draw(st.sampled_from(("", "Think in {braces}; then {marker} {{x}}."))),
    )
    prompt = Prompt(draw(TEXTS), structure, (example,) if draw(st.booleans()) else ())
    document: dict[str, Any] = {
        "input_fields": fields,
        "target_field": "label",
        "labels": ["good", "bad"],
        "scores": {"test": None},
        "calibration": {"offsets": {}},
    }
    return document, prompt, {field: draw(TEXTS) for field in fields}


def called(
    document: dict[str, Any], prompt: Prompt, style: str, values: dict[str, str]
) -> dict[str, str]:
    """Return the values by what the fields are called in a format."""
    names = renamed(document, prompt, style)
    return {names.get(field, field): value for field, value in values.items()}


@PROMPTS
@given(cases())
def test_jinja_says_what_render_says(case: tuple[dict[str, Any], Prompt, dict[str, str]]) -> None:
    """Rendered by Jinja, the template is the prompt, to the last character."""
    document, prompt, values = case
    template = jinja2.Template(format_prompt(document, prompt, "jinja"))
    assert template.render(called(document, prompt, "jinja", values)) == render(prompt, values)


@PROMPTS
@given(cases())
def test_langchain_says_what_render_says(
    case: tuple[dict[str, Any], Prompt, dict[str, str]],
) -> None:
    """Filled in by LangChain, the template is the prompt, for stripped values of one line."""
    prompts = pytest.importorskip("langchain_core.prompts")
    document, prompt, values = case
    made = json.loads(format_prompt(document, prompt, "langchain"))
    assert made.pop("_type") == "prompt"
    values = {field: "".join(value.split()) for field, value in values.items()}
    found = prompts.PromptTemplate(**made).format(**called(document, prompt, "langchain", values))
    assert found == render(prompt, values)
    assert any("strip them" in line for line in notes(document, prompt, "langchain"))


@PROMPTS
@given(cases())
def test_placeholders_can_be_told_from_text(
    case: tuple[dict[str, Any], Prompt, dict[str, str]],
) -> None:
    """Where the placeholders are replaced by values of one line, the text is the prompt."""
    document, prompt, values = case
    made, expected = (
        format_prompt(document, prompt, "text"),
        {field: f"<{i}>" for i, field in enumerate(values)},
    )
    for name, value in called(document, prompt, "text", expected).items():
        made = made.replace("{{" + name + "}}", value)
    assert made == str(render(prompt, expected)) + "\n"


@settings(max_examples=25, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_dspy_loads_the_state(fields: list[str]) -> None:
    """A `dspy.Predict` with these fields loads the state, and the demonstration by name."""
    dspy = pytest.importorskip("dspy")
    document = {"input_fields": fields, "target_field": "label x", "labels": ["good", "bad"]}
    example = Example(tuple((field, "value") for field in fields), "good")
    prompt = Prompt("Judge.", Structure(("Text",) * len(fields), "Label"), (example,))
    state = json.loads(format_prompt(document, prompt, "dspy"))
    names = identifiers([*fields, "label x"])
    predict = dspy.Predict(f"{', '.join(names[field] for field in fields)} -> {names['label x']}")
    predict.load_state(state)
    assert [dict(demo) for demo in predict.demos] == [
        {names[field]: "value" for field in fields} | {names["label x"]: "good"}
    ]
    assert predict.signature.instructions == "Judge."


@PROMPTS
@given(st.lists(NAMES, min_size=1, max_size=6, unique=True))
def test_identifiers_are_unique_and_stable(fields: list[str]) -> None:
    """No two fields get one name, and a field that is an identifier keeps its own."""
    found = identifiers(fields)
    assert len(set(found.values())) == len(fields)
    assert all(name.isidentifier() for name in found.values())
    assert identifiers([*fields]) == found
    assert identifiers(list(found.values())) == {name: name for name in found.values()}


def test_what_is_renamed_is_told() -> None:
    """The notes name each field, and formats that can hold a comment have it."""
    document = {
        "input_fields": ["final.text", "final text"],
        "target_field": "label",
        "labels": [],
        "scores": {"test": None},
        "calibration": {"offsets": {}},
    }
    prompt = Prompt("Judge.", Structure(("A", "B"), "Label"))
    assert notes(document, prompt, "jinja") == [
        "the field 'final.text' is called final_text there",
        "the field 'final text' is called final_text_2 there",
    ]
    assert format_prompt(document, prompt, "jinja").startswith(
        '{# fields: {"final.text": "final_text"'
    )
    assert (
        json.loads(format_prompt(document, prompt, "langchain"))["metadata"]["fields"]["final.text"]
        == "final_text"
    )
    assert placeholders(["text"], ["say {{ text }} twice"]) == {"text": "text_2"}
    assert notes(document, prompt, "json") == []


def test_what_a_format_loses_is_told() -> None:
    """Calibration, with the score without it, and what the prompt's text alone scores."""
    test = {"score": 0.9, "uncalibrated": 0.7, "written": 0.61, "written_n": 200}
    document = {
        "input_fields": ["text"],
        "target_field": "label",
        "labels": ["a", "b"],
        "scores": {"test": test},
        "calibration": {"offsets": {"a": 0.1, "b": -0.1}},
        "answers_by": "likelihood",
    }
    prompt = Prompt("Judge.", Structure(("A",), "Label", calibration="batch"))
    assert notes(document, prompt, "jinja") == [
        "its calibration is lost: without it 0.700, not 0.900",
        "its score is by log-likelihoods; by what the model writes it is 0.610 on 200 test rows",
    ]
    assert notes(document | {"scores": {"test": None}}, prompt, "jinja") == [
        "its calibration is lost"
    ]
    assert notes(document, prompt, "json") == []
    written = document | {"calibration": {"offsets": {}}, "answers_by": "written"}
    assert notes(written, prompt, "jinja") == []


def test_who_exports_reasoning_is_told_how_to_read_it() -> None:
    """Where the answer begins, and what has no place for the question."""
    prompt = Prompt("Add.", Structure(("Sum",), "Total", reasoning="Think; then {marker}"))
    document: dict[str, Any] = {
        "input_fields": ["sum"],
        "target_field": "total",
        "scores": {"test": None},
        "calibration": {"offsets": {}},
    }
    assert "the last 'Total:' of a reply" in notes(document, prompt, "jinja")[-1]
    assert "does not ask for the reasoning" in notes(document, prompt, "dspy")[-1]
    assert notes(document, prompt, "json") == []
    limited = document | {"reply": {"max_tokens": 416, "stop": []}}
    assert notes(limited, prompt, "text")[-1] == "give replies up to 416 tokens"
    assert notes(limited, prompt, "json") == []
