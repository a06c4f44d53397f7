"""Task files: what they may say, and what is told of any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptfront.search.contracts import Constraint, Structure
from promptfront.search.data.load_task import load_task
from promptfront.search.errors import InputError
from tests.search.data.labelled import rows, write


def test_a_task_file_says_it_all(tmp_path: Path) -> None:
    """Every key of a task file has its effect."""
    write(tmp_path / "data.csv", rows(20), ("body", "mood"))
    (tmp_path / "t.yaml").write_text(
        "name: mood\ndata: data.csv\ninput: {body: Comment}\ntarget: {mood: Mood}\n"
        "labels: {good: happy, bad: sad}\ninstruction: How is it?\nquestion: Happy or sad?\n"
        "constraints:\n  - Be brief.\n  - {name: length, text: 'At most {limit} words.', limit: "
        "3}\nsizes: {dev: 3, test: 4}\n"
    )
    task = load_task(str(tmp_path / "t.yaml"))
    assert task.start.structure == Structure(
        ("Comment",),
        "Mood",
        layout="chat",
        question="Happy or sad?",
        verbalizers=(("good", "happy"), ("bad", "sad")),
    )
    assert ("mood", "How is it?", 3, 4) == (
        task.name,
        task.start.instruction,
        len(task.dev),
        len(task.test),
    )
    assert task.constraints == (
        Constraint("Be brief.", "Be brief."),
        Constraint("length", "At most {limit} words.", 3),
    )


def test_a_task_file_can_name_several_instructions(tmp_path: Path) -> None:
    """The first is the start, the others are tried first.

    A list of anything else is told with its line.
    """
    write(tmp_path / "data.csv", rows(20))
    file = tmp_path / "t.yaml"
    file.write_text("data: data.csv\ninstruction:\n  - How is it?\n  - Good or bad?\n")
    task = load_task(str(file))
    own = "How is it? Answer bad or good."
    assert (own, ("Good or bad?",)) == (task.start.instruction, task.instructions)
    file.write_text("data: data.csv\ninstruction: [1, 2]\n")
    with pytest.raises(InputError, match=r"t\.yaml:2: instruction: expected text"):
        load_task(str(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "name: x\ninstrction: hi\n",
            r"t.yaml:2: unknown key 'instrction' \(did you mean 'instruction'\?\)",
        ),
        ("name: [x\n", r"t.yaml:\d: expected YAML"),
        ("- a\n", "expected keys such as name"),
        (
            "data: d.csv\nlabels: [yes, no]\n",
            r"t.yaml:2: labels: expected two or more labels, each quoted",
        ),
        ("data: d.csv\ninput: 3\n", r"t.yaml:2: input: expected a column"),
        ("data: d.csv\nsizes: {dev: many}\n", r"t.yaml:2: sizes: expected whole numbers"),
        ("data: d.csv\nsizes: {dev: 1}\n", r"t.yaml:2: sizes: expected dev of at least 2"),
        ("data: d.csv\ntrain: d.csv\n", r"t.yaml:2: train: expected either data .* not both"),
        (
            "data: d.csv\nname: x\nname: y\n",
            r"t.yaml:3: expected each key once, found 'name' again",
        ),
        ("{name: x, name: y}", r"t.yaml:1: expected each key once, found 'name' again"),
        ("data: d.csv\ntrue: x\n", r"t.yaml:2: unknown key 'true'"),
        ("~: x\n", r"t.yaml:1: unknown key '~'"),
        ("!!binary data: x\n", r"t.yaml:1: unknown key 'data'"),
        ("<<: {name: 1}\n", r"t.yaml:1: unknown key '<<'"),
        ("data: d.csv\nname: 2024-13-45\n", r"t.yaml: expected YAML, but month"),
        ("data: d.csv\nname: x\x07\n", r"t.yaml: expected YAML, but unacceptable character"),
        (
            "data: d.csv\nlabels: {good: x, bad: x}\n",
            "at least 2 labels with different texts, found x, x",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, limit: 3}]\n",
            "expected {limit} in the text of a constraint with a limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: funny}]\n",
            "avoid, include, choice, regex, json, language as rule, found",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: avoid}]\n",
            "expected a list of texts as words for the rules avoid",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: regex}]\n",
            "expected a pattern for the rule regex",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: regex, pattern: '('}]\n",
            "a regular expression as pattern",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: json, schema: {type: many}}]\n",
            "a JSON schema",
        ),
        ("name: x\n", "names no data"),
        ("data: d.csv\nscorer: rouge9\n", "unknown scorer 'rouge9'"),
        (
            "data: d.csv\nmax_tokens: many\n",
            r"t.yaml:2: max_tokens: expected a whole number from 1 to 1000000",
        ),
        ("data: d.csv\nmax_tokens: true\n", r"t.yaml:2: max_tokens: expected a whole number"),
        (
            "data: d.csv\nmax_tokens: 10000000000\n",
            r"t.yaml:2: max_tokens: expected a whole number",
        ),
        (
            "data: d.csv\nname: 2020-01-01\n",
            r"t.yaml:2: name: expected text \(quote it\), found 2020-01-01",
        ),
        ("data: d.csv\nyes: x\n", r"t.yaml:2: unknown key 'yes'"),
        ("data: d.csv\n~: x\n", r"t.yaml:2: unknown key '~'"),
        ("a: &a {name: x}\n<<: *a\n", r"t.yaml:1: unknown key 'a'"),
        (
            "data: d.csv\nlabels: {a: x,\n  a: y}\n",
            r"t.yaml:3: expected each key once, found 'a' again",
        ),
        (
            "data: d.csv\nlabels: {1: x, '1': y}\n",
            r"t.yaml:2: expected each key once, found '1' again",
        ),
        (
            "data: d.csv\nlabels: [1, '1']\n",
            r"t.yaml:2: labels: expected different labels, none of them empty",
        ),
        (
            "data: d.csv\nlabels: ['', a]\n",
            r"t.yaml:2: labels: expected different labels, none of them empty",
        ),
        ("data: ''\n", r"t.yaml:1: data: expected a file or a data set"),
        (
            "data: d.csv\ninput: text\ntarget: text\n",
            r"t.yaml:2: input: expected different columns",
        ),
        ("data: d.csv\ninput: [text, text]\n", r"t.yaml:2: input: expected different columns"),
        ("data: d.csv\ninput: []\n", r"t.yaml:2: input: expected a column"),
        (
            'data: d.csv\ninstruction: "x \\ud83d"\n',
            r"t.yaml:2: expected valid Unicode, found a lone surrogate in 'x \\ud83d'",
        ),
        (
            "data: d.csv\nname: " + "[" * 5000,
            r"t.yaml: expected YAML, but its brackets are nested too deeply",
        ),
        ("data: d.csv\nname: !!bool x\n", r"t.yaml: expected YAML, but 'x'"),
        ("data: d.csv\nsizes: &a {dev: *a}\n", r"t.yaml:2: sizes: expected whole numbers"),
        (
            "data: d.csv\nconstraints: [a, b,\n  a]\n",
            r"t.yaml:3: constraints: expected different names, but 'a' occurs",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, name: yes}]\n",
            r"t.yaml:2: constraints: expected text as name",
        ),
        (
            "data: d.csv\nconstraints:\n- a\n- {text: x, rule: max_words}\n",
            r"t.yaml:4: .* as limit, because the rule is max_words",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: max_lines}]\n",
            r"t.yaml:2: .* as limit, because the rule is max_lines",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}'}]\n",
            r"t.yaml:2: .* because the text has \{limit\}",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: 0}]\n",
            r"t.yaml:2: .* whole number above 0 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: -9}]\n",
            r"t.yaml:2: .* whole number above 0 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: yes}]\n",
            r"t.yaml:2: .* whole number above 0 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: 2.5}]\n",
            r"t.yaml:2: .* whole number above 0 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: '3'}]\n",
            r"t.yaml:2: .* whole number above 0 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: regex, pattern: 'a{9999999999}'}]\n",
            "a regular expression as pattern",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: regex, pattern: 7}]\n",
            "a regular expression as pattern",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: json, schema: {pattern: '('}}]\n",
            "a JSON schema",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: json, schema: {const: 2020-01-01}}]\n",
            "a JSON schema",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: json, schema: {$ref: '#'}}]\n",
            "a JSON schema",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: json, schema: {$ref: '#/a'}}]\n",
            "a JSON schema",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: json, schema: {$ref: 'http://x'}}]\n",
            "a JSON schema",
        ),
        ("data: d.csv\nstop: [1]\n", r"t.yaml:2: stop: expected text"),
    ],
)
def test_bad_task_files_are_told(tmp_path: Path, content: str, says: str) -> None:
    """Each mistake is one sentence with file and line."""
    write(tmp_path / "d.csv", rows(20))
    (tmp_path / "t.yaml").write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        load_task(str(tmp_path / "t.yaml"))
    assert "\n" not in str(caught.value)


def test_a_task_file_may_be_large_where_it_is_shown(tmp_path: Path) -> None:
    """Aliases that stand for billions of items are not written out in the sentence."""
    lines = ["a: &a0 [x, x]", *(f"a: &a{i + 1} [*a{i}, *a{i}]" for i in range(40))]
    (tmp_path / "t.yaml").write_text("stop:\n" + "".join(f"- {line[3:]}\n" for line in lines))
    with pytest.raises(InputError, match=r"t.yaml:2: stop: expected text") as caught:
        load_task(str(tmp_path / "t.yaml"))
    assert 2000 > len(str(caught.value))


def test_a_task_file_says_its_encoding(tmp_path: Path) -> None:
    """A byte order mark is understood, and bytes that are no text are told with their line."""
    write(tmp_path / "d.csv", rows(20))
    (tmp_path / "t.yaml").write_text("data: d.csv\ninstruction: 好吗\n", encoding="utf-16")
    assert "好吗。回答：bad、good。" == load_task(str(tmp_path / "t.yaml")).start.instruction
    (tmp_path / "t.yaml").write_bytes(b"data: d.csv\ninstruction: caf\xe9\n")
    with pytest.raises(InputError, match=r"t.yaml:2: expected UTF-8 text, found the byte 0xe9"):
        load_task(str(tmp_path / "t.yaml"))


def test_missing_task_file_is_told() -> None:
    """A task file that is not there is named."""
    with pytest.raises(InputError, match=r"none\.yaml: the task file cannot be read"):
        load_task("none.yaml")


def test_a_task_file_asks_for_free_text(tmp_path: Path) -> None:
    """Its scorer may be a file beside it."""
    write(tmp_path / "a.csv", rows(20))
    (tmp_path / "s.py").write_text(
        "def same(reply, example):\n    return float(reply == example.target)\n"
    )
    (tmp_path / "t.yaml").write_text('data: a.csv\nscorer: s.py:same\nmax_tokens: 3\nstop: ["."]\n')
    task = load_task(str(tmp_path / "t.yaml"))
    assert (task.scorer, task.max_tokens, task.stop) == (f"{tmp_path}/s.py:same", 3, (".",))
