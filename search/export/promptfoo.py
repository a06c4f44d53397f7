"""A prompt as a promptfoo configuration that scores it on the study's held-out rows."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from ..prompts.reading import label_limits, label_stops
from ..prompts.render import literal, stops
from ..secrets import MASK
from .templates import jinja_text, messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contracts import Prompt
    from ..records.answered import AnsweredRows

ROWS = 20
"""Rows that are tests: whoever runs them may pay for each."""
_READ = re.compile(r"\{[{%#]|\A(?:file://|package:)|\n\Z")
"""What promptfoo does not take as it stands in a value."""
_NO_SERVER = """\
# The model was not behind a server when its prompts were scored: serve it, and write where.
"""


class _Dumper(yaml.SafeDumper):
    """Quotes every text: what YAML 1.1 and 1.2 read differently is a text in both."""


class _Name(str):
    """A key, which needs no quotation marks."""

    __slots__ = ()


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = "\n" in text and all(line.isprintable() for line in text.split("\n"))
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if lines else '"')


def _named(dumper: yaml.SafeDumper, text: _Name) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text))


_Dumper.add_representer(str, _quoted)
_Dumper.add_representer(_Name, _named)


def promptfoo_format(
    document: Mapping[str, Any], prompt: Prompt, names: Mapping[str, str], rows: AnsweredRows | None
) -> str:
    """Return a whole configuration; without rows it has no tests.

    promptfoo renders values as templates and loads files that they name. Where some value of a
    field could be such, the field's values stand as JSON without braces, which the prompt reads.
    """
    fields = list(names)[:-1]
    chosen, measured = _chosen(document, rows)
    tests = [_test(prompt, names, rows, i) for i in chosen] if rows else []
    coded = {name for name in names.values() if any(_READ.search(test[name]) for test in tests)}

    def slot(field: str) -> str:
        name = names[field]
        return "{{ " + name + (" | load" if name in coded else "") + " }}"

    said = messages(prompt, fields, slot, jinja_text)
    made: dict[str, Any] = {
        "description": _description(document, rows, measured),
        "prompts": [
            {
                "label": f"trial {document['trial']}",
                "raw": json.dumps(said, ensure_ascii=False, indent=2),
            }
        ],
        "providers": [_provider(document, prompt)],
    }
    if tests and document["labels"]:
        target = names[document["target_field"]]
        judge = _judge(document["labels"], prompt, target, coded=target in coded)
        made["defaultTest"] = {"assert": [{"type": "javascript", "value": judge}]}
    if tests:
        made["tests"] = [
            {"vars": {name: _coded(text) if name in coded else text for name, text in test.items()}}
            for test in tests
        ]
    head = "" if _is_served(document) else _NO_SERVER
    return head + yaml.dump(
        _keyed(made), Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**9
    )


def promptfoo_notes(document: Mapping[str, Any], prompt: Prompt) -> list[str]:
    """Return what the configuration does otherwise than the search did."""
    lines = [f"its tests are the first {ROWS} rows at most"]
    if document["labels"]:
        lines.append(
            "replies that are empty or cut count as wrong; rare letters are folded otherwise"
        )
    else:
        lines.append(
            "it judges no free text: add an `assert`; each row has its answer as a variable"
        )
    if not _is_served(document):
        lines.append("fill in the address of a server of the model")
        if prompt.structure.layout == "plain":
            lines.append("the prompt is plain text, and a chat server sends it as a user's message")
    return lines


def _chosen(
    document: Mapping[str, Any], rows: AnsweredRows | None
) -> tuple[list[int], list[float]]:
    """Return the first rows and the prompt's scores there.

    Where these are known, those without one are left out, shown rows and lost replies.
    """
    if rows is None:
        return [], []
    answers = rows.answers.get(document["trial"])
    scored = enumerate(answers.values if answers else ())
    kept = [(i, value) for i, value in scored if value is not None][:ROWS]
    if not kept:
        return list(range(len(rows.inputs)))[:ROWS], []
    return [i for i, _ in kept], [value for _, value in kept]


def _test(
    prompt: Prompt, names: Mapping[str, str], rows: AnsweredRows, number: int
) -> dict[str, str]:
    """Return a row's values as they stand in the prompt, and its answer."""
    *_, target = names.values()
    own = prompt.structure.own
    values = {names[field]: text if own else literal(text) for field, text in rows.inputs[number]}
    return values | {target: rows.targets[number]}


def _coded(text: str) -> str:
    """Return a text as JSON without a brace, which is nothing to promptfoo."""
    return json.dumps(text, ensure_ascii=False).replace("{", "\\u007b")


def _judge(labels: Sequence[str], prompt: Prompt, target: str, *, coded: bool) -> str:
    """Return the script that judges a reply."""
    structure = prompt.structure
    settings = {
        "labels": [structure.verbalize(label) for label in labels],
        "rows": [_coded(label) if coded else label for label in labels],
        "target": target,
        "marker": (structure.target_label or "Answer") if structure.reasoning else "",
        "plain": structure.layout == "plain",
        "stops": stops(structure),
        "ends": label_stops(structure, labels),
    }
    # Braces in data would be a template's.
    values = ",\n".join(f'  "{key}": {_coded_json(value)}' for key, value in settings.items())
    script = files(__package__).joinpath("read_label.js").read_text(encoding="utf-8")
    return f"const settings = {{\n{values},\n}};\n{script}"


def _coded_json(value: Any) -> str:  # noqa: ANN401 (any JSON)
    return json.dumps(value).replace("{", "\\u007b")


def _provider(document: Mapping[str, Any], prompt: Prompt) -> dict[str, Any]:
    """Return the model as promptfoo asks it, with the limits that replies had."""
    options = document["data"]["load"].get("backend_options") or {}
    reply = document["reply"] or {"max_tokens": 0, "stop": []}
    if document["labels"]:
        limits = label_limits(prompt.structure, document["labels"])
        reply = {"max_tokens": limits.max_tokens, "stop": list(limits.stop)}
    config: dict[str, Any] = {"temperature": 0, "max_tokens": reply["max_tokens"]}
    if reply["stop"]:
        config["stop"] = reply["stop"]
    config["showThinking"] = False
    if not _is_served(document):
        config |= {"apiBaseUrl": "http://localhost:8000/v1", "apiKeyRequired": False}
    elif address := options.get("base_url"):
        config |= {"apiBaseUrl": address, "apiKeyRequired": False}
    if _is_served(document) and options.get("key_variable"):
        config["apiKeyEnvar"] = options["key_variable"]
    return {"id": f"openai:chat:{document['model']['model']}", "config": config}


def _is_served(document: Mapping[str, Any]) -> bool:
    """Whether the search asked a server, whose address promptfoo can be given."""
    options = document["data"]["load"].get("backend_options") or {}
    return document["model"]["backend"] == "openai" and MASK not in str(options.get("base_url"))


def _description(
    document: Mapping[str, Any], rows: AnsweredRows | None, measured: Sequence[float]
) -> str:
    said = f"promptfront: trial {document['trial']} of {document['study']}"
    test = document["scores"]["test"]
    if test:
        said += f"; {document['scorer']} {test['score']:.3f} on {test['n']} rows"
    if rows and measured:
        mean = sum(measured) / len(measured)
        said += f", {mean:.3f} on the {len(measured)} {rows.split} rows below"
    return said.replace("{", "(").replace("}", ")")


def _keyed(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        return {_Name(key): _keyed(item) for key, item in value.items()}
    return [_keyed(item) for item in value] if isinstance(value, list) else value
