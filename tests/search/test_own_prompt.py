"""A prompt of the user's own is searched for and comes back in its own format."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.search.api import export_prompt, optimize
from promptfront.search.assembly import make_evaluator
from promptfront.search.cli.main import main
from promptfront.search.contracts import Candidate, Example, MutationContext, Structure
from promptfront.search.data.load_task import load_task
from promptfront.search.data.own_prompts import started_from, with_kept
from promptfront.search.data.placeholders import match
from promptfront.search.data.prompt_files import Piece, PromptFile
from promptfront.search.export.formats import format_prompt
from promptfront.search.export.verify import verify
from promptfront.search.options import DataOptions
from promptfront.search.prompts.own import keeps_form
from promptfront.search.prompts.render import render
from promptfront.search.proposals.apply import mutate
from promptfront.search.proposals.inventory import suited
from tests.search.proposals.made_up import TASK, built_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptfront.backends.hf import HFBackend
    from promptfront.search.contracts import Task

DISCLAIMER = "You must never store personal data, and please say so when asked."
PROMPT = f"""\
# What our help desk runs
messages:
  - role: system
    content: |
      You sort the tickets of a company with three teams. Please be quick.
      You are kind (and brief).

      {DISCLAIMER}

      The teams are:
      - hardware: anything that has a plug. Phones belong here too.
      - billing: money. It is not for contracts, which are kept elsewhere
        in the building.
      - other: everything else.
        - Lost things, for example.

      Rules:
      1. Read the ticket carefully.
      2. Do not guess. Choose other if in doubt.
      3. A ticket of two teams goes to the first.

      An answer that a program can use looks like {{"team": 1}} or
      {{}} to a colleague, but here it is one word.
  - role: user
    content: |
      Here is a ticket with the title "{{title}}", as it came in.

      It was written by a customer, who wants to know:
      {{ticket_text}}
      That is all that we know of it. Customers repeat themselves.

      Decide which team it goes to.
      Answer with hardware, billing or other.
"""
TEAMS = ("hardware", "billing", "other")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a prompt and tickets."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompt.yaml").write_text(PROMPT, encoding="utf-8")
    with (tmp_path / "tickets.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Ticket Text", "title", "label"])
        for i in range(90):
            writer.writerow(
                [f"My {TEAMS[i % 3]} {{x}}\nis {{title}} {i} 票", f"no. {i}", TEAMS[i % 3]]
            )
    return tmp_path


def _instructions(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT value_json FROM trial_user_attributes WHERE key = 'candidate'"
        )
        prompts = [json.loads(row)["prompt"] for (row,) in rows]
    return [prompt["instruction"] for prompt in prompts]


@pytest.mark.slow
def test_a_search_keeps_what_must_stand(folder: Path, backend: HFBackend) -> None:
    """Every candidate has placeholders and disclaimer, and the start comes back byte for byte."""
    assert len(PROMPT.splitlines()) >= 30
    data = DataOptions(data="tickets.csv")
    frontier = optimize(
        None, prompt="prompt.yaml", keep=[DISCLAIMER], data=data, budget=20, seed=1, backend=backend
    )
    instructions = _instructions(folder / "promptfront.db")
    assert len(instructions) == 20
    assert len(set(instructions)) >= 3
    for text in instructions:
        assert [text.count(part) for part in (DISCLAIMER, "{{title}}", "{{Ticket Text}}")] == [
            1
        ] * 3
        assert text.startswith("[[system]]\n")
        assert text.count("\n[[user]]\n") == 1
    document, entry = export_prompt(pick=str(frontier.start.number))
    assert format_prompt(document, entry.prompt, "own") == PROMPT
    again = optimize(
        None,
        prompt=Path("prompt.yaml"),
        keep=[DISCLAIMER],
        data=data,
        budget=20,
        seed=1,
        backend=backend,
    )
    assert again.to_dict() == frontier.to_dict()


def test_from_the_command_line(
    folder: Path, tiny: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two prompts are tried first; the best is written in its format, and scores the same again."""
    (folder / "short.txt").write_text("Ticket: {ticket text}\nTeam:\n", encoding="utf-8")
    prompts = ("--prompt", "prompt.yaml", "--prompt", "short.txt", "--data", "tickets.csv")
    model = tiny()
    assert (
        main(["run", *prompts, "--model", model, "--budget", "3", "--max-demonstrations", "2"]) == 0
    )
    starts = _instructions(folder / "promptfront.db")[:2]
    assert [text[:12] for text in starts] == ["[[system]]\nY", "Ticket: {{Ti"]
    assert main(["export", "--format", "own", "--pick", "0", "-o", "out.yaml"]) == 0
    assert (folder / "out.yaml").read_text(encoding="utf-8") == PROMPT
    assert main(["export", "--format", "own", "--pick", "1", "-o", "out.txt"]) in (0, 2)
    assert main(["export", "-o", "best.json"]) == 0
    (folder / "prompt.yaml").unlink()
    (folder / "prompt.yaml").write_text(PROMPT.replace("kind", "mild"), encoding="utf-8")
    assert verify(folder / "best.json").n > 0
    capsys.readouterr()
    assert main(["run", *prompts, "--keep", "never there", "--model", model]) == 2
    assert (
        "--keep: expected a text that is part of every starting prompt" in capsys.readouterr().err
    )


def test_a_promptfoo_configuration_alone(
    folder: Path, tiny: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its prompts in other files, its tests as rows; what it led to is verified from elsewhere."""
    asks = [
        f"  - vars: {{q: no. {i}}}\n    assert: [{{type: equals, value: {TEAMS[i % 3]}}}]"
        for i in range(9)
    ]
    text = "\n".join(["prompts: [file://short.txt]", "tests:", *asks])
    (folder / "promptfooconfig.yaml").write_text(text, encoding="utf-8")
    (folder / "short.txt").write_text("Of {{ q }}:\n", encoding="utf-8")
    run = ["run", "--prompt", "promptfooconfig.yaml", "--model", tiny(), "--budget", "2"]
    assert main(run) == 0
    assert main(["export", "-o", "best.json"]) == 0
    assert main(["export", "--format", "own", "--pick", "0", "-o", "own.txt"]) == 0
    assert (folder / "own.txt").read_text(encoding="utf-8") == "Of {{ q }}:\n"
    monkeypatch.chdir("/")
    assert verify(folder / "best.json").n == 9


def test_without_a_chat_template_own_prompts_are_plain_text(
    folder: Path, tiny: Callable[..., str]
) -> None:
    """All of them, and messages follow each other."""
    (folder / "short.txt").write_text("Ticket: {ticket text}\nTeam:\n", encoding="utf-8")
    task = load_task(data="tickets.csv", prompts=["prompt.yaml", "short.txt"])
    made = make_evaluator(task, model=tiny("base")).task
    assert made.start.structure.layout == "plain"
    for start, begins in zip((made.start, *made.starts), ("You sort", "Ticket: "), strict=True):
        text = render(start, made.dev[0].inputs)
        assert isinstance(text, str)
        assert text.startswith(begins)
        assert "[[" not in text


def test_a_field_may_stand_in_several_places(folder: Path, backend: HFBackend) -> None:
    """Long inputs are cut so that the context holds them all."""
    (folder / "p.txt").write_text("{title}\n" * 8 + "Team:", encoding="utf-8")
    rows = [(f"{i} {'word ' * 500}", TEAMS[i % 3]) for i in range(9)]
    with (folder / "long.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("title", "label"), *rows])
    task = load_task(data="long.csv", prompts=["p.txt"])
    evaluator = make_evaluator(task, backend=backend)
    text = render(task.start, evaluator.task.dev[0].inputs)
    assert 500 < backend.count_tokens([text])[0] < backend.max_context


def _own_task(text: str, keep: str) -> Task:
    rows = tuple(
        Example((("title", f"t{i} {{title}}"), ("body", f"b{i}\n{keep}")), "ab"[i % 2])
        for i in range(12)
    )
    start = replace(TASK.start, structure=Structure(("Title", "Body"), "Label"))
    task = replace(TASK, start=start, input_fields=("title", "body"), train=rows[:6], dev=rows[6:])
    roles = ("system", "user") if "\n===\n" in text else ()
    pieces = tuple(Piece(part, 1) for part in text.split("\n===\n"))
    file = PromptFile("p", text, "text", (), roles, pieces)
    own = match(file, ("title", "body", "label"), "label", lambda _: None)
    return with_kept(started_from(task, [own]), [keep])


_LINE = st.lists(
    st.sampled_from(
        [
            "Please read it (all of it).",
            "Say a or b.",
            "- An item",
            "  - nested. Twice.",
            "1. First",
            "Be kind, ",
            "never 字。判断。",
            '{"k": 1}',
            "Classify it",
            "",
            "Title:",
            "\t",
        ]
    ),
    min_size=1,
    max_size=3,
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(_LINE, min_size=3, max_size=30),
    st.lists(st.integers(0, 10**6), min_size=3, max_size=3),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_no_mutator_breaks_a_prompt(
    lines: list[str], places: list[int], turns: bool, seed: int
) -> None:
    """Whatever it does: placeholders, turns and what is kept stand there, and nothing fails."""
    keep = "Never, please, say (why)."
    for place, part in zip(places, ("is {title} new?", "{body}", keep), strict=True):
        lines.insert(place % (len(lines) + 1), part)
    text = "\n".join(lines)
    if turns:
        text = f"Be brief.\n===\n{text}"
    task = _own_task(text, keep)
    rng = random.Random(seed)
    replies = "Say a or b.", f"{keep} Say a or b of {{{{title}}}}."
    context = MutationContext(
        task,
        (Candidate(task.start, 0.5, 9),),
        rng,
        lambda prompts, _: [replies[i % len(replies)] for i in range(len(prompts))],
        lambda _, rows: [float(len(row.target)) for row in rows],
    )
    mutators, prompt = suited(built_in(), task), task.start
    for _ in range(20):
        prompt = mutate(mutators[rng.choice(sorted(mutators))], prompt, context)
        assert keeps_form(task.start, prompt, task.input_fields, task.keep)
        assert prompt.instruction.count(keep) >= 1


def test_rule_based_mutators_have_something_to_do() -> None:
    """A prompt of 30 lines is shortened, reordered and reworded where that breaks nothing."""
    text = PROMPT.split("content: |\n")[1].split("  - role")[0]
    task = _own_task(f"{text}\n===\nTitle: {{title}}\nBody: {{body}}", DISCLAIMER)
    make = partial(MutationContext, task, (), propose=None, losses=None)  # type: ignore[arg-type]
    for name in ("drop-sentence", "shorten", "reorder-sentences", "rewrite"):
        mutator, forms = built_in()[name], set[str]()
        for seed in range(40):
            changed = mutate(mutator, task.start, make(rng=random.Random(seed)))
            forms.add(changed.instruction)
        assert len(forms - {task.start.instruction}) >= 2, name
