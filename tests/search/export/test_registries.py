"""Prompts go into registries and come back as what the search has sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from promptfront.search.errors import InputError
from promptfront.search.export.formats import format_prompt, notes
from promptfront.search.prompts.render import literal, render
from tests.backends.serving import Handler, running
from tests.search.export.served import CHAT, ODD, PLAIN, as_sent, document_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from promptfront.search.contracts import Prompt

OWN = replace(
    PLAIN,
    instruction="Is {{text}} by {{author}} good?",
    structure=replace(PLAIN.structure, own=True, input_labels=("", "")),
    demonstrations=(),
)
SIMPLE = replace(CHAT, instruction="Is it good?", demonstrations=())
VALUES = [f"film {i} {odd}\n  twice" for i, odd in enumerate(ODD)]


def renders(prompt: Prompt, fields: tuple[str, ...]) -> list[tuple[dict[str, str], Any]]:
    """Return values of the fields as the notes say to give them, and what the search sends."""
    cases = []
    for i in range(len(VALUES)):
        values = {field: VALUES[i - n] for n, field in enumerate(fields)}
        text = render(prompt, values)
        given = values if prompt.structure.own else {k: literal(v) for k, v in values.items()}
        cases.append((given, text if isinstance(text, str) else as_sent(text)))
    return cases


@pytest.mark.parametrize(
    ("prompt", "fields"),
    [(CHAT, ("text",)), (PLAIN, ("text",)), (SIMPLE, ("text",)), (OWN, ("text", "author"))],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_mlflow_formats_what_render_says(
    tmp_path: Path, prompt: Prompt, fields: tuple[str, ...]
) -> None:
    """Registered and loaded again it is the same prompt, with where it comes from as tags."""
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    document = document_of(prompt) | {"input_fields": list(fields)}
    (tmp_path / "p.json").write_text(format_prompt(document, prompt, "mlflow"))
    mlflow.genai.register_prompt(**json.loads((tmp_path / "p.json").read_text()))
    loaded = mlflow.genai.load_prompt("films-of-2026", version=1)
    for values, text in renders(prompt, fields):
        assert text == loaded.format(**values)
    assert set(fields) == loaded.variables
    assert loaded.tags["promptfront_study"] == "s"
    assert loaded.tags["promptfront_test_score"] == "0.78"
    assert loaded.commit_message == "promptfront: trial 3 of s, labels 0.780 on 50 test rows"


class Langfuse(Handler):
    """Stores prompts by name as Langfuse's public API does, a version each time."""

    kept: ClassVar[dict[str, dict[str, Any]]] = {}

    def do_POST(self) -> None:  # noqa: N802 (the library's name)
        """Take a prompt; what else is sent (telemetry) is not kept."""
        sent = json.loads(self.body()) if self.path == "/api/public/v2/prompts" else None
        if sent is None:
            return self.answer(404, {"message": "not found"})
        made = {"type": "text", "version": 1, "labels": [], "tags": [], "config": {}} | sent
        made["labels"] = [*made["labels"], "latest"]
        self.kept[sent["name"]] = made
        return self.answer(201, made)

    def do_GET(self) -> None:  # noqa: N802 (the library's name)
        """Return the prompt of a name."""
        name = unquote(urlsplit(self.path).path.removeprefix("/api/public/v2/prompts/"))
        found = self.kept.get(name)
        self.answer(200 if found else 404, found or {"message": "not found"})


@pytest.fixture
def langfuse() -> Iterator[Any]:
    """Return the SDK's client of a server of prompts."""
    library = pytest.importorskip("langfuse")
    with running(Langfuse) as server:
        host = f"http://127.0.0.1:{server.server_port}"
        key = f"pk-{server.server_port}"  # of one key there is one client
        keys = {"public_key": key, "secret_key": key}
        client = library.Langfuse(**keys, base_url=host, tracing_enabled=False)
        yield client
        client.shutdown()


@pytest.mark.parametrize(
    ("prompt", "fields"),
    [
        (replace(CHAT, demonstrations=()), ("text",)),
        (replace(PLAIN, demonstrations=()), ("text",)),
        (OWN, ("text", "author")),
    ],
)
def test_langfuse_compiles_what_render_says(
    langfuse: Any, prompt: Prompt, fields: tuple[str, ...]
) -> None:
    """Created and had again over the SDK's own calls it is the same prompt."""
    document = document_of(prompt) | {"input_fields": list(fields)}
    made = json.loads(format_prompt(document, prompt, "langfuse"))
    langfuse.create_prompt(**made)
    kind = "text" if prompt is OWN or prompt.structure.layout == "plain" else "chat"
    loaded = langfuse.get_prompt("films-of-2026", type=kind, label="latest", cache_ttl_seconds=0)
    assert kind == made["type"]
    for values, text in renders(prompt, fields):
        assert text == loaded.compile(**values)
    assert loaded.config["promptfront"]["test_score"] == 0.78
    assert loaded.commit_message == "promptfront: trial 3 of s, labels 0.780 on 50 test rows"


def test_what_langfuse_cannot_say_is_one_sentence() -> None:
    """It knows no escape: open braces before a placeholder would swallow it."""
    for text in ("Say {{", "{"):
        own = replace(OWN, instruction=text + "{{text}} by {{author}}")
        document = document_of(own) | {"input_fields": ["text", "author"]}
        with pytest.raises(InputError, match="Langfuse has no way to write"):
            format_prompt(document, own, "langfuse")
        assert format_prompt(document, own, "mlflow")


def test_names_are_arguments_that_the_text_does_not_say() -> None:
    """What is no identifier, or stands in braces in the text, has another name and a note."""
    document = document_of(SIMPLE) | {"input_fields": ["review text"]}
    for style in ("mlflow", "langfuse"):
        assert "{{review_text}}" in format_prompt(document, SIMPLE, style)
        assert notes(document, SIMPLE, style)[0] == (
            "the field 'review text' is called review_text there"
        )
    said = replace(SIMPLE, instruction="Fill {{text}} in.")
    assert "{{text_2}}" in format_prompt(document_of(said), said, "langfuse")
