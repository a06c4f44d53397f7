"""Labels: spellings that are one, labels that splits lack, and those a model confuses."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from promptfront.backends.hf import HFBackend
from promptfront.search.api import optimize
from promptfront.search.assembly import make_evaluator
from promptfront.search.cli.main import main
from promptfront.search.cli.values import choices
from promptfront.search.contracts import (
    AnswerTokens,
    Example,
    LikelihoodRequest,
    Prompt,
    Structure,
    Task,
)
from promptfront.search.data.labels import Spellings, fold, quoted, unreadable
from promptfront.search.data.load_task import load_task
from promptfront.search.errors import InputError
from promptfront.search.evaluation.cached_model import _key
from promptfront.search.storage.database import Store
from promptfront.search.storage.opening import latest_study
from promptfront.search.storage.study import Study
from promptfront.search.storage.trials import CANDIDATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def write(path: Path, labels: Sequence[str], start: int = 0) -> str:
    """Write a table of different texts with these labels and return its path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        texts = [(f"text number {start + i}", label) for i, label in enumerate(labels)]
        csv.writer(file).writerows([("text", "label"), *texts])
    return str(path)


@pytest.mark.parametrize(
    "spellings",
    [
        ("yes", "Yes", "YES", " yes\u200b", "y\u00ades", "\ufeffyes", "\u202ayes\u202c", "ｙｅｓ"),
        ("1", "1.0", "01", "+1", "1.", "1.00", "1e0", "１", "①"),
        ("0", "0.0", "-0", "00", ".0"),
        ("-1", "\u22121", "-1.0"),
        ("true", "True", "TRUE"),
        ("not sure", "not  sure", "not\u00a0sure", "Not\tsure", "not\u3000sure"),
        ("café", "cafe\u0301", "CAFÉ"),
        ("Straße", "STRASSE"),
        ("don't know", "Don\u2019t know"),
        ("non-toxic", "non\u2011toxic"),
        ("\u2764", "\u2764\ufe0f"),
        ("", " ", "\u200b", "\u3164", "\x00"),
    ],
)
def test_spellings_of_one_label_fold_alike(spellings: tuple[str, ...]) -> None:
    """Case, white space, invisible characters, Unicode form or a number's make no other label."""
    assert 1 == len({fold(spelling) for spelling in spellings})


def test_what_differs_stays_apart() -> None:
    """Other numbers, words, accents and flags are other labels; huge numbers cost nothing."""
    others = [
        "1",
        "10",
        "1.5",
        "-1",
        "1,0",
        "1%",
        "1a",
        "true",
        "yes",
        "cafe",
        "café",
        "🙂",
        "🙃",
        "",
        "c++",
        "c",
    ]
    others += [
        "12345678901234567890123",
        "12345678901234567890124",
        "1e999",
        "1e99999999",
        "9" * 1000,
        "nan",
        "inf",
    ]
    others += ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"]
    assert len(others) == len({fold(label) for label in others})


def test_the_most_frequent_spelling_stands_for_all(tmp_path: Path) -> None:
    """Labels of all files are compared together, and the plan says what was joined."""
    train = write(tmp_path / "train.csv", ["1", "0"] * 10)
    test = write(tmp_path / "test.csv", ["1.0", "0.0"] * 6, start=100)
    task = load_task(train=train, test=test)
    assert ("0", "1") == task.labels
    assert {"0", "1"} == {row.target for row in task.test}
    assert "Classify the text as 0 or 1." == task.start.instruction
    told = (
        "6 rows labelled '1.0' are read as '1', 6 rows labelled '0.0' are read as '0'; "
        "`choices` can keep them apart"
    )
    assert told in task.notes


def test_the_first_of_equally_frequent_spellings_stands_for_all() -> None:
    """A label's text does not depend on a dictionary's order, and notes name at most a few."""
    spellings = Spellings({"No": 3, "no": 3, "Yes": 1, "yes": 2, "": 1})
    assert (("No", "yes"), "No", "yes", None) == (
        spellings.labels,
        spellings.label("no"),
        spellings.label("Yes"),
        spellings.label(""),
    )
    many = Spellings({f"{case}{i}": n for i in range(20) for case, n in (("a", 2), ("A", 1))})
    assert "and 12 more" in many.notes()[0]


def test_ordinary_labels_are_left_alone(tmp_path: Path) -> None:
    """Without two spellings of one label nothing is said, and labels keep their form and order."""
    task = load_task(data=write(tmp_path / "a.csv", ["Yes\u200b", "No", "1.0", "maybe so"] * 30))
    assert ("1.0", "No", "Yes\u200b", "maybe so") == task.labels
    assert () == task.notes


def test_choices_keep_labels_apart(tmp_path: Path) -> None:
    """A row has the choice of the same text, else the only other spelling of it."""
    data = write(tmp_path / "a.csv", ["IT", "it", "Other", "other "] * 6)
    assert ("IT", "Other") == load_task(data=data).labels
    task = load_task(data=data, choices=("IT", "it", "other"))
    assert {"IT": 6, "it": 6, "other": 12} == {
        label: sum(row.target == label for row in task.train) for label in task.labels
    }
    assert "6 rows labelled 'Other' are read as 'other'" in task.notes
    with pytest.raises(
        InputError,
        match=r"a\.csv:2: expected one of It, iT, other in 'label', found the label 'IT'",
    ):
        load_task(data=data, choices=("It", "iT", "other"))


def test_a_task_file_names_labels_as_choices_do(tmp_path: Path) -> None:
    """Labels of a task file are found in other spellings too."""
    write(tmp_path / "a.csv", ["1.0", "0.0"] * 6)
    (tmp_path / "t.yaml").write_text("data: a.csv\nlabels: {1: good, 0: bad}\n")
    task = load_task(str(tmp_path / "t.yaml"))
    assert ({"1", "0"}, "good") == (
        {row.target for row in task.train},
        task.start.structure.verbalize("1"),
    )


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (
            ["IT", "it"] * 10,
            r"found IT, it, which count as one label; `choices` IT,it keeps them apart",
        ),
        (["a, b", "A, B"] * 10, r'`choices` "a, b","A, B" keeps'),
        (["x", "\u200b"] * 10, r"found x$"),
        (["x"] * 20, r"found x$"),
        (["x", "y", " "] * 10, r"a\.csv:4: expected one of x, y in 'label', found no label"),
    ],
)
def test_too_few_labels_are_one_sentence(labels: list[str], says: str, tmp_path: Path) -> None:
    """Where all spellings are one label, the sentence says how to keep them apart."""
    with pytest.raises(InputError, match=says):
        load_task(data=write(tmp_path / "a.csv", labels))


@pytest.mark.parametrize("choices", [("a", "a "), ("a", " "), ("a", "\u200b"), ("a",), ("a", "a")])
def test_choices_are_visible_and_different(choices: tuple[str, ...], tmp_path: Path) -> None:
    """Labels that the user says are checked as well."""
    with pytest.raises(InputError, match="expected"):
        load_task(data=write(tmp_path / "a.csv", ["a", "b"] * 10), choices=choices)


def test_labels_that_a_split_lacks_are_told(tmp_path: Path) -> None:
    """Labels that no prompt can show, no row has or no test has are told with given splits."""
    train = write(tmp_path / "train.csv", ["a", "b", "c"] * 10)
    dev = write(tmp_path / "dev.csv", ["a", "b", "d"] * 4, start=100)
    test = write(tmp_path / "test.csv", ["a", "b", "e"] * 4, start=200)
    notes = load_task(train=train, dev=dev, test=test, choices=("a", "b", "c", "d", "e", "f")).notes
    assert (
        "the label 'f' is in no row that is used",
        "the label 'e' is only in test, so no prompt can show or learn it",
        "the label 'd' is in dev but not in train, so no prompt can show it",
        "2 labels, 'c', 'd' are not in test",
    ) == notes


def test_the_scorer_says_that_they_are_labels(tmp_path: Path) -> None:
    """Many labels look like free text, unless the scorer of labels is named.

    The refusal says so.
    """
    names = [f"class {i // 2}, of many" for i in range(160)]
    data = write(tmp_path / "a.csv", names)
    with pytest.raises(InputError, match="`scorer` labels if they are labels"):
        load_task(data=data)
    task = load_task(data=data, scorer="labels")
    assert (80, "labels") == (len(task.labels), task.scorer)
    assert all(name in task.start.instruction for name in names)
    (tmp_path / "t.yaml").write_text("data: a.csv\nscorer: labels\n")
    assert task.labels == load_task(str(tmp_path / "t.yaml")).labels
    assert task.labels == load_task(data=data, choices=choices(quoted(task.labels))).labels


def test_choices_are_read_as_csv() -> None:
    """Labels with commas or quotes in them are quoted; what `quoted` writes is read back."""
    assert ("a", "b, c", 'd "e"') == choices('a, "b, c","d ""e"""')
    labels = ("a, b", 'say "x"', "plain", "it's")
    assert labels == choices(quoted(labels))
    for text in ('a,"b', "a", "a,,b", "a,a", ""):
        with pytest.raises(InputError, match="--choices: expected"):
            choices(text)


def test_long_and_mixed_labels_are_labels(tmp_path: Path) -> None:
    """Labels of hundreds of characters, and numbers beside words, are used as they are."""
    labels = ["x" * 500, "y" * 500, "-1.50", "2", "n/a"]
    task = load_task(data=write(tmp_path / "a.csv", labels * 10))
    assert ("-1.50", "2", "n/a", "x" * 500, "y" * 500) == task.labels


def labelled(*texts: str) -> Task:
    """Return a small task with these labels."""
    rows = [Example((("text", f"a film {i}"),), texts[i % len(texts)]) for i in range(12)]
    start = Prompt("Read the text.", Structure(("Text",), "Label"))
    parts = tuple(rows[:4]), tuple(rows[4:8]), tuple(rows[8:])
    return Task("t", "made", start, ("text",), "label", texts, *parts)


@pytest.mark.parametrize(
    ("kind", "labels", "says"),
    [
        (
            "bert",
            ("IT", "it"),
            r"cannot tell the labels 'IT' and 'it' apart, .* tokens 'it'; give it another text",
        ),
        (
            "bert",
            ("🙂", "🙃"),
            r"does not know all of the label '🙂', which becomes the tokens '<unk>'",
        ),
        ("t5", ("good", "坏"), r"does not know all of the label '坏'"),
    ],
)
def test_labels_that_a_model_cannot_tell_apart_are_refused(
    kind: str, labels: tuple[str, ...], says: str, tiny: Callable[..., str]
) -> None:
    """Before anything is scored, with the tokens shown and what to do.

    With other texts the same labels are scored.
    """
    task = labelled(*labels)
    with pytest.raises(InputError, match=says):
        make_evaluator(task, backend=HFBackend(tiny(kind)))
    texts = tuple(zip(labels, ("good", "bad"), strict=True))
    start = replace(task.start, structure=replace(task.start.structure, verbalizers=texts))
    evaluator = make_evaluator(replace(task, start=start), backend=HFBackend(tiny(kind)))
    assert {0.0, 1.0} >= set(evaluator.evaluate(start, task.dev).values)


def test_a_refusal_costs_nothing(
    tiny: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with one sentence, and no study was begun."""
    data = write(tmp_path / "a.csv", ["IT", "it"] * 20)
    words = ["--data", data, "--choices", "IT,it", "--model", tiny("bert"), "--budget", "3"]
    assert 2 == main([*words, "--storage", f"sqlite:///{tmp_path}/a.db"])
    shown = capsys.readouterr()
    assert "because both become the tokens" in shown.err
    assert 1 == shown.err.count("optimize: error:")
    assert 2 == main(["frontier", "--storage", f"sqlite:///{tmp_path}/a.db"])


def test_a_candidate_with_such_labels_fails_with_the_sentence(tiny: Callable[..., str]) -> None:
    """Texts that a mutator gives are checked as the user's are, once for each structure."""
    task = labelled("good", "bad")
    backend = HFBackend(tiny("bert"))
    evaluator = make_evaluator(task, backend=backend)
    structure = replace(task.start.structure, verbalizers=(("good", "Yes"), ("bad", "yes")))
    for _ in range(2):
        with pytest.raises(InputError, match="cannot tell the labels 'Yes' and 'yes' apart"):
            evaluator.check_answers(replace(task.start, structure=structure))
    evaluator.check_answers(task.start)


def test_a_search_goes_on_past_such_candidates(tiny: Callable[..., str], tmp_path: Path) -> None:
    """The candidate is stored as failed, with the sentence, and is never scored.

    The search reaches its table.
    """
    (tmp_path / "alike.py").write_text(
        "from dataclasses import replace\n"
        "class Alike:\n"
        "    gene = 'structure'\n"
        "    def mutate(self, prompt, context):\n"
        "        texts = (('good', 'Yes'), ('bad', 'yes'))\n"
        "        return replace(prompt, structure=replace(prompt.structure, verbalizers=texts))\n"
    )
    storage, mutator = f"sqlite:///{tmp_path}/a.db", f"{tmp_path}/alike.py:Alike"
    without = ("paraphrase", "induce", "crossover")
    task = labelled("good", "bad")
    found = optimize(
        task, model=tiny("bert"), budget=9, mutators=(mutator,), without=without, storage=storage
    )
    trials = Study(store := Store(storage), latest_study(store)).trials()
    errors = [trial.user_attrs[CANDIDATE].get("error", "") for trial in trials]
    assert 9 == len(errors)
    assert any("cannot tell the labels 'Yes' and 'yes' apart" in error for error in errors)
    assert all(entry.prompt.structure.verbalize("good") != "Yes" for entry in found.front)


@pytest.mark.parametrize(
    ("labels", "whole"),
    [
        (("1", "2", "10"), True),
        (("no", "yes", "No opinion"), True),
        (("1", "2"), False),
        (("on", "no"), False),
    ],
)
def test_whole_answers_are_asked_for_where_one_begins_another(
    labels: tuple[str, ...], whole: bool, tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels of which none begins another are asked for under the keys they always had."""
    backend, asked = HFBackend(tiny("base")), list[LikelihoodRequest]()
    answer = backend.loglikelihoods

    def ask(requests: Sequence[LikelihoodRequest]) -> list[tuple[float, ...]]:
        asked.extend(requests)
        return answer(requests)

    monkeypatch.setattr(backend, "loglikelihoods", ask)
    task = labelled(*labels)
    task = replace(task, answers="choice")
    make_evaluator(task, backend=backend).evaluate(task.start, task.dev)
    assert {whole} == {request.whole for request in asked}
    plain = json.dumps([asked[0].prompt, asked[0].continuations])
    assert whole == (hashlib.sha256(plain.encode()).hexdigest() != _key(asked[0]))


def test_backends_that_show_no_tokens_are_believed() -> None:
    """A backend of one's own need not read tokens.

    Where it does, what it does not know is told by the first such label.
    """
    assert "" == unreadable((), (), "m")
    assert "label 'b'" in unreadable(
        ("a", "b"), [AnswerTokens(("a",), True), AnswerTokens(("?",), False)], "m"
    )


def by_hand(folder: str, texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the label that a model finds likeliest after each text, by forward passes."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def loglikelihood(text: str, label: str) -> float:
        start, ids = len(tokenizer(text)["input_ids"]), tokenizer(f"{text} {label}")["input_ids"]
        with torch.inference_mode():
            logs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
        return sum(float(logs[i - 1, ids[i]]) for i in range(start, len(ids)))

    return [max(labels, key=lambda label: loglikelihood(text, label)) for text in texts]


def test_joined_labels_make_the_number_of_clean_ones(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    """Rows with five spellings of two labels have the score that forward passes give the two."""
    folder, spellings = tiny("base"), ("good", "bad", "Good", "bad\u200b", "good", "ＢＡＤ")
    clean = ["good" if label in ("good", "Good") else "bad" for label in spellings]
    parts = {
        name: write(tmp_path / f"{name}.csv", spellings * 10, 100 * i)
        for i, name in enumerate(("dev", "test"))
    }
    task = load_task(
        dev=parts["dev"],
        test=parts["test"],
        instructions=["Good or bad?"],
        answers="likelihood",
    )
    assert task.labels == ("bad", "good")
    front = optimize(
        task, budget=1, model=folder, max_demonstrations=0, storage=f"sqlite:///{tmp_path}/a.db"
    )
    texts = [
        [f"Good or bad?\n\nText: text number {start + i}\nLabel:" for i in range(60)]
        for start in (0, 100)
    ]
    chosen = [by_hand(folder, some, task.labels) for some in texts]
    right = [
        sum(ours == gold for ours, gold in zip(found, clean * 10, strict=True)) for found in chosen
    ]
    assert front.start.test
    assert front.start.quality == pytest.approx(right[0] / 60)
    assert front.start.test.score == pytest.approx(right[1] / 60)
    assert 0 < right[1] < 60
