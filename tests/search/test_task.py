"""Tasks from names, files, columns and task files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptfront.search.contracts import Constraint, Example, Prompt, Structure
from promptfront.search.errors import InputError
from promptfront.search.splits import Sizes, deduplicate, given_splits, shorten_inputs, split_rows
from promptfront.search.task import load_task


def write(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> str:
    """Write a table and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def rows(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Return different texts labelled good and bad in turn."""
    return [(f"text number {i}", ("good", "bad")[i % 2]) for i in range(start, start + count)]


def test_a_file_alone_is_a_task(tmp_path: Path) -> None:
    """Columns, labels, splits and a starting prompt are found without being told."""
    task = load_task(data=write(tmp_path / "reviews.csv", rows(20)))
    assert ("reviews", ("bad", "good"), ("text",), "label") == (
        task.name,
        task.labels,
        task.input_fields,
        task.target_field,
    )
    assert (6, 6, 8) == (len(task.pool), len(task.dev), len(task.test))
    assert task.start == Prompt("Classify the text as bad or good.", Structure(("Text",), "Label"))


def test_options_go_first(tmp_path: Path) -> None:
    """Columns, instruction and labels can be said; numbers sort as numbers."""
    data = write(tmp_path / "a.csv", [(t, str(i % 3 * 5)) for i, (t, _) in enumerate(rows(20))], ("body", "stars"))
    task = load_task(data=data, input_columns=("body",), target_column="stars", instruction="Rate {it}.")
    assert ("0", "5", "10") == task.labels
    assert task.start.instruction == "Rate {it}."
    assert ("10", "5", "0") == load_task(data=data, target_column="stars", choices=("10", "5", "0")).labels


def test_given_files_keep_their_roles(tmp_path: Path) -> None:
    """What is called test stays test, and an input that is in two files is used once."""
    train, dev = write(tmp_path / "train.csv", rows(10)), write(tmp_path / "dev.csv", rows(6, 8))
    test = write(tmp_path / "test.csv", rows(6, 12))
    task = load_task(train=train, dev=dev, test=test)
    assert {e.inputs[0][1] for e in task.test} == {t for t, _ in rows(6, 12)}
    assert (8, 4, 6) == (len(task.pool), len(task.dev), len(task.test))
    assert any("in two splits" in note for note in task.notes)


def test_missing_files_are_taken_from_train(tmp_path: Path) -> None:
    """A train file alone is divided, and said so."""
    task = load_task(train=write(tmp_path / "train.csv", rows(30)), test=write(tmp_path / "test.csv", rows(6, 50)))
    assert 6 == len(task.test)
    assert "dev taken from train" in task.notes
    assert 30 == len(task.pool) + len(task.dev)


def test_a_task_file_says_it_all(tmp_path: Path) -> None:
    """Every key of a task file has its effect."""
    write(tmp_path / "data.csv", rows(20), ("body", "mood"))
    (tmp_path / "t.yaml").write_text(
        "name: mood\ndata: data.csv\ninput: {body: Comment}\ntarget: {mood: Mood}\n"
        "labels: {good: happy, bad: sad}\ninstruction: How is it?\nquestion: Happy or sad?\n"
        "constraints:\n  - Be brief.\n  - {name: length, text: 'At most {limit} words.', limit: 3}\nsizes: {dev: 3, test: 4}\n"
    )
    task = load_task(str(tmp_path / "t.yaml"))
    assert task.start.structure == Structure(
        ("Comment",), "Mood", question="Happy or sad?", verbalizers=(("good", "happy"), ("bad", "sad"))
    )
    assert ("mood", "How is it?", 3, 4) == (task.name, task.start.instruction, len(task.dev), len(task.test))
    assert task.constraints == (Constraint("Be brief.", "Be brief."), Constraint("length", "At most {limit} words.", 3))


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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name: x\ninstrction: hi\n", r"t.yaml:2: unknown key 'instrction' \(did you mean 'instruction'\?\)"),
        ("name: [x\n", r"t.yaml:\d: expected YAML"),
        ("- a\n", "expected keys such as name"),
        ("data: d.csv\nlabels: [yes, no]\n", r"t.yaml:2: labels: expected two or more labels, each quoted"),
        ("data: d.csv\ninput: 3\n", r"t.yaml:2: input: expected a column"),
        ("data: d.csv\nsizes: {dev: many}\n", r"t.yaml:2: sizes: expected whole numbers"),
        ("data: d.csv\nsizes: {dev: 1}\n", "expected dev of at least 2"),
        ("data: d.csv\nconstraints: [{text: x, limit: 3}]\n", "expected a whole number as limit"),
        ("name: x\n", "names no data"),
        ("data: d.csv\nscorer: rouge9\n", "x"),
    ],
)
def test_bad_task_files_are_told(tmp_path: Path, content: str, says: str) -> None:
    """Each mistake is one sentence with file and line."""
    write(tmp_path / "d.csv", rows(20))
    (tmp_path / "t.yaml").write_text(content)
    if "scorer" in content:
        assert load_task(str(tmp_path / "t.yaml")).scorer == "rouge9"  # the plugin lookup tells
        return
    with pytest.raises(InputError, match=says) as caught:
        load_task(str(tmp_path / "t.yaml"))
    assert "\n" not in str(caught.value)


def test_missing_task_file_is_told() -> None:
    """A task file that is not there is named."""
    with pytest.raises(InputError, match=r"none\.yaml: the task file cannot be read"):
        load_task("none.yaml")


def test_wrong_columns_are_told(tmp_path: Path) -> None:
    """The sentence has the file, its columns, and the closest name."""
    data = write(tmp_path / "a.csv", rows(20))
    with pytest.raises(InputError, match=r"no column 'txt' \(did you mean 'text'\?\); it has text, label"):
        load_task(data=data, input_columns=("txt",))
    with pytest.raises(InputError, match="cannot be both input and target"):
        load_task(data=data, input_columns=("label",), target_column="label")
    odd = write(tmp_path / "b.csv", rows(20), ("one", "two"))
    with pytest.raises(InputError, match="which column is the input"):
        load_task(data=odd)


def test_wrong_labels_are_told_with_their_line(tmp_path: Path) -> None:
    """A label that is not among the choices is found where it stands."""
    data = write(tmp_path / "a.csv", [*rows(9), ("x", "goood"), ("y", "")])
    with pytest.raises(InputError, match=r"a.csv:11: expected one of good, bad.*'goood' \(did you mean 'good'\?\)"):
        load_task(data=data, choices=("good", "bad"))
    with pytest.raises(InputError, match=r"a.csv:12: expected one of bad, good, goood in 'label', found no label"):
        load_task(data=data)


def test_free_text_and_single_labels_are_told(tmp_path: Path) -> None:
    """A target that is no label is not scored as one."""
    with pytest.raises(InputError, match="looks like free text"):
        load_task(data=write(tmp_path / "a.csv", [(f"t{i}", f"answer {i}") for i in range(60)]))
    with pytest.raises(InputError, match="expected at least 2 different labels"):
        load_task(data=write(tmp_path / "b.csv", [(f"t{i}", "same") for i in range(60)]))


def test_too_few_rows_are_told(tmp_path: Path) -> None:
    """One row cannot be divided."""
    with pytest.raises(InputError, match="expected at least 8 different rows"):
        load_task(data=write(tmp_path / "a.csv", rows(2)))
    with pytest.raises(InputError, match="expected at least 2 different"):
        load_task(data=write(tmp_path / "b.csv", rows(1)))
    train, test = write(tmp_path / "train.csv", rows(20)), write(tmp_path / "test.csv", rows(1, 90))
    with pytest.raises(InputError, match="at least 2 different rows in test, found 1"):
        load_task(train=train, dev=train, test=test)


def test_contradicting_options_are_told(tmp_path: Path) -> None:
    """Data to be split and data already split do not go together."""
    data = write(tmp_path / "a.csv", rows(20))
    with pytest.raises(InputError, match="found both"):
        load_task(data=data, train=data)
    with pytest.raises(InputError, match="--dev and --test go with --train"):
        load_task(test=data)
    with pytest.raises(InputError, match="names no data"):
        load_task()
    with pytest.raises(InputError, match="has the labels negative, positive"):
        load_task("sentiment", choices=("a", "b"))


_EXAMPLES = st.lists(
    st.builds(
        lambda text, label: Example((("text", text),), label), st.text("aA b", max_size=5), st.sampled_from("xy")
    ),
    max_size=60,
)


@given(_EXAMPLES, st.integers(0, 5))
def test_no_input_is_in_two_splits(examples: list[Example], seed: int) -> None:
    """Splits are disjoint up to case and white space, complete, and the seed's alone."""
    kept, _ = deduplicate(examples)
    if len(kept) < 8:
        return
    splits = split_rows(examples, Sizes(), seed, "here")
    assert splits == split_rows(examples, Sizes(), seed, "here")
    everything = [*splits.pool, *splits.dev, *splits.test]
    assert sorted(everything, key=str) == sorted(kept, key=str)
    folded = [" ".join(e.inputs[0][1].split()).casefold() for e in everything]
    assert len(set(folded)) == len(folded)
    assert "" not in folded


@given(_EXAMPLES, _EXAMPLES, _EXAMPLES)
def test_given_splits_share_nothing(train: list[Example], dev: list[Example], test: list[Example]) -> None:
    """Whatever the files repeat, each input is used in one role, test before dev before pool."""
    try:
        splits = given_splits(train, dev, test, Sizes(), 0, "here")
    except InputError:
        return
    ids = [{" ".join(e.inputs[0][1].split()).casefold() for e in s} for s in (splits.pool, splits.dev, splits.test)]
    assert len(ids[0] | ids[1] | ids[2]) == len(ids[0]) + len(ids[1]) + len(ids[2])


def test_dropped_rows_are_counted() -> None:
    """Duplicates, contradictions and empty inputs are each said."""
    made = [
        Example((("text", t),), label) for t, label in (("a", "x"), ("A ", "x"), ("b", "x"), ("b", "y"), (" ", "x"))
    ]
    kept, notes = deduplicate(made)
    assert (made[0],) == kept
    assert {
        "1 rows without input dropped",
        "2 rows dropped whose input stands with different targets",
        "1 duplicate rows dropped",
    } == set(notes)


def test_over_long_inputs_are_cut_and_counted(tmp_path: Path) -> None:
    """Dev and test rows are cut to their first tokens, pool rows dropped, both said."""
    long = [(f"{i} " + "word " * 700, "good") for i in range(30)]
    task = load_task(data=write(tmp_path / "a.csv", rows(60) + long))

    def words(texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    short = shorten_inputs(task, lambda t, n: " ".join(t.split()[:n]), words)
    assert max(words([e.inputs[0][1] for s in (short.pool, short.dev, short.test) for e in s])) == 512
    assert len(short.dev) == len(task.dev)
    assert any("cut to their first 512" in note for note in short.notes)
    assert any("pool rows over 512 tokens dropped" in note for note in short.notes)


def test_sentiment_is_clean() -> None:
    """The built-in task has balanced-enough labels, no duplicates and full splits."""
    task = load_task("sentiment")
    assert (2000, 300, 1000) == (len(task.pool), len(task.dev), len(task.test))
    assert 0.4 < sum(e.target == "positive" for e in task.test) / 1000 < 0.6
    assert len({e.id for e in (*task.pool, *task.dev, *task.test)}) == 3300
    assert not any("''" in e.inputs[0][1] or "\ufffd" in e.inputs[0][1] for e in task.pool)
    assert task == load_task("sentiment")
    assert task.dev != load_task("sentiment", seed=1).dev
