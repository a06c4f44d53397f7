"""Files with prompts of the user's own: what they may be, and what does not fit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from promptfront.search.data.load_task import load_task
from promptfront.search.data.own_prompts import with_kept, with_prompts
from promptfront.search.data.prompt_files import read_prompt_file
from promptfront.search.errors import InputError


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Return a table of tickets."""
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Ticket Text", "title", "team"])
        teams = ("hardware", "billing", "other")
        writer.writerows((f"{{it}} broke {i}", f"title {i}", teams[i % 3]) for i in range(120))
    return str(path)


def _write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("Sort {title}: {ticket_text}\n", "Sort {{title}}: {{Ticket Text}}"),
        ("Sort {{ title }}: {{Ticket Text}}{x}", "Sort {{title}}: {{Ticket Text}}{x}"),
        ("Say {{name}} of {title}", "Say {name} of {{title}}"),
        ('{"a": {title}, "b": {}} {{c}}', '{"a": {{title}}, "b": {}} {{c}}'),
        ("{{{title}}} {title}", "{{{title}}} {{title}}"),
        ("\ufeff票 🎫 {title}\r\n团队：\r\n", "票 🎫 {{title}}\n团队："),
        ("{examples}\n{title}", "{{examples}}\n{{title}}"),
    ],
)
def test_texts_are_read_as_their_braces_say(
    tmp_path: Path, data: str, text: str, instruction: str
) -> None:
    """Jinja's and str.format's placeholders, and literal braces of any kind."""
    task = load_task(data=data, target_column="team", prompts=[_write(tmp_path, "p.txt", text)])
    assert task.start.instruction == instruction
    assert task.start.structure.own
    assert task.sources[0].text == text


def test_placeholders_decide_the_inputs(tmp_path: Path, data: str) -> None:
    """Labels of demonstrations are those that the prompt puts before fields and answer."""
    text = "Sort it.\n\nTicket: {ticket text}\nTeam:"
    task = load_task(data=data, target_column="team", prompts=[_write(tmp_path, "p.txt", text)])
    assert task.input_fields == ("Ticket Text",)
    assert task.start.structure.input_labels == ("Ticket",)
    assert task.start.structure.target_label == "Team"


def test_a_target_is_found_by_its_name_and_never_shown(tmp_path: Path, data: str) -> None:
    """One sentence says where it stands."""
    with Path(data).open(encoding="utf-8") as file:
        table = file.read().replace("team", "label", 1)
    data = _write(tmp_path, "labelled.csv", table)
    shown = _write(tmp_path, "p.txt", "Sort {title}.\nIt is {label}.")
    with pytest.raises(InputError, match=r"p\.txt:2: 'label' is the answer"):
        load_task(data=data, prompts=[shown])
    task = load_task(data=data, prompts=[_write(tmp_path, "p.txt", "Sort {title}.")])
    assert task.target_field == "label"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.txt", "", "p.txt: expected the text of a prompt, found ''"),
        ("p.txt", " \n\n", "expected the text of a prompt"),
        ("p.txt", b"\x00\x01", "expected the text of a prompt"),
        ("p.txt", b"Sort\n{title} \xff", "p.txt:2: expected UTF-8 text, found the byte 0xff"),
        ("p.txt", "Sort it.", "expected a placeholder such as {Ticket Text}, found none"),
        ("p.txt", "a\nb {titel}", "p.txt:2: there is no column 'titel' (did you mean 'title'?)"),
        ("p.txt", "{{ title }}\n{{ foo }}", "p.txt:2: there is no column 'foo'"),
        ("p.j2", "{{ title | upper }}", "there is no column 'title | upper'"),
        (
            "p.txt",
            "{{title}}\n{% if x %}",
            "p.txt:2: expected no Jinja but {{ field }}, found {%",
        ),
        ("p.txt", "{title} {examples} {examples}", "expected {examples} once"),
        ("p.txt", "{title} {team}", "'team' is the answer"),
        ("p.json", "[1,\n2,,]", "p.json:2: expected JSON, but expecting value"),
        ("p.json", "[]", "p.json:1: expected a list of messages"),
        ("p.json", '[\n{"role": "bot", "content": "x"}]', "p.json:2: expected one of system"),
        ("p.json", '[{"role": "user", "content": 3}]', "expected text (quote it), found 3"),
        ("p.json", '{"messages": 3}', "expected a list of messages"),
        ("p.yaml", "a: [", "p.yaml:1: expected YAML"),
        ("p.yaml", "- role: user\n  content: a\n  content: b", "p.yaml:3: expected each key once"),
        (
            "p.yaml",
            "- role: assistant\n  content: '{title}'",
            "expected the last message from the user",
        ),
        (
            "p.yaml",
            "- role: user\n  content: |\n    a\n    {titel}",
            "p.yaml:4: there is no column",
        ),
        ("p.yaml", "prompts: 3", "p.yaml:1: expected a list of prompts, found 3"),
        ("p.yaml", "prompts:\n- a\n- [b]", "p.yaml:3: expected the text of a prompt"),
        ("p.yaml", "prompts: [file://p.py]", "expected a prompt in a text, JSON or YAML file"),
        ("p.yaml", "prompts: [file://no.txt]", "no.txt: the prompt cannot be read"),
        ("p.yaml", 'prompts: [\'[{"role": "user"}]\']', "messages in a file of their own"),
        ("p.txt", "{title}" * 200_000, "expected at most 1000000 bytes of prompt"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    tmp_path: Path, data: str, name: str, text: str | bytes, says: str
) -> None:
    """With file and line."""
    with pytest.raises(InputError) as told:
        load_task(data=data, target_column="team", prompts=[_write(tmp_path, name, text)])
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_missing_file_is_told(tmp_path: Path, data: str) -> None:
    """With the name that was meant."""
    _write(tmp_path, "prompt.txt", "x")
    with pytest.raises(InputError, match=r"cannot be read .*did you mean 'prompt.txt'"):
        load_task(data=data, prompts=[str(tmp_path / "promt.txt")])


def test_braces_that_are_no_column_are_told_of(tmp_path: Path, data: str) -> None:
    """They stand as they are, and the plan says so."""
    path = _write(tmp_path, "p.txt", "{title}\n{customer}")
    task = load_task(data=data, target_column="team", prompts=[path])
    assert f"{path}:2: {{customer}} is not a column, so it stays as text" in task.notes


def test_messages_are_read(tmp_path: Path, data: str) -> None:
    """From JSON and YAML, as a list or under their key."""
    messages = [
        {"role": "system", "content": "Sort."},
        {"role": "user", "content": "{title} \ud83d\ude00"},
    ]
    wanted = "[[system]]\nSort.\n[[user]]\n{{title}} 😀"
    for name, text in (
        ("p.json", json.dumps(messages, indent="\t")),
        ("q.json", json.dumps({"model": "x", "messages": messages})),
        ("p.yaml", "- role: system\n  content: Sort.\n- role: user\n  content: '{title} 😀'"),
    ):
        path = _write(tmp_path, name, text.replace("\ud83d\ude00", "😀"))
        task = load_task(data=data, target_column="team", prompts=[path])
        assert task.start.instruction == wanted


CONFIGURATION = """\
# what we ship
prompts:
  - "Sort {{ title }}."
  - file://other.txt
providers: [openai:gpt]
defaultTest: {vars: {desk: north}}
tests:
  - vars: {title: paper jam}
    assert:
      - {type: latency, threshold: 9}
      - {type: equals, value: hardware}
  - vars: {title: who knows}
""" + "".join(
    f"  - vars: {{title: invoice {i}}}\n    assert: [{{type: icontains, value: billing}}]\n"
    for i in range(9)
)


def test_a_promptfoo_configuration_is_prompts_and_rows(tmp_path: Path) -> None:
    """Tests with an expected value are rows; the first prompt is the start."""
    _write(tmp_path, "other.txt", "{{ title }} at {{ desk }}?")
    config = _write(tmp_path, "promptfooconfig.yaml", CONFIGURATION)
    task = load_task(prompts=[config])
    assert task.start.instruction == "Sort {{title}}."
    assert [prompt.instruction for prompt in task.starts] == ["{{title}} at {{desk}}?"]
    assert task.labels == ("billing", "hardware")
    assert len(task.dev) == 10
    assert (("title", "paper jam"), ("desk", "north")) in {row.inputs for row in task.dev}
    assert f"{config}: tests without an expected answer left out: 1" in task.notes


def test_a_variable_can_be_the_answer(tmp_path: Path) -> None:
    """Where it is named as the target."""
    tests = "\n".join(f"- vars: {{q: a{i}, gold: {'xy'[i % 2]}}}" for i in range(9))
    config = _write(tmp_path, "c.yaml", f"prompts: ['{{{{q}}}}?']\ntests:\n{tests}\n")
    assert load_task(prompts=[config], target_column="gold").labels == ("x", "y")
    with pytest.raises(InputError, match=r"c\.yaml:3: expected tests that assert"):
        load_task(prompts=[config])


def test_an_installed_task_takes_a_prompt(tmp_path: Path) -> None:
    """Its fields are those of the task."""
    task = load_task("sentiment")
    path = _write(tmp_path, "p.txt", "Is “{text}” positive or negative?")
    own = with_prompts(task, read_prompt_file(path))
    assert own.start.instruction == "Is “{{text}}” positive or negative?"
    assert load_task("sentiment", prompts=[path]).start == own.start


def test_kept_texts_must_stand_in_every_start(tmp_path: Path, data: str) -> None:
    """Also with placeholders as the file has them."""
    first = _write(tmp_path, "a.txt", "Never store {title}.\nSort it.")
    other = _write(tmp_path, "b.txt", "Sort {title}.")
    task = load_task(
        data=data, target_column="team", prompts=[first], keep=["Never store {title}.\r\n"]
    )
    assert task.keep == ("Never store {{title}}.\n",)
    for keep in ("Never", "", " "):
        with pytest.raises(InputError, match="`keep`: expected a text that is part of every"):
            load_task(data=data, target_column="team", prompts=[first, other], keep=[keep])
    assert with_kept(load_task("sentiment"), ()).keep == ()


def test_a_prompt_says_its_own_instruction_and_inputs(tmp_path: Path, data: str) -> None:
    """Options that say the same are refused."""
    path = _write(tmp_path, "a.txt", "Sort {title}.")
    with pytest.raises(InputError, match="either `prompts` or `input_columns`"):
        load_task(data=data, prompts=[path], input_columns=["title"])
