"""Tasks from names, files and columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from promptfront.search.contracts import Example, Prompt, Structure
from promptfront.search.data.lengths import shorten_inputs
from promptfront.search.data.load_task import load_task
from promptfront.search.errors import InputError
from tests.search.data.labelled import rows, write


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
    structure = Structure(("Text",), "Label", layout="chat")
    assert task.start == Prompt("Classify the text as bad or good.", structure)


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
    assert task.start.instruction == "Rate {it}. Answer 0, 5 or 10."
    several = load_task(
        data=data,
        target_column="stars",
        instructions=("Rate {it}.", "Stars?"),
        answers="likelihood",
    )
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
    assert any("rows removed because another split has them" in note for note in task.notes)


def test_missing_files_are_taken_from_train(tmp_path: Path) -> None:
    """A train file alone is divided, and said so."""
    task = load_task(
        train=write(tmp_path / "train.csv", rows(30)),
        test=write(tmp_path / "test.csv", rows(6, 50)),
    )
    assert 6 == len(task.test)
    assert "dev taken from train" in task.notes
    assert 30 == len(task.train) + len(task.dev)


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
    with pytest.raises(
        InputError, match=r"b.csv: there is no column 'text'; the columns are body, mood"
    ):
        load_task("sentiment", data=renamed)


def test_wrong_columns_are_told(tmp_path: Path) -> None:
    """The sentence has the file, its columns, and the closest name."""
    data = write(tmp_path / "a.csv", rows(20))
    with pytest.raises(
        InputError, match=r"no column 'txt' \(did you mean 'text'\?\); the columns are text, label"
    ):
        load_task(data=data, input_columns=("txt",))
    with pytest.raises(InputError, match="cannot be both input and target"):
        load_task(data=data, input_columns=("label",), target_column="label")
    with pytest.raises(InputError, match="expected different input columns, found text, text"):
        load_task(data=data, input_columns=("text", "text"))
    several = write(tmp_path / "c.csv", rows(20), ("question", "sentence"))
    with pytest.raises(
        InputError,
        match=r"c.csv: cannot tell which column is the input; name one of question, sentence",
    ):
        load_task(data=several)
    odd = write(tmp_path / "b.csv", rows(20), ("one", "two"))
    with pytest.raises(InputError, match="cannot tell which column is the input"):
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
            InputError,
            match=rf"a.jsonl:{number}: expected a value for 'text', found none; the row has label",
        ):
            load_task(data=f"{tmp_path}/a.jsonl")


def test_free_text_and_single_labels_are_told(tmp_path: Path) -> None:
    """A target that is no label is not scored as one."""
    with pytest.raises(InputError, match="looks like free text"):
        load_task(data=write(tmp_path / "a.csv", [(f"t{i}", f"answer {i}") for i in range(60)]))
    with pytest.raises(InputError, match="expected at least 2 different labels"):
        load_task(data=write(tmp_path / "b.csv", [(f"t{i}", "same") for i in range(60)]))
    with pytest.raises(
        InputError, match="expected at least 2 labels with different texts, found good"
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
    with pytest.raises(InputError, match="expected `dev` and `test` together"):
        load_task(test=data)
    with pytest.raises(InputError, match="names no data"):
        load_task()
    with pytest.raises(
        InputError, match=r"labels of task 'sentiment' \(negative, positive\), found a, b"
    ):
        load_task("sentiment", choices=("a", "b"))


def test_readers_notes_reach_the_task(tmp_path: Path) -> None:
    """What a reader took for granted stands before what the splits did."""
    (tmp_path / "a.csv").write_text(
        "text;label\n" + "".join(f"{t};{label}\n" for t, label in [*rows(20), *rows(1)])
    )
    notes = load_task(data=str(tmp_path / "a.csv")).notes
    assert (
        f"{tmp_path}/a.csv: cells are separated by semicolons",
        "1 duplicate rows dropped",
    ) == notes[:2]


def test_a_list_is_no_label(tmp_path: Path) -> None:
    """Rows with several labels are refused, unless their lists are named as choices."""
    data = write(
        tmp_path / "a.csv",
        [(t, '["a"]' if label == "bad" else '["a", "b"]') for t, label in rows(20)],
    )
    with pytest.raises(InputError, match=r"a.csv:2: expected one label .*, found the list"):
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
    assert "2 rows dropped because cutting made them duplicates" in short.notes
    none_short = shorten_inputs(replace(task, train=(example("b " * 600),)), cut, words)
    assert (example(cut("b " * 600, 512)),) == none_short.train
    assert "1 training rows over 512 tokens cut, because none is shorter" in none_short.notes
    with pytest.raises(InputError, match="expected inputs of at most 512 tokens, found too few"):
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
    with pytest.raises(InputError, match="it scores labels, but task 'math' has none"):
        load_task("math", scorer="labels")


def test_an_empty_answer_is_told(tmp_path: Path) -> None:
    """With file and line."""
    (tmp_path / "a.csv").write_text("text,answer\na,b\nc,\n")
    with pytest.raises(InputError, match=r"a\.csv:3: expected an answer in 'answer', found none"):
        load_task(data=str(tmp_path / "a.csv"), scorer="rouge-l")
