"""Rules that a writer can only know from mistakes and from what a scorer says of them.

Model and writer are scripted, the writer behind a real server: this shows that rows, answers and
feedback reach it, and that what it writes comes back. What real writers make of it is measured in
benchmarks/.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import pytest

from promptfront.search import optimize
from promptfront.search.contracts import Example, Prompt, Structure, Task
from promptfront.search.plugins import available
from tests.backends.serving import Handler, running, url
from tests.search.evaluation.test_racing import KnownModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import Backend, Text

RULES = {
    "fruit": "Write fruits in capitals.",
    "animal": "Put a full stop after animals.",
    "colour": "Write colours twice.",
    "number": "Put a plus before numbers.",
}
WORDS = {
    "fruit": ("apple", "pear", "plum", "fig", "grape"),
    "animal": ("cat", "dog", "hen", "cow", "owl"),
    "colour": ("red", "blue", "green", "pink", "grey"),
    "number": ("one", "two", "six", "nine", "ten"),
}
KINDS = {word: kind for kind, words in WORDS.items() for word in words}
SCORER = """
from promptfront.search.contracts import Score

RULES = {rules!r}
KINDS = {kinds!r}


def by_rules(reply, example):
    right = reply == example.target
    return Score(float(right), "" if right or not {tells} else RULES[KINDS[example.inputs[0][1]]])
"""


def shaped(word: str, kind: str) -> str:
    """Return a word as the rule of its kind wants it."""
    forms = {"fruit": word.upper(), "animal": f"{word}.", "colour": f"{word} {word}"}
    return forms.get(kind, f"+{word}")


class Target(KnownModel):
    """A model that keeps to the rules that its instruction states, and to no other."""

    model = fingerprint = "follows rules"

    def generate(self, prompts: Sequence[Text], **_: object) -> list[str]:
        """Repeat the word, by the rule of its kind where that is stated."""
        return [self._one(_text(prompt)) for prompt in prompts]

    def _one(self, text: str) -> str:
        word = re.findall(r"Word: (\w+)", text)[-1]
        return shaped(word, KINDS[word]) if RULES[KINDS[word]] in text else word


def _text(prompt: Text) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)


class Scripted(Handler):
    """A writer that adds the rules which it finds in what it is asked, and knows no other."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:  # noqa: N802
        """List the model."""
        self.answer(200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:  # noqa: N802
        """Write the last instruction that is shown, with every rule that a remark names."""
        body = self.body().decode()
        self.asked.append(body)
        shown = re.findall(r"Instruction:\\n```\\n(.*?)\\n```", body)
        rules = [rule for rule in RULES.values() if f"Remark: {rule}" in body]
        own = shown[-1] if shown else "Repeat the word."
        text = " ".join([own, *(rule for rule in rules if rule not in own)])
        message = {"role": "assistant", "content": f"A rule is missing.\n```\n{text}\n```"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self.answer(200, {"id": "1", "object": "chat.completion", "choices": [choice]})


def rows(split: int) -> tuple[Example, ...]:
    """Return every word once, as its rule wants it."""
    return tuple(
        Example((("word", word), ("split", str(split))), shaped(word, kind))
        for group in zip(*WORDS.values(), strict=True)
        for word in group
        for kind in [KINDS[word]]
    )


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("tells", [True, False])
def test_planted_rules_are_found(
    tells: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four within 20 candidates, of ten seeds in each; none where no sentence says them."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    scorer = tmp_path / "rules.py"
    scorer.write_text(SCORER.format(rules=RULES, kinds=KINDS, tells=tells), encoding="utf-8")
    start = Prompt("Repeat the word.", Structure(("Word", "Split"), "Form", layout="chat"))
    task = Task(
        "rules",
        "made up",
        start,
        ("word", "split"),
        "form",
        (),
        rows(0),
        rows(1),
        rows(2),
        scorer=f"{scorer}:by_rules",
    )
    without = sorted(available("promptfront.mutators").keys() - {"reflect"})
    with running(Scripted) as server:
        for seed in range(10):
            front = optimize(
                task,
                backend=cast("Backend", Target()),
                proposer_backend="openai",
                proposer_options={"base_url": url(server)},
                budget=20,
                seed=seed,
                without=without,
                storage=f"sqlite:///{tmp_path}/{seed}.db",
            )
            found = [rule for rule in RULES.values() if rule in front.best.prompt.instruction]
            assert found == (list(RULES.values()) if tells else []), seed
