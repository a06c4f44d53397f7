"""Prompts of the user's own go back into their files: the same bytes, but for what was changed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promptfront.search.contracts import Constraint, Prompt, Task
from promptfront.search.data.own_prompts import with_prompts
from promptfront.search.data.prompt_files import read_prompt_file
from promptfront.search.errors import InputError
from promptfront.search.export.formats import format_prompt
from promptfront.search.prompts.render import render
from tests.search.proposals.made_up import TASK, TRAIN

BRIEF = Constraint("brief", "Be brief.")
FILES = {
    "format.txt": 'Say {{a}} or {{b}}.\r\n\r\n"{text}" is {{it}}?\r\nText: {text}\r\n',
    "braces.md": '{"json": [{}]}\n\nOf {text}\nSay:',
    "jinja.j2": "\ufeffSay a or b 🙂.\n\n{{ text }} or {{text}}\n\n",
    "messages.json": '[\n\t{"role": "system", "content": "Say \\u00e9."},\n'
    '\t{"content": "{text}?", "role": "user", "name": "x"}\n]\n',
    "key.json": '{"messages": [{"role":"user","content":"{text}?"}],"model":"m"}',
    "messages.yaml": "# ours\nmodel: m\nmessages:\n  - role: system  # who\n    content: |\n"
    "      Say a or b.\n        - indented: {text}\n\n  # then\n  - role: user\n"
    "    content: >-\n      is {text}\n      good?\n",
    "promptfoo.yaml": "prompts:\n  - |-\n    Say {{text}}.\n    Now.\n  - 'Is it {{ text }}?' # b\n"
    '  - {id: x, raw: "On {{text}}:"}\ntests: []\n',
    "promptfoo.json": '{"prompts": ["Say {{text}}."], "tests": []}\n',
}


def _loaded(folder: Path, name: str, text: str) -> tuple[Task, dict[str, Any]]:
    """Return a task that starts from a file, and what an exported document says of it."""
    path = folder / name
    path.write_bytes(text.encode())
    task = with_prompts(TASK, read_prompt_file(str(path)))
    sources = json.loads(json.dumps([asdict(source) for source in task.sources]))
    document = {"input_fields": ["text"], "target_field": "label", "sources": sources}
    return task, document


@pytest.mark.parametrize("name", FILES)
def test_an_unchanged_prompt_has_the_same_bytes(tmp_path: Path, name: str) -> None:
    """Line ends, byte order mark, spelling of placeholders, comments and order of keys."""
    task, document = _loaded(tmp_path, name, FILES[name])
    for start in (task.start, *task.starts):
        assert format_prompt(document, start, "own") == FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_a_changed_prompt_is_read_again_as_it_was(tmp_path: Path, name: str) -> None:
    """What was exported and is loaded again says the same, and so do its neighbours."""
    task, document = _loaded(tmp_path, name, FILES[name])
    for place, start in enumerate((task.start, *task.starts)):
        text = start.instruction.replace("Say", "Say: 'é' \"x\"\n\n  then")
        changed = replace(start, instruction=text)
        written = format_prompt(document, changed, "own")
        again, _ = _loaded(tmp_path, name, written)
        starts = [again.start, *again.starts]
        assert starts[place].instruction == text
        others = [p.instruction for p in starts if p != starts[place]]
        assert others == [
            p.instruction for p in (task.start, *task.starts) if p.instruction != start.instruction
        ]
        assert ("\r\n" in written) == ("\r\n" in FILES[name])
        assert written.startswith("\ufeff") == FILES[name].startswith("\ufeff")


@pytest.mark.parametrize("name", FILES)
def test_examples_and_constraints_stand_in_the_file(tmp_path: Path, name: str) -> None:
    """Loaded again, it renders what the search has rendered: reasoning is asked for there too."""
    task, document = _loaded(tmp_path, name, FILES[name])
    reasons = replace(task.start.structure, reasoning='Think. Then "{marker}".', reply_factor=2)
    shown = Prompt(task.start.instruction, reasons, TRAIN[:2], (BRIEF,))
    again, _ = _loaded(tmp_path, name, format_prompt(document, shown, "own"))
    inputs = {"text": "{x} {{text}}\n\n%s"}
    assert render(again.start, inputs) == render(shown, inputs)


def test_comments_of_yaml_stay(tmp_path: Path) -> None:
    """Also where messages are added."""
    task, document = _loaded(
        tmp_path, "m.yaml", FILES["messages.yaml"].replace("{text}\n\n", "x\n\n")
    )
    shown = replace(task.start, demonstrations=TRAIN[:1], constraints=(BRIEF,))
    written = format_prompt(document, shown, "own")
    assert all(comment in written for comment in ("# ours\nmodel: m", "# who", "# then"))
    roles = [item["role"] for item in yaml.safe_load(written)["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_a_candidate_takes_the_place_of_the_prompt_it_is_like(tmp_path: Path) -> None:
    """The other prompts of a configuration stay."""
    task, document = _loaded(tmp_path, "p.yaml", FILES["promptfoo.yaml"])
    changed = replace(task.starts[0], instruction="Is it really {{text}}?")
    written = yaml.safe_load(format_prompt(document, changed, "own"))["prompts"]
    assert written == [
        "Say {{text}}.\nNow.",
        "Is it really {{ text }}?",
        {"id": "x", "raw": "On {{text}}:"},
    ]


def test_the_other_formats_hold_own_prompts_too(tmp_path: Path) -> None:
    """A text is a text and one message; DSPy has no room for it."""
    task, document = _loaded(tmp_path, "p.txt", "Say a.\n\nOf {text}!\n")
    document |= {"calibration": {"offsets": {}}, "scores": {"test": None}}
    assert format_prompt(document, task.start, "text") == "Say a.\n\nOf {{text}}!\n"
    assert json.loads(format_prompt(document, task.start, "messages")) == [
        {"role": "user", "content": "Say a.\n\nOf {{text}}!"}
    ]
    jinja = format_prompt(document, task.start, "jinja")
    assert jinja2.Template(jinja).render(text=" x\ny ") == "Say a.\n\nOf  x\ny !"
    with pytest.raises(InputError, match="dspy"):
        format_prompt(document, task.start, "dspy")


def test_other_studies_have_no_own_format(tmp_path: Path) -> None:
    """One sentence says which they have."""
    with pytest.raises(InputError, match="expected a search that started from your own prompt"):
        format_prompt({"input_fields": ["text"]}, TASK.start, "own")


def test_an_example_that_looks_like_a_placeholder_is_told(tmp_path: Path) -> None:
    """A file without escapes cannot hold it."""
    task, document = _loaded(tmp_path, "braces.md", FILES["braces.md"])
    trap = replace(TRAIN[0], inputs=(("text", "say {text}"),))
    with pytest.raises(InputError, match=r"an example in the prompt contains \{text\}"):
        format_prompt(document, replace(task.start, demonstrations=(trap,)), "own")


_PIECES = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "{{",
            "}}",
            "\n",
            "\n\n",
            " a b",
            "{text}",
            "{{ text }}",
            '"k": ',
            "# x",
            "- ",
            "'",
            "é字🙂",
            "\t",
            "  ",
            ":",
        ]
    ),
    max_size=12,
).map("".join)


@given(_PIECES, _PIECES, st.sampled_from(["p.txt", "p.j2", "p.json", "p.yaml", "f.yaml"]))
def test_any_text_goes_round(
    tmp_path_factory: pytest.TempPathFactory, before: str, after: str, name: str
) -> None:
    """Whatever stands around a placeholder: unchanged the same bytes, changed the same prompt."""
    text = f"A {before}\n{{text}} {after}".rstrip() + "."
    messages = [{"role": "user", "content": text}]
    content = {
        "p.json": json.dumps(messages),
        "p.yaml": yaml.safe_dump(messages, allow_unicode=True),
        "f.yaml": yaml.safe_dump({"prompts": [text]}, default_style='"'),
    }.get(name, text)
    folder = tmp_path_factory.mktemp("p")
    try:
        task, document = _loaded(folder, name, content)
    except InputError:  # nothing that could be a prompt
        return
    assert format_prompt(document, task.start, "own") == content
    changed = replace(task.start, instruction=task.start.instruction.replace("A ", "B: ", 1))
    again, _ = _loaded(folder, name, format_prompt(document, changed, "own"))
    assert again.start.instruction == changed.instruction
