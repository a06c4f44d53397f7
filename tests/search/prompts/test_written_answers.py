"""Which label a reply says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.contracts import Unscored
from promptfront.search.prompts.written_answers import (
    alike_at_the_start,
    read_label,
    without_thinking,
)

YN = ("yes", "no")
PN = ("positive", "negative")
ABC = ("A", "B", "C")
STARS = ("*", "**", "***")
OPINION = ("yes", "no", "no opinion")
ZH = ("正面", "负面")
SEVERAL, NONE, EMPTY, CUT = "several labels", "no label", "empty", "cut"


@pytest.mark.parametrize(
    ("reply", "labels", "expected"),
    [
        ("yes", YN, "yes"),
        (" Yes.\n", YN, "yes"),
        ("**NO**", YN, "no"),
        ("“yes”", YN, "yes"),
        ("ＹＥＳ", YN, "yes"),
        ("y\u200bes", YN, "yes"),
        ("Nothing here is wrong: yes", YN, "yes"),
        ("I know nothing", YN, NONE),
        ("yes-man", YN, NONE),
        ("Yes, it is. There is no flaw.", YN, SEVERAL),
        ("yes or no", YN, SEVERAL),
        ("Yes, yes, yes!", YN, "yes"),
        ("", YN, EMPTY),
        (" \n\t", YN, EMPTY),
        # thinking
        ("<think>no, no</think>\n\nyes", YN, "yes"),
        ("it may be no</think>yes", YN, "yes"),
        ("<think>the answer is yes", YN, CUT),
        ("<think>yes</think>", YN, EMPTY),
        ("[THINK]no[/THINK]yes", YN, "yes"),
        # markers
        ("Answer: no", YN, "no"),
        ("**Answer:** yes", YN, "yes"),
        ("**Answer**: yes", YN, "yes"),
        ("The answer is no.", YN, "no"),
        ("It could be yes or no. The answer is: **yes**", YN, "yes"),
        ("Label: positive", PN, "positive"),
        (
            "It is negative at first. Final answer: Positive, for there is little negative.",
            PN,
            "positive",
        ),
        ('{"label": "negative"}', PN, "negative"),
        ("<answer>positive</answer>", PN, "positive"),
        ("$\\boxed{positive}$", PN, "positive"),
        ("Answer: positive or negative", PN, SEVERAL),
        ("<answer>positive</answer> Score: high", PN, "positive"),
        ("Positive is the answer: because it is good", PN, "positive"),
        ("The answer is that the tone is negative", PN, "negative"),
        # negation
        ("It is not positive.", PN, NONE),
        ("It isn't a very positive text, it is negative", PN, "negative"),
        ("The answer is not yes", YN, NONE),
        ("It is neither positive nor negative", PN, NONE),
        ("not positive or negative", PN, NONE),
        ("not toxic", ("toxic", "not toxic"), "not toxic"),
        ("It is non-toxic.", ("toxic", "non-toxic"), "non-toxic"),
        ("It is non-toxic.", ("toxic", "harmless"), NONE),
        # one label in another
        ("I have no opinion.", OPINION, "no opinion"),
        ("No  Opinion", OPINION, "no opinion"),
        ("no, opinion is mixed", OPINION, "no"),
        ("very_good", ("good", "very good"), "very good"),
        ("sci/tech news", ("Sci/Tech", "World"), "Sci/Tech"),
        # numbers
        ("10", ("1", "10"), "10"),
        ("I give it a 1.", ("1", "2"), "1"),
        ("1.5", ("1", "5"), NONE),
        ("-1", ("1", "-1"), "-1"),
        ("It is -1.", ("1", "0"), NONE),
        ("4/5", ("4", "5"), NONE),
        ("4 out of 5", ("4", "5"), SEVERAL),
        ("Score: 4 out of 5", ("4", "5"), "4"),
        # letters
        ("Based on the text, the answer is A.", ABC, "A"),
        ("A", ABC, "A"),
        ("b", ABC, "B"),
        ("(C)", ABC, "C"),
        ("I think (B) fits", ABC, "B"),
        ("A) film", ABC, "A"),
        ("B. It is about animals.", ABC, "B"),
        ("Option C is right", ABC, "C"),
        ("The answer is A because it is", ABC, "A"),
        ("A film about B", ABC, NONE),
        ("The answer is a film", ABC, NONE),
        ("Answer: B", ABC, "B"),
        ("答案：B", ABC, "B"),
        ("答案是A。", ABC, "A"),
        ("Let me see.\n\n**C**", ABC, "C"),
        ("A) bad\nB) good", ABC, SEVERAL),
        ("Vitamin C is in it", ABC, NONE),
        ("C++", ("C", "C++"), "C++"),
        ("C#", ("C", "C#"), "C#"),
        ("It is C++ code", ("C", "Java"), NONE),
        # Chinese
        ("正面", ZH, "正面"),
        ("这条评论是负面的。", ZH, "负面"),
        ("答案：正面", ZH, "正面"),
        ("答案是负面", ZH, "负面"),
        ("虽然有负面，最终答案为：正面", ZH, "正面"),
        ("不是正面", ZH, NONE),
        ("正面和负面", ZH, SEVERAL),
        ("答案：是", ("是", "否"), "是"),
        ("这部电影是喜剧", ("是", "否"), NONE),
        # symbols
        ("**", STARS, "**"),
        ("I give it ***", STARS, "***"),
        ("Answer: *", STARS, "*"),
        ("**Answer:** **", STARS, "**"),
        ("****", STARS, NONE),
        ("It is + here", ("+", "-"), "+"),
        (":)", (":)", ":("), ":)"),
        ("It feels like :( to me", (":)", ":("), ":("),
        ("👍️", ("👍", "👎"), "👍"),
    ],
)
def test_a_label_is_read_as_a_person_would(
    reply: str, labels: tuple[str, ...], expected: str
) -> None:
    """The one label that is said, by whole words; otherwise the reason why there is none."""
    found = read_label(reply, labels)
    assert (found.reason if isinstance(found, Unscored) else labels[found]) == expected


@given(
    st.text(max_size=80),
    st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(reply: str, labels: list[str]) -> None:
    """Whatever is written, there is a label or a reason."""
    found = read_label(reply, labels)
    assert isinstance(found, Unscored) or 0 <= found < len(labels)


@given(st.sampled_from(["yes", "no", "no opinion", "very good", "中立", "***", ":)", "B", "3"]))
def test_a_label_alone_says_itself(label: str) -> None:
    """With space, a full stop or in capitals too."""
    labels = ["yes", "no", "no opinion", "very good", "中立", "***", ":)", "B", "3"]
    for reply in (label, f" {label}\n", f"{label}.", label.upper(), f"Answer: {label}"):
        assert read_label(reply, labels) == labels.index(label)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("<think>a\nb</think>\n\nA poem", ("A poem", False)),
        ("a plan</think> A poem", ("A poem", False)),
        ("<think>a plan", ("", True)),
        ("A poem on <think> and </think>", ("A poem on <think> and </think>", False)),
        ("<think></think><think>x</think>ok", ("ok", False)),
        (" a < b ", (" a < b ", False)),
    ],
)
def test_thinking_is_no_part_of_a_reply(reply: str, expected: tuple[str, bool]) -> None:
    """What a model writes before its answer is taken off; only thinking is cut off."""
    assert without_thinking(reply) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("yes", "no"), False),
        ((" very good", " very bad"), True),
        (("1", "10"), True),
        (("no", "No opinion"), True),
        (("很好", "很差"), True),
        (("好", "差"), False),
        (("positive", "possible"), False),
    ],
)
def test_labels_that_begin_alike_are_known(labels: tuple[str, ...], expected: bool) -> None:
    """A shared first word, or a label that begins another."""
    assert alike_at_the_start(labels) is expected


def test_a_long_reply_is_read_in_a_moment() -> None:
    """Thousands of words and markers, dozens of labels."""
    labels = tuple(f"label {i}" for i in range(50))
    assert read_label("the answer is a label " * 400 + "label 7", labels) == 7
