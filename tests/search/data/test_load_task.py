"""Tasks from names, files, columns and task files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from promptfront.search.contracts import Constraint, Example, Prompt, Structure
from promptfront.search.data.lengths import shorten_inputs
from promptfront.search.data.load_task import load_task
from promptfront.search.errors import InputError


def write(
    path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")
) -> str:
    """Write a table and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def rows(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Return different texts labelled good and bad in turn."""
    return [(f"text number {i}", ("good", "bad")[i % 2]) for i in range(start, start + count)]


def test_a_file_alone_is_a_task(tmp_path: Path) -> None:
    """Columns, labels, splits and a starting prompt are found without being told."""
    task = load_task(data=write(tmp_path / "reviews.csv", rows(120)))
    assert ("reviews", ("bad", "good"), ("text",), "label") == (
        task.name,
        task.labels,
        task.input_fields,
        task.target_field,
    )
    assert (36, 36, 48) == (len(task.train), len(task.dev), len(task.test))
    assert task.start == Prompt("Classify the text as bad or good.", Structure(("Text",), "Label"))


def test_options_go_first(tmp_path: Path) -> None:
    """Columns, instruction and labels can be said; numbers sort as numbers."""
    data = write(
        tmp_path / "a.csv",
        [(t, str(i % 3 * 5)) for i, (t, _) in enumerate(rows(20))],
        ("body", "stars"),
    )
    task = load_task(
        data=data, input_columns=("body",), target_column="stars", instructions=("Rate {it}.",)
    )
    assert ("0", "5", "10") == task.labels
    assert task.start.instruction == "Rate {it}."
    several = load_task(data=data, target_column="stars", instructions=("Rate {it}.", "Stars?"))
    assert ("Rate {it}.", ("Stars?",)) == (several.start.instruction, several.instructions)
    assert ("10", "5", "0") == load_task(
        data=data, target_column="stars", choices=("10", "5", "0")
    ).labels


def test_labels_that_are_numbers_sort_as_numbers(tmp_path: Path) -> None:
    """Signs and fractions count; what only resembles a number comes after."""
    labels = ("-10", "-1", "0", "2.5", "nan", "²")
    data = write(tmp_path / "a.csv", [(f"t{i}", labels[i % 6]) for i in range(30)])
    assert labels == load_task(data=data).labels


def test_choices_keep_the_texts_of_a_task_file(tmp_path: Path) -> None:
    """Choosing the order of labels does not lose how they are written."""
    write(tmp_path / "d.csv", rows(20))
    (tmp_path / "t.yaml").write_text("data: d.csv\nlabels: {bad: sad, good: happy}\n")
    task = load_task(str(tmp_path / "t.yaml"), choices=("good", "bad"))
    assert ("good", "bad") == task.labels
    assert (("good", "happy"), ("bad", "sad")) == task.start.structure.verbalizers


def test_given_files_keep_their_roles(tmp_path: Path) -> None:
    """What is called test stays test, and an input that is in two files is used once."""
    train, dev = write(tmp_path / "train.csv", rows(10)), write(tmp_path / "dev.csv", rows(6, 8))
    test = write(tmp_path / "test.csv", rows(6, 12))
    task = load_task(train=train, dev=dev, test=test)
    assert {e.inputs[0][1] for e in task.test} == {t for t, _ in rows(6, 12)}
    assert (8, 4, 6) == (len(task.train), len(task.dev), len(task.test))
    assert any("in two splits" in note for note in task.notes)


def test_missing_files_are_taken_from_train(tmp_path: Path) -> None:
    """A train file alone is divided, and said so."""
    task = load_task(
        train=write(tmp_path / "train.csv", rows(30)),
        test=write(tmp_path / "test.csv", rows(6, 50)),
    )
    assert 6 == len(task.test)
    assert "dev taken from train" in task.notes
    assert 30 == len(task.train) + len(task.dev)


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
    assert ("How is it?", ("Good or bad?",)) == (task.start.instruction, task.instructions)
    file.write_text("data: data.csv\ninstruction: [1, 2]\n")
    with pytest.raises(InputError, match=r"t\.yaml:2: instruction: expected text"):
        load_task(str(file))


def test_a_named_task_takes_other_data(tmp_path: Path) -> None:
    """`--task sentiment --data FILE` keeps the task's prompt and labels."""
    data = write(
        tmp_path / "a.csv",
        [(t, "positive" if mood == "good" else "negative") for t, mood in rows(20)],
        ("text", "sentiment"),
    )
    task = load_task("sentiment", data=data)
    assert task.start.instruction.startswith("Classify the sentiment")
    assert task.source == data
    renamed = str(tmp_path / "b.csv")
    Path(renamed).write_text(Path(data).read_text().replace("text,sentiment", "body,mood"))
    other = load_task("sentiment", data=renamed, input_columns=("body",), target_column="mood")
    assert other.start.structure == task.start.structure
    with pytest.raises(InputError, match=r"b.csv: there is no column 'text'; it has body, mood"):
        load_task("sentiment", data=renamed)


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
            "at least 2 labels, each written differently, found x, x",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, limit: 3}]\n",
            "expected a whole number from 1 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: funny}]\n",
            "as rule one of words, lines, avoid",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: avoid}]\n",
            "words, a list of texts, where the rule is avoid",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: regex}]\n",
            "a pattern where the rule is regex",
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
            r"t.yaml:2: expected whole characters, found half of one in 'x \\ud83d'",
        ),
        (
            "data: d.csv\nname: " + "[" * 5000,
            r"t.yaml: expected YAML, but its brackets are nested too deep",
        ),
        ("data: d.csv\nname: !!bool x\n", r"t.yaml: expected YAML, but 'x'"),
        ("data: d.csv\nsizes: &a {dev: *a}\n", r"t.yaml:2: sizes: expected whole numbers"),
        (
            "data: d.csv\nconstraints: [a, b,\n  a]\n",
            r"t.yaml:3: constraints: expected different names, and 'a' stands",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, name: yes}]\n",
            r"t.yaml:2: constraints: expected text as name",
        ),
        (
            "data: d.csv\nconstraints:\n- a\n- {text: x, rule: words}\n",
            r"t.yaml:4: .* a limit, .* where the rule is words",
        ),
        (
            "data: d.csv\nconstraints: [{text: x, rule: lines}]\n",
            r"t.yaml:2: .* a limit, .* where the rule is lines",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}'}]\n",
            r"t.yaml:2: .* where \{limit\} is in the text",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: 0}]\n",
            r"t.yaml:2: .* whole number from 1 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: -9}]\n",
            r"t.yaml:2: .* whole number from 1 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: yes}]\n",
            r"t.yaml:2: .* whole number from 1 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: 2.5}]\n",
            r"t.yaml:2: .* whole number from 1 as limit",
        ),
        (
            "data: d.csv\nconstraints: [{text: 'a {limit}', limit: '3'}]\n",
            r"t.yaml:2: .* whole number from 1 as limit",
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
    assert "好吗" == load_task(str(tmp_path / "t.yaml")).start.instruction
    (tmp_path / "t.yaml").write_bytes(b"data: d.csv\ninstruction: caf\xe9\n")
    with pytest.raises(InputError, match=r"t.yaml:2: expected UTF-8 text, found the byte 0xe9"):
        load_task(str(tmp_path / "t.yaml"))


def test_missing_task_file_is_told() -> None:
    """A task file that is not there is named."""
    with pytest.raises(InputError, match=r"none\.yaml: the task file cannot be read"):
        load_task("none.yaml")


def test_wrong_columns_are_told(tmp_path: Path) -> None:
    """The sentence has the file, its columns, and the closest name."""
    data = write(tmp_path / "a.csv", rows(20))
    with pytest.raises(
        InputError, match=r"no column 'txt' \(did you mean 'text'\?\); it has text, label"
    ):
        load_task(data=data, input_columns=("txt",))
    with pytest.raises(InputError, match="cannot be both input and target"):
        load_task(data=data, input_columns=("label",), target_column="label")
    with pytest.raises(InputError, match="expected different input columns, found text, text"):
        load_task(data=data, input_columns=("text", "text"))
    several = write(tmp_path / "c.csv", rows(20), ("question", "sentence"))
    with pytest.raises(
        InputError, match=r"c.csv: which column is the input\? .* one of question, sentence"
    ):
        load_task(data=several)
    odd = write(tmp_path / "b.csv", rows(20), ("one", "two"))
    with pytest.raises(InputError, match="which column is the input"):
        load_task(data=odd)


def test_wrong_labels_are_told_with_their_line(tmp_path: Path) -> None:
    """A label that is not among the choices is found where it stands."""
    data = write(tmp_path / "a.csv", [*rows(9), ("x", "goood"), ("y", "")])
    with pytest.raises(
        InputError, match=r"a.csv:11: expected one of good, bad.*'goood' \(did you mean 'good'\?\)"
    ):
        load_task(data=data, choices=("good", "bad"))
    with pytest.raises(
        InputError, match=r"a.csv:12: expected one of bad, good, goood in 'label', found no label"
    ):
        load_task(data=data)


def test_missing_values_are_told_with_their_line(tmp_path: Path) -> None:
    """A null is not an empty text: the row is named, even where it comes first."""
    lines = [f'{{"text": "{t}", "label": "{mood}"}}' for t, mood in rows(20)]
    for number, broken in (
        (1, '{"text": null, "label": "good"}'),
        (3, '{"text": NaN, "label": "good"}'),
    ):
        (tmp_path / "a.jsonl").write_text(
            "\n".join([*lines[: number - 1], broken, *lines[number:]])
        )
        with pytest.raises(
            InputError, match=rf"a.jsonl:{number}: there is no value for 'text'; the row has label"
        ):
            load_task(data=f"{tmp_path}/a.jsonl")


def test_free_text_and_single_labels_are_told(tmp_path: Path) -> None:
    """A target that is no label is not scored as one."""
    with pytest.raises(InputError, match="looks like free text"):
        load_task(data=write(tmp_path / "a.csv", [(f"t{i}", f"answer {i}") for i in range(60)]))
    with pytest.raises(InputError, match="expected at least 2 different labels"):
        load_task(data=write(tmp_path / "b.csv", [(f"t{i}", "same") for i in range(60)]))
    with pytest.raises(
        InputError, match="expected at least 2 labels, each written differently, found good"
    ):
        load_task(data=write(tmp_path / "c.csv", rows(20)), choices=("good",))


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    """One row cannot be divided."""
    with pytest.raises(InputError, match="expected at least 8 different rows"):
        load_task(data=write(tmp_path / "a.csv", rows(2)))
    with pytest.raises(InputError, match="expected at least 2 different"):
        load_task(data=write(tmp_path / "b.csv", rows(1)))
    train, test = write(tmp_path / "train.csv", rows(20)), write(tmp_path / "test.csv", rows(1, 90))
    with pytest.raises(
        InputError, match=r"test.csv: expected at least 2 different rows in test, found 1"
    ):
        load_task(train=train, dev=train, test=test)


def test_contradicting_options_are_told(tmp_path: Path) -> None:
    """Data to be split and data already split do not go together."""
    data = write(tmp_path / "a.csv", rows(20))
    with pytest.raises(InputError, match="found both"):
        load_task(data=data, train=data)
    with pytest.raises(InputError, match="expected both `dev` and `test`"):
        load_task(test=data)
    with pytest.raises(InputError, match="names no data"):
        load_task()
    with pytest.raises(InputError, match="has the labels negative, positive"):
        load_task("sentiment", choices=("a", "b"))


def test_references_in_rows_of_their_own_are_answers_of_one(tmp_path: Path) -> None:
    """For free text, rows of one input are one row with several accepted answers."""
    answers = [
        (f"Text {i}" if j else f"text  {i}", f"phrase {i} {j}")
        for i in range(10)
        for j in (0, 1, 1)
    ]
    task = load_task(data=write(tmp_path / "a.csv", answers), scorer="chrf")
    assert 10 == len(task.dev)
    assert all(e.inputs[0][1].startswith("text  ") for e in task.dev)
    assert all(
        e.golds == (f"phrase {n} 0", f"phrase {n} 1")
        for e in task.dev
        for n in [e.inputs[0][1].split()[1]]
    )
    assert (
        f"{tmp_path}/a.csv: 30 rows of the same inputs with different answers joined to 10"
        == task.notes[0]
    )
    alone = load_task(data=write(tmp_path / "b.csv", answers[::3]), scorer="chrf")
    assert [(e.target, e.references) for e in alone.dev] == [(e.target, ()) for e in task.dev]


def test_contradictions_that_leave_no_rows_are_told(tmp_path: Path) -> None:
    """Where labels of the same inputs differ, the sentence says so."""
    data = write(
        tmp_path / "a.csv", [(text, label) for text, _ in rows(20) for label in ("good", "bad")]
    )
    with pytest.raises(
        InputError,
        match=r"found 0 \(40 rows dropped whose .* different targets\); give each input one",
    ):
        load_task(data=data)


def test_readers_notes_reach_the_task(tmp_path: Path) -> None:
    """What a reader took for granted stands before what the splits did."""
    (tmp_path / "a.csv").write_text(
        "text;label\n" + "".join(f"{t};{label}\n" for t, label in [*rows(20), *rows(1)])
    )
    notes = load_task(data=str(tmp_path / "a.csv")).notes
    assert (
        f"{tmp_path}/a.csv: read as cells between semicolons",
        "1 duplicate rows dropped",
    ) == notes[:2]


def test_a_list_is_no_label(tmp_path: Path) -> None:
    """Rows with several labels are refused, unless their lists are named as choices."""
    data = write(
        tmp_path / "a.csv",
        [(t, '["a"]' if label == "bad" else '["a", "b"]') for t, label in rows(20)],
    )
    with pytest.raises(InputError, match=r"a.csv:2: expected one label .*, and a list is no label"):
        load_task(data=data)
    assert 2 == len(load_task(data=data, choices=('["a"]', '["a", "b"]')).labels)


def test_over_long_inputs_are_cut_and_counted(tmp_path: Path) -> None:
    """Dev and test rows are cut to their first tokens, training rows dropped, both said."""
    long = [(f"{i} " + "word " * 700, "good") for i in range(30)]
    task = load_task(data=write(tmp_path / "a.csv", rows(60) + long))

    def words(texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    short = shorten_inputs(task, lambda t, n: " ".join(t.split()[:n]), words)
    assert (
        max(words([e.inputs[0][1] for s in (short.train, short.dev, short.test) for e in s])) == 512
    )
    assert len(short.dev) == len(task.dev)
    assert any("cut to their first 512" in note for note in short.notes)
    assert any("training rows over 512 tokens dropped" in note for note in short.notes)


def test_cutting_makes_no_row_a_second_time() -> None:
    """Texts that differ only past the limit are one input, and that is in one split only."""

    def words(texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def example(text: str) -> Example:
        return Example((("text", text),), "x")

    task = replace(
        load_task("sentiment"),
        train=(example("a " * 511 + "a"), example("p")),
        dev=(example("a " * 600 + "y"), example("d")),
        test=(example("a " * 600 + "z"), example("t")),
        notes=(),
    )

    def cut(text: str, most: int) -> str:
        return " ".join(text.split()[:most])

    short = shorten_inputs(task, cut, words)
    assert ((example("p"),), (example("d"),), 2) == (short.train, short.dev, len(short.test))
    assert "2 rows dropped that are the same as another once cut" in short.notes
    none_short = shorten_inputs(replace(task, train=(example("b " * 600),)), cut, words)
    assert (example(cut("b " * 600, 512)),) == none_short.train
    assert "1 training rows over 512 tokens cut, as none is shorter" in none_short.notes
    with pytest.raises(InputError, match="too few rows have at most 512 tokens"):
        shorten_inputs(replace(task, train=(example("a " * 600 + "x"),)), cut, words)


def test_free_text_has_answers_instead_of_labels(tmp_path: Path) -> None:
    """A list is several accepted answers; how long a reply may be follows from them."""
    lines = [
        {"question": f"q{i} {{x}}", "answer": [f"answer {i}", f"{i}"] if i % 2 else f"answer {i}"}
        for i in range(20)
    ]
    (tmp_path / "qa.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = load_task(data=str(tmp_path / "qa.jsonl"), scorer="token-f1")
    rows = (*task.train, *task.dev, *task.test)
    assert {row.golds for row in rows if row.references} == {
        (f"answer {i}", f"{i}") for i in range(1, 20, 2)
    }
    assert (task.labels, task.max_tokens, task.stop, task.scorer) == ((), 16, ("\n",), "token-f1")
    assert task.start.instruction == "Read the question and write the answer."


def test_labels_may_be_written_instead(tmp_path: Path) -> None:
    """With a scorer of replies a task with labels asks for its labels as text."""
    data = write(tmp_path / "a.csv", rows(20))
    assert load_task(data=data, scorer="exact-match").labels == ()
    assert load_task("sentiment", scorer="exact-match").labels == ()
    with pytest.raises(InputError, match="it scores labels, and task 'math' has none"):
        load_task("math", scorer="labels")


def test_a_task_file_asks_for_free_text(tmp_path: Path) -> None:
    """Its scorer may be a file beside it."""
    write(tmp_path / "a.csv", rows(20))
    (tmp_path / "s.py").write_text(
        "def same(reply, example):\n    return float(reply == example.target)\n"
    )
    (tmp_path / "t.yaml").write_text('data: a.csv\nscorer: s.py:same\nmax_tokens: 3\nstop: ["."]\n')
    task = load_task(str(tmp_path / "t.yaml"))
    assert (task.scorer, task.max_tokens, task.stop) == (f"{tmp_path}/s.py:same", 3, (".",))


def test_an_empty_answer_is_told(tmp_path: Path) -> None:
    """With file and line."""
    (tmp_path / "a.csv").write_text("text,answer\na,b\nc,\n")
    with pytest.raises(InputError, match=r"a\.csv:3: expected an answer in 'answer', found none"):
        load_task(data=str(tmp_path / "a.csv"), scorer="rouge-l")
