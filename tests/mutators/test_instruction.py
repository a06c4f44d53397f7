"""What instructions by rule say, and never say: another task than the user's."""

from __future__ import annotations

import pytest

from tests.mutators.many_seeds import SENTIMENT, instructions


def test_a_plain_instruction_has_plain_forms() -> None:
    """An instruction that says no more than labels and fields do is replaced by other forms."""
    for plain in (
        "",
        "Classify the review as negative or positive.",
        "Classify the sentiment of the movie review.",
    ):
        assert "Is the review negative or positive?" in instructions("rewrite", plain)


@pytest.mark.parametrize(
    ("own", "labels"),
    [
        ("Does the review complain about delivery?", ("yes", "no")),
        ("Is the opinion of the battery positive or negative?", SENTIMENT),
        ("Does the first sentence entail the second?", ("entailment", "contradiction")),
        ("判断评论对电池的看法。", ("正面", "负面")),
    ],
)
def test_an_instruction_that_says_more_is_kept_or_dropped(
    own: str, labels: tuple[str, ...]
) -> None:
    """No form states another task.

    Each is empty or holds the user's words, but for the verb they open with.
    """
    core = own.rstrip("?.。").removeprefix("判断")
    forms = instructions("rewrite", own, labels)
    assert len(forms) > 4
    assert all(core in form for form in forms if form)


@pytest.mark.parametrize(
    ("own", "labels"),
    [
        ("Classify the review as good, bad, or mixed.", ("good", "bad", "mixed")),
        (
            "Rate it: very bad, bad, good or very good, please, and be quick about it now.",
            ("very bad", "bad", "good", "very good"),
        ),
        ("Positive means praise. Negative means blame.", SENTIMENT),
    ],
)
def test_shorter_instructions_name_all_labels_or_none(own: str, labels: tuple[str, ...]) -> None:
    """A form that names some of the labels would be another task."""
    for form in instructions("shorten", own, labels) | instructions("drop-sentence", own, labels):
        assert [label in form.lower() for label in labels] in (
            [True] * len(labels),
            [False] * len(labels),
        )


def test_chinese_words_that_hold_a_filler_stay_whole() -> None:
    """请 is politeness, but not in 申请 and 邀请."""
    assert instructions("shorten", "请判断这是申请还是邀请。", ("申请", "邀请")) == {
        "判断这是申请还是邀请。"
    }
