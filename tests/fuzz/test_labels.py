"""Label sets of every form: each row is scored by what it says, or one sentence says why not."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptfront.search import assembly
from tests.fuzz.harness import few, folder, run
from tests.fuzz.oracle import Oracle, numbered

_WORDS = [
    "yes", "no", "Yes", "NO", "no opinion", "not sure", "good", "bad", "1", "1.0", "10", "01", "+1",
    "-1",
    "1e0", "0", "0.0", "-0", "true", "True", "false", "FALSE", "none", "None", "null", "nan", "NaN",
    "n/a",
    "inf", "A", "B", "a)", "(a)", "a.", "“a”", "café", "cafe\u0301", "ﬁne", "fine", "Straße",
    "STRASSE", "İ",
    "ı", "ⅳ", "½", "２", "2", "٣", "好", "不好", "🙂", "👩‍🚀", "a\u200b", "a\ufeff", "\u00ada",
    "a\u00a0b", "a b",
    "a  b", "a\nb", "a\tb", "{label}", "{{ x }}", "%s", "<|end|>", "</s>", "<unk>", '"a"', "'a'",
    "a,b",
    "a;b", "Label: a", "a:", "\u202eab", "x" * 300, "\u0000", "\u2028",
]  # fmt: skip
_label = st.sampled_from(_WORDS) | st.text(min_size=1, max_size=6) | st.integers(-3, 12).map(str)


def _variants(label: str) -> st.SearchStrategy[str]:
    forms = [
        label.upper(),
        label.title(),
        label + " ",
        "\u200b" + label,
        label + label,
        label + "0",
        label + " more",
        label[:-1] or label,
        label + "\ufe0f",
        "\u00a0" + label,
    ]
    return st.sampled_from(forms)


@st.composite
def label_sets(draw: st.DrawFn) -> list[str]:
    """Return labels, some of which are like others."""
    found = draw(st.lists(_label, min_size=1, max_size=5))
    for label in draw(st.lists(st.sampled_from(found), max_size=2)):
        found.append(draw(_variants(label)))
    return found


@few(110)
@given(
    labels=label_sets(),
    rows=st.lists(st.integers(0, 6), min_size=8, max_size=20),
    choices=st.booleans(),
    by=st.sampled_from(("choice", "written")),
)
@example(
    labels=["yes", "no", "0"],
    rows=[0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 4],
    choices=False,
    by="choice",
)  # a mean above 1
@example(labels=["3\r«"], rows=[0] * 8, choices=False, by="choice")  # a sentence of two lines
@example(
    labels=["-3", "a\x01", "'a'", "1", "a"],
    rows=[2, 4, 1, 4, 0, 3, 2, 1],
    choices=False,
    by="choice",
)  # a joined one
def test_labels(labels: list[str], rows: list[int], choices: bool, by: str) -> None:
    """Every row that counts is right where the model knows its answer, and every row is told of.

    Written, labels that differ in punctuation alone may be read as several.
    """
    answers = {i: labels[n % len(labels)] for i, n in enumerate(rows)}
    texts = {i: numbered(i, "film") for i in answers}
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        oracle = Oracle(texts, answers)
        patch.setattr(assembly, "make_backend", lambda *_: oracle)
        data = home / "data.jsonl"
        data.write_text(
            "\n".join(json.dumps({"text": texts[i], "label": answers[i]}) for i in answers)
        )
        listed = ",".join(dict.fromkeys(label.strip() for label in labels))
        words = ["--data", str(data), *([f"--choices={listed}"] if choices else [])]
        done = run("labels", *words, "--answers", by)
        if done.code == 0:
            assert not oracle.misread
            assert done.rows() == len(rows), done.err
            assert by == "written" or done.dev() == pytest.approx(1.0), done.err + done.out
