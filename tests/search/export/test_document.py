"""Export, load, verify: the file holds the prompt exactly, and its number can be had again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest

from promptfront.search.api import export_prompt, optimize
from promptfront.search.assembly import make_evaluator
from promptfront.search.cli.main import main
from promptfront.search.contracts import Constraint, Example, Prompt, Structure
from promptfront.search.errors import InputError
from promptfront.search.evaluation.statistics import mean_interval, wilson_interval
from promptfront.search.export.document import SCHEMA_VERSION, export, load_prompt, write_text
from promptfront.search.export.formats import FORMATS, format_prompt
from promptfront.search.prompts.render import render
from promptfront.search.records.results import Entry, Frontier, HeldOutScore
from tests.processes import Command
from tests.records import config, trial
from tests.search.evaluation.test_racing import ROWS, TASK, KnownModel

if TYPE_CHECKING:
    from collections.abc import Callable

NASTY = "a {x} {{ y }} {% raw %} {# c #}\nReview: fake <|im_end|> 好 🎬\n"
PROMPT = Prompt(
    'Say "{mood}".',
    Structure(
        ("Review",),
        "Sentiment",
        verbalizers=(("negative", "bad"), ("positive", "good")),
        calibration="batch",
    ),
    (Example((("text", NASTY),), "positive"),),
    (Constraint("words", "At most {limit} words.", 2),),
)
CHAT = Prompt("Say it.", Structure(("Review",), "Sentiment", layout="chat"), PROMPT.demonstrations)


def document(prompt: Prompt) -> dict[str, Any]:
    """Return the export of a front of one prompt."""
    offsets = (-1.5, -2.25) if prompt.structure.calibration == "batch" else ()
    best = trial(3, prompt, 0.8, 20, offsets=offsets, parents=(1,), mutators=("rewrite",))
    test = HeldOutScore(0.78, 0.7, 0.9, 50, 0.6)
    entry = Entry(best, test=test, gain=0.2, p_value=0.01)
    return export(
        Frontier.of(config(), [entry], study="s", trials=4, evaluations=9), entry, [{"trial": 1}]
    )


@pytest.mark.parametrize("prompt", [PROMPT, CHAT])
def test_a_loaded_prompt_renders_as_the_search_did(tmp_path: Path, prompt: Prompt) -> None:
    """What is read back is the same prompt, down to the last character."""
    write_text(tmp_path / "best.json", format_prompt(document(prompt), prompt, "json"))
    loaded = load_prompt(tmp_path / "best.json")
    expected = render(prompt, {"text": NASTY})
    expected = expected if isinstance(expected, str) else [m._asdict() for m in expected]  # type: ignore[assignment]
    assert expected == loaded.render(text=NASTY)
    assert prompt == loaded.prompt
    assert loaded.offsets == ((-1.5, -2.25) if prompt is PROMPT else ())
    assert loaded.answers == ((" bad", " good") if prompt is PROMPT else ("negative", "positive"))


def test_the_document_is_complete() -> None:
    """Every part of a prompt, and all that its numbers rest on, is there."""
    made = document(PROMPT)
    expected = {
        "schema_version", "task", "prompt", "template", "answers", "calibration", "scores",
        "model", "data", "seed", "lineage", "versions", "study", "trial", "tokens", "labels",
        "input_fields", "target_field", "scorer", "reply", "answers_by", "reply_tokens",
    }  # fmt: skip
    assert expected == set(made)
    assert made["reply"] is None
    assert {"negative": -1.5, "positive": -2.25} == made["calibration"]["offsets"]
    assert made["scores"]["dev"]["low"] < 0.8 < made["scores"]["dev"]["high"]
    filled = "".join(part.get("text", "X") for part in made["template"])
    assert render(PROMPT, {"text": "X"}) == filled


def test_jinja_renders_the_same_text() -> None:
    """Data with Jinja syntax, and inputs with line breaks, come out as in the search."""
    template = jinja2.Template(format_prompt(document(PROMPT), PROMPT, "jinja"))
    for text in ("plain", "two\nlines {x}", "  好 \r\n b"):
        assert render(PROMPT, {"text": text}) == template.render(text=text)


def test_langchain_renders_the_same_text() -> None:
    """The f-string template gives the search's text for a value of one line."""
    made = json.loads(format_prompt(document(PROMPT), PROMPT, "langchain"))
    assert render(PROMPT, {"text": "fine {x}"}) == made["template"].format(text="fine {x}")
    assert ["text"] == made["input_variables"]


def test_every_format_holds_the_prompt() -> None:
    """Each is readable text with the instruction and the demonstration; messages keep the turns."""
    for style in [style for style in FORMATS if style != "own"]:
        text = format_prompt(document(PROMPT), PROMPT, style)
        assert "Say" in text
        assert "fake" in text
    roles = [m["role"] for m in json.loads(format_prompt(document(CHAT), CHAT, "messages"))]
    assert ["system", "user", "assistant", "user"] == roles
    assert "{{text}}" in format_prompt(document(CHAT), CHAT, "text")
    with pytest.raises(InputError, match="this prompt is a chat; export it with `format` messages"):
        format_prompt(document(CHAT), CHAT, "jinja")
    with pytest.raises(InputError, match="expected one of json, own, text"):
        format_prompt(document(PROMPT), PROMPT, "xml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "it is not JSON"),
        ("[]", "has no schema_version"),
        (
            '{"schema_version": 99}',
            f"expected schema version {SCHEMA_VERSION} or lower, found 99",
        ),
        ('{"schema_version": 1}', "it lacks"),
    ],
)
def test_other_files_are_told(tmp_path: Path, content: str, says: str) -> None:
    """A file that is no export, or a newer one, is one sentence."""
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=says):
        load_prompt(tmp_path / "x.json")
    with pytest.raises(InputError, match="cannot be read"):
        load_prompt(tmp_path / "none.json")


def test_an_export_of_the_version_before_is_read(tmp_path: Path) -> None:
    """Its constraints have the rules that they are called by now."""
    limit = Constraint("short", "At most {limit} words.", 2, "max_words")
    prompt = replace(PROMPT, constraints=(limit,))
    older = document(prompt) | {"schema_version": 1}
    older["prompt"]["constraints"][0]["rule"] = "words"
    write_text(tmp_path / "best.json", json.dumps(older))
    assert prompt == load_prompt(tmp_path / "best.json").prompt


def test_wrong_fields_are_told(tmp_path: Path) -> None:
    """Rendering names the fields that are expected."""
    write_text(tmp_path / "best.json", format_prompt(document(PROMPT), PROMPT, "json"))
    with pytest.raises(InputError, match="expected the fields text, found review"):
        load_prompt(tmp_path / "best.json").render(review="x")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder that is not there leaves nothing behind.

    An older file stays until the new one is complete.
    """
    with pytest.raises(InputError, match="cannot be written"):
        write_text(tmp_path / "no" / "best.json", "x")
    write_text(tmp_path / "best.json", "old")
    write_text(tmp_path / "best.json", "new")
    assert ["best.json"] == [p.name for p in tmp_path.iterdir()]


def test_verify_reproduces_the_number_and_notices_changes(
    tmp_path: Path,
    tiny: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a fresh process the exported score comes out to the last digit.

    A changed prompt or changed rows exit 1.
    """
    rows = [{"text": f"{w} film {i}", "label": w} for i in range(55) for w in ("good", "bad")]
    (tmp_path / "films.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.chdir(tmp_path)
    search = ["--data", "films.jsonl", "--budget", "9", "--without", "debias-demonstrations"]
    assert 0 == main([*search, "--model", tiny()])
    assert 0 == main(["export", "-o", "best.json"])
    exported = json.loads((tmp_path / "best.json").read_text())
    code, out, err = Command(tmp_path, "verify", "best.json", "--json").wait()
    assert 0 == code, err
    assert exported["scores"]["test"]["score"] == json.loads(out.splitlines()[-1])["found"]
    changed = exported | {
        "scores": exported["scores"] | {"test": exported["scores"]["test"] | {"score": 0.123}}
    }
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    assert 1 == main(["verify", "changed.json"])
    assert "exported test score 0.123, found" in capsys.readouterr().err
    (tmp_path / "films.jsonl").write_text("\n".join(json.dumps(row) for row in rows[:-2]))
    assert 1 == main(["verify", "best.json"])
    assert "expected the rows that its scores were measured on" in capsys.readouterr().err


def test_a_graded_dev_score_has_the_interval_of_its_rows(tmp_path: Path) -> None:
    """Not that of as many successes: scores that differ little are known well."""
    (tmp_path / "s.py").write_text("def said(reply, example):\n    return float(reply)\n")
    scorer, storage = f"{tmp_path}/s.py:said", f"sqlite:///{tmp_path}/x.db"
    task = replace(TASK, labels=(), scorer=scorer, dev=ROWS[10:70], test=ROWS[70:90])
    optimize(task, backend=KnownModel(), budget=1, storage=storage)
    dev = export_prompt(storage)[0]["scores"]["dev"]
    evaluator = make_evaluator(task, backend=KnownModel())
    values = evaluator.evaluate(task.start, evaluator.task.dev).values
    assert (dev["low"], dev["high"]) == mean_interval(values)
    assert (dev["n"], dev["unscored"], dev["shown"]) == (60, 0, 0)
    wilson = wilson_interval(sum(values), 60)
    assert wilson[0] < dev["low"] < dev["score"] < dev["high"] < wilson[1]
