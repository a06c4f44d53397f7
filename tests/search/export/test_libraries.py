"""LangChain and DSPy load what is exported, and score rows as promptfront does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from promptfront.search.export.formats import format_prompt, notes
from promptfront.search.prompts.render import literal
from tests.search.export.served import (
    CHAT,
    PLAIN,
    ROWS,
    SHAPES,
    document_of,
    expected,
    reply_to,
    score,
    served,
)

if TYPE_CHECKING:
    from pathlib import Path

    from promptfront.search.contracts import Prompt
    from tests.backends.scenarios import Body

ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def langchain_prompt(prompt: Prompt) -> Any:
    """Return the template, loaded as docs/export.md says."""
    prompts = pytest.importorskip("langchain_core.prompts")
    made = json.loads(format_prompt(document_of(prompt), prompt, "langchain"))
    kind = prompts.PromptTemplate if prompt is PLAIN else prompts.ChatPromptTemplate
    return kind(**made)


@pytest.mark.parametrize("prompt", [CHAT, PLAIN])
def test_langchain_sends_what_render_says(prompt: Prompt) -> None:
    """Texts and chats, for values that mean something to its templates."""
    template = langchain_prompt(prompt)
    found = [
        [
            {"role": ROLES[turn.type], "content": turn.content}
            for turn in template.invoke({"text": literal(row.inputs[0][1])}).to_messages()
        ]
        for row in ROWS
    ]
    assert expected(prompt) == found


@pytest.mark.slow
def test_langchain_scores_rows_as_promptfront_does() -> None:
    """A chain of the template and a model behind a server."""
    library = pytest.importorskip("langchain_openai")
    prompt = CHAT
    template = langchain_prompt(prompt)
    with served() as (address, asked):
        ours = score(prompt, address)
        del asked[:]
        model = library.ChatOpenAI(
            model="nobody/modest-1", base_url=address, api_key="none", temperature=0
        )
        chain = template | model
        replies = [chain.invoke({"text": literal(row.inputs[0][1])}).content for row in ROWS]
        assert expected(prompt) == [body["messages"] for _, body in asked]
    assert ours == judged(prompt, replies)


def judged(prompt: Prompt, replies: list[str]) -> list[float]:
    """Return the scores of replies that a program reads as promptfront does."""
    from promptfront.search.prompts.reading import said_label

    labels = document_of(prompt)["labels"]
    said = [said_label(prompt.structure, labels, reply) for reply in replies]
    return [float(label == labels.index(row.target)) for label, row in zip(said, ROWS, strict=True)]


def in_fields(body: Body) -> str:
    """Return a reply as DSPy asks for it; right where it was told all that the prompt says."""
    told = json.dumps(body["messages"], ensure_ascii=False)
    knows = all(part in told for part in ("Say {{one}} word.", "Be brief.", "film 900 {% if x %}"))
    answer = reply_to(body) if knows else "I was not told"
    return f"[[ ## mood ## ]]\n{answer}\n\n[[ ## completed ## ]]"


@pytest.mark.slow
def test_dspy_scores_rows_as_promptfront_does(tmp_path: Path) -> None:
    """A `dspy.Predict` that has loaded the file, with a model behind a server; chats too."""
    dspy = pytest.importorskip("dspy")
    prompt = CHAT
    (tmp_path / "p.json").write_text(format_prompt(document_of(prompt), prompt, "dspy"))
    predict = dspy.Predict("text -> mood")
    predict.load(str(tmp_path / "p.json"))
    assert predict.signature.instructions == f"{prompt.instruction}\nBe brief."
    with served() as (address, _):
        ours = score(prompt, address)
    with served(in_fields) as (address, _):
        lm = dspy.LM("openai/modest-1", api_base=address, api_key="none", cache=False)
        with dspy.context(lm=lm):
            replies = [predict(text=row.inputs[0][1]).mood for row in ROWS]
    assert len(set(ours)) == 2, SHAPES
    assert ours == judged(prompt, replies)
    assert "DSPy lays the prompt out in its own way, which was not scored" in notes(
        document_of(prompt), prompt, "dspy"
    )
