"""Labels are defined in lines of the instruction, each written for itself and mixed by what won."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from promptfront.mutators.definitions import DefineLabels, definitions, with_definitions
from promptfront.search.contracts import (
    Answer,
    Candidate,
    Example,
    Message,
    MutationContext,
    Prompt,
    Structure,
    Task,
    Text,
)

LABELS = ("World", "Sports", "Business")
OWN = "Which topic has the news: World, Sports or Business?"
FULL = f"{OWN}\n- World: states and wars\n- Sports: games and players\n- Business: firms"


def make_task(instruction: str = OWN, text: str = "news about") -> Task:
    """Return a task of thirty short rows of three labels."""
    rows = tuple(
        Example((("text", f"{text} {LABELS[i % 3]} and much else, {i}"),), LABELS[i % 3])
        for i in range(30)
    )
    start = Prompt(instruction, Structure(("News",), "Topic"))
    return Task("t", "here", start, ("text",), "label", LABELS, rows, (), ())


def mutated(
    replies: Sequence[str],
    prompt: str = OWN,
    others: Sequence[str] = (),
    asked: list[Text] | None = None,
    seed: int = 0,
    task: Task | None = None,
    answers: Callable[[Prompt, Sequence[Example]], list[Answer]] = lambda _, __: [],
) -> str:
    """Return the instruction that the replies lead to, given in turn to each label's questions."""
    task = task or make_task()

    def propose(prompts: Sequence[Text], _: int) -> list[str]:
        if asked is not None:
            asked.extend(prompts)
        return [replies[i % len(replies)] for i in range(len(prompts))]

    front = tuple(
        Candidate(replace(task.start, instruction=text), 0.5, 9) for text in (prompt, *others)
    )
    context = MutationContext(
        task,
        front,
        random.Random(seed),
        propose,
        lambda _, rows: [0.0] * len(rows),
        answers=answers,
    )
    return DefineLabels().mutate(front[0].prompt, context).instruction


def test_each_label_gets_a_line() -> None:
    """They are written in one call that shows rows of all labels, and asks for one at its end."""
    asked: list[Text] = []
    new = mutated(["about what people do all day."], asked=asked)
    line = "About what people do all day"
    assert new == OWN + "".join(f"\n- {label}: {line}" for label in LABELS)
    assert 12 == len(asked)
    heads = set()
    for turn in (text[0] for text in asked):
        assert isinstance(turn, Message)
        head, _, question = turn.content.rpartition("\n\n")
        assert any(question.endswith(f"\n{label}:") for label in LABELS)
        heads.add(head)
    (head,) = heads
    task, *shown = head.split("\n\n")
    assert task == f"Task: {OWN}"
    for label, group in zip(LABELS, shown, strict=True):
        assert group.count("\n- ") == group.count(f"about {label}") == 5


@pytest.mark.parametrize(
    ("reply", "definition"),
    [
        ("Games, teams and their players.", "Games, teams and their players"),
        ("Sure! Here is the line:\nSports: games and players", "Games and players"),
        ('Inputs labelled "Sports" have in common that they are about games.', "About games"),
        ("**They all describe games and scores.**", "Describe games and scores"),
        ('The label "Sports" is used for inputs that describe games.', "Describe games"),
        ('"Sports" inputs are those that tell of games. They may be long.', "Tell of games"),
        ('Sports: Inputs labelled "Sports" include news of games', "News of games"),
        ("Sports inputs typically include those that tell of games.", "Tell of games"),
        ("Do not have any common elements that the others do have", None),
        ("News of games, while other inputs are not", None),
        ("", None),
        ("Games", None),
        ("The topic of the news is Sports", None),
        ("I am a language model and games are fun", None),
        ("Games, and neither World nor firms", None),
        ("Such as news about Sports and much else, 1", None),
        ("games and " * 25, None),
        ("one two " * 12 + "and so", None),
    ],
)
def test_a_reply_is_a_definition_or_nothing(reply: str, definition: str | None) -> None:
    """Preambles go; chatter, quotes, other labels and what is cut off are no definitions."""
    new = definitions(mutated([reply]), ["Sports"])
    assert ({"Sports": definition} if definition else {}) == new


def test_what_is_defined_is_defined_anew_in_part() -> None:
    """Its own lines are replaced where they stand, and the others stay as they are."""
    new = mutated(["about something else"], prompt=FULL)
    before, after = definitions(FULL, LABELS), definitions(new, LABELS)
    assert 1 == sum(before[label] != after[label] for label in LABELS)
    assert list(after) == list(LABELS)
    assert "About something else" in after.values()


def test_lines_of_two_prompts_are_mixed() -> None:
    """Also where the proposer has nothing to say: some lines are another front member's."""
    other = f"{OWN}\n- World: abroad\n- Sports: athletes\n- Business: money"
    for seed in range(8):
        mixed = definitions(mutated([""], prompt=FULL, others=[other], seed=seed), LABELS)
        ours, theirs = definitions(FULL, LABELS), definitions(other, LABELS)
        assert all(mixed[label] in (ours[label], theirs[label]) for label in LABELS)
        assert mixed not in (ours, theirs)
    assert FULL == mutated([""], others=[FULL])
    assert OWN == mutated([""])


def test_the_users_own_form_of_a_definition_is_kept() -> None:
    """Only what it says is replaced, whatever its bullets and marks; nothing else is touched."""
    own = 'Sort the news.\n* **Sports**: games\n  "very Sports": more\nSports news: none\n\nBye.'
    assert {"Sports": "games"} == definitions(own, ["Sports"])
    changed = with_definitions(own, {"Sports": "players {x} \\1"})
    assert changed == own.replace(": games", ": players {x} \\1")


def test_definitions_come_before_the_input_of_a_whole_prompt() -> None:
    """Where an instruction says where its input stands, what follows the input stays last."""
    lines = {"World": "states"}
    asked = with_definitions("[[user]]\nSort it.\n\nText: {{text}}\nTopic:", lines)
    assert asked == "[[user]]\nSort it.\n- World: states\n\nText: {{text}}\nTopic:"
    assert with_definitions("Sort {{text}}.", lines) == "Sort {{text}}.\n- World: states"


def test_chinese_tasks_are_asked_about_in_chinese() -> None:
    """The language of the inputs is that of the definitions."""
    asked: list[Text] = []
    task = make_task("判断新闻的主题。", "关于国际新闻的中文文本内容")
    rows = tuple(replace(row, inputs=(("text", f"关于国际新闻{i}"),)) for i, row in
                 enumerate(task.train))  # fmt: skip
    new = mutated(["关于人们的活动"], "判断主题。", asked=asked, task=replace(task, train=rows))
    assert "请为做这项任务的人定义" in asked[0][0].content  # type: ignore[union-attr]
    assert "- World: 关于人们的活动" in new


def test_what_is_confused_is_defined_anew() -> None:
    """Rows that were confused are shown; of two labels nothing is asked."""
    rows: list[Example] = []

    def answers(_: Prompt, examples: Sequence[Example]) -> list[Answer]:
        rows.extend(examples)
        firms = {row: "It is World." for row in examples if row.target == "Business"}
        return [
            Answer(row, firms.get(row, row.target), float(row not in firms)) for row in examples
        ]

    for seed in range(4):
        asked: list[Text] = []
        new = mutated(["What people do."], FULL, asked=asked, seed=seed, answers=answers)
        assert "- Sports: games and players" in new.splitlines()
        assert new.count("What people do") == 1
        judged = {label: {r.inputs[0][1] for r in rows[-16:] if r.target == label}
                  for label in LABELS}  # fmt: skip
        for turn in (text[0] for text in asked):
            assert isinstance(turn, Message)
            groups = [set(part.split("\n- ")[1:]) for part in turn.content.split("\n\n")[1:4]]
            shown = dict(zip(LABELS, groups, strict=True))
            near = [label for label in LABELS if shown[label] <= judged[label]
                    or judged[label] <= shown[label]]  # fmt: skip
            assert {"World", "Business"} & set(near)
    assert len(rows) == 4 * 16
    rows.clear()
    task = make_task()
    train = tuple(row for row in task.train if row.target != "Business")
    two = replace(task, labels=LABELS[:2], train=train)
    mutated(["What people do."], FULL.rpartition("\n")[0], task=two, answers=answers)
    assert not rows
