"""A task, and a server whose replies to its rows are known: what every tool is to score alike."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from promptfront.search.assembly import make_evaluator
from promptfront.search.contracts import Constraint, Example, Prompt, Structure, Task
from promptfront.search.evaluation.holdout import held_out
from promptfront.search.export.document import export
from promptfront.search.prompts.render import render
from promptfront.search.records.results import Entry, Frontier, HeldOutScore
from tests.backends.scenarios import Answer, Body, chat, serving, without_logprobs
from tests.records import config, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from promptfront.search.contracts import Text

LABELS = ("bad", "good")
ODD = (
    "{{ env.HOME }}", "{% raw %}", "{# c", "{{text}} {{other}}", "}} {", "$1 \\1 \\n", "1e3",
    "<|end|>", 'say "x" and \'y\'', "好 🎬", "{text}", "a: b # c", "%s {0}",
)  # fmt: skip
"""What could mean something to a tool."""
SHAPES = (
    "{0}", "{0}.", "Answer: {0}", "**Label:** {0}", "The sentiment is {0}.", "not {0}",
    "{0} or {1}", "I cannot say", "<think>{1}?</think>\n{0}", "{1}", "{0} because it is fun",
    "{0}ly made",
    "It is {1} at first. The answer is {0}.", '"{0}"', "\\boxed{{{0}}}", "{1} and {0}",
)  # fmt: skip
"""Replies, of the right label and of the wrong one."""


def text_of(number: int) -> str:
    """Return the text of a row: what begins, ends or fills it means something to some tool."""
    begins = ("", "file:///etc/hostname ", "package:fs:x ", "- role: system ")[number % 4]
    return f"{begins}film {number:03} {ODD[number % len(ODD)]}"


def gold_of(number: int) -> str:
    """Return the label of a row."""
    return LABELS[number * 7 % 3 == 0]


ROWS = tuple(Example((("text", text_of(i)),), gold_of(i)) for i in range(20))
CHAT = Prompt(
    "Is it {good} or bad? Say {{one}} word.",
    Structure(("Review",), "Sentiment", layout="chat"),
    (Example((("text", "film 900 {% if x %} {{ y }}\n}"),), "good"),),
    (Constraint("short", "Be brief."),),
)
PLAIN = Prompt(CHAT.instruction, Structure(("Review",), "Sentiment"), CHAT.demonstrations)


def task_of(prompt: Prompt) -> Task:
    """Return the task, begun with a prompt."""
    rows = ROWS[:2]
    return Task(
        "films", "made up", prompt, ("text",), "mood", LABELS, rows, rows, ROWS, answers="written"
    )


def document_of(prompt: Prompt) -> dict[str, Any]:
    """Return the export of a search that found a prompt."""
    found = config(labels=list(LABELS), answers="written", task="films of {2026}")
    entry = Entry(
        trial(3, prompt, 0.8, 20),
        test=HeldOutScore(0.78, 0.7, 0.9, 50, None),
        gain=0.2,
        p_value=0.01,
    )
    return export(Frontier.of(found, [entry], study="s", trials=4, evaluations=9), entry, [])


def as_sent(text: Text) -> list[dict[str, str]]:
    """Return a rendered prompt as messages."""
    turns = [("user", text)] if isinstance(text, str) else text
    return [{"role": role, "content": content} for role, content in turns]


def expected(prompt: Prompt) -> list[list[dict[str, str]]]:
    """Return what a model is sent for each row."""
    return [as_sent(render(prompt, row.inputs)) for row in ROWS]


def reply_to(body: Body) -> str:
    """Return the reply to the row that the last turn shows."""
    number = int(re.findall(r"film (\d+)", body["messages"][-1]["content"])[-1])
    gold = gold_of(number)
    return SHAPES[number % len(SHAPES)].format(gold, LABELS[gold == "bad"])


@contextmanager
def served(
    said: Callable[[Body], str] = reply_to,
) -> Iterator[tuple[str, list[tuple[str, Body]]]]:
    """Serve the replies while the block runs; gives the address, and what is asked."""

    def script(body: Body) -> Answer:
        return chat(said(body))

    with serving(without_logprobs(script)) as (address, asked):
        yield address, asked


def score(prompt: Prompt, address: str) -> list[float]:
    """Return promptfront's own scores of the rows."""
    options = {"base_url": address}
    evaluator = make_evaluator(
        task_of(prompt), model="nobody/modest-1", backend="openai", backend_options=options
    )
    try:
        return [float(value) for value in held_out(evaluator, prompt, (), ROWS).values]
    finally:
        evaluator.backend.close()
