"""Task files of every form: a table, or one sentence."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from promptfront.search import assembly
from tests.fuzz.harness import few, folder, run
from tests.fuzz.oracle import Oracle, numbered

_ROWS = [(numbered(i, "film"), ("good", "bad")[i % 2]) for i in range(12)]
_CSV = "text,other,label\n" + "".join(
    f"{text},{i},{label}\n" for i, (text, label) in enumerate(_ROWS)
)
_TEXT = st.sampled_from(
    [
        "text",
        "label",
        "other",
        "good",
        "bad",
        "",
        " ",
        "a\nb",
        "{limit}",
        "x: y",
        "1",
        "null",
        "none.csv",
        "..",
        "/",
        "\u200b",
        "~",
    ]
)
_SCALAR = st.one_of(
    _TEXT,
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.dates(),
    st.binary(max_size=3),
    st.text(max_size=8),
)
_ANY = st.recursive(
    _SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_SCALAR.filter(lambda v: v == v), inner, max_size=3)
    ),
    max_leaves=6,
)
_PATTERN = st.sampled_from(
    [
        "[a-z]+",
        "good|bad",
        "(",
        "(a+)+$",
        "\\d{1,3}",
        "",
        "(?P<x>a)(?P=x)",
        "[[:alpha:]]",
        "\\p{L}+",
        "^.*$",
        "(?<=a)b",
        "a{99999}",
        "\\Z",
        "*",
    ]
)
_SCHEMA = st.sampled_from([
    {"type": "object"}, {"enum": ["good", "bad"]}, {"type": "banana"}, {"$ref": "#"},
    {"$ref": "http://127.0.0.1:9/x"}, {"$ref": "#/none"}, {}, [], True, "x",
    {"pattern": "("}, {"type": "string", "pattern": "a"},
    {"$schema": "http://json-schema.org/draft-03/schema"}, {"$schema": "none"},
    {"minimum": float("nan")},
    {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
])  # fmt: skip
_RULE = st.fixed_dictionaries(
    {"text": st.sampled_from(["Answer in {limit} words.", "Be brief.", "", "{limit}"])},
    optional={
        "name": _SCALAR,
        "limit": st.integers(-1, 9) | _SCALAR,
        "rule": st.sampled_from(
            [
                "max_words",
                "max_lines",
                "avoid",
                "include",
                "choice",
                "regex",
                "json",
                "language",
                "x",
            ]
        )
        | _ANY,
        "words": st.lists(_TEXT, max_size=3) | _ANY,
        "pattern": _PATTERN | _ANY,
        "schema": _SCHEMA | _ANY,
        "else": _ANY,
    },
)
_KEYS: dict[str, st.SearchStrategy[Any]] = {
    "name": _TEXT | st.sampled_from(["x" * 300, "a/b", "..", "\ud83d"]),
    "data": st.just("rows.csv"),
    "train": st.just("rows.csv"),
    "dev": st.just("rows.csv"),
    "test": st.just("rows.csv"),
    "input": st.sampled_from(
        [
            "text",
            ["text"],
            ["text", "other"],
            {"text": "Film"},
            {"text": ""},
            {"text": "a\nb", "other": "a\nb"},
            [],
            {},
        ]
    ),
    "target": st.sampled_from(
        ["label", {"label": "Mood"}, {"label": ""}, {"label": "Mood", "x": "y"}, "text"]
    ),
    "labels": st.sampled_from(
        [
            ["good", "bad"],
            {"good": "fine", "bad": "poor"},
            {"good": "x", "bad": "x"},
            ["good"],
            ["bad", "good", "good"],
            {"good": "", "bad": " "},
            {"good": "1", "bad": "1.0"},
            [True, False],
            {"good": "no", "bad": "no opinion"},
        ]
    ),
    "instruction": st.sampled_from(
        ["Say how it is.", ["a", "b"], ["a", "a"], [""], [], "", "{text}", "x " * 3000]
    ),
    "question": _TEXT,
    "scorer": st.sampled_from(
        [
            "labels",
            "exact-match",
            "rouge-l",
            "likelihood",
            "number",
            "judge",
            "tests",
            "pass-at-k",
            "key-phrases",
            "none",
            "x.py:f",
            "labels:2",
            {"exact-match": 1, "fluency": 1},
        ]
    ),
    "constraints": st.lists(_RULE | st.just("Be brief."), max_size=3),
    "max_tokens": st.sampled_from([1, 5, 0, -1, 10**9, True]),
    "stop": st.sampled_from(["\n", ["\n", "."], "", [], [""]]),
    "sizes": st.dictionaries(
        st.sampled_from(["train", "dev", "test", "x"]),
        st.sampled_from([2, 3, 4, 100, 0, -1, 10**30, True]),
        max_size=3,
    ),
}
_TEXTS = st.sampled_from([
    "data: &a [*a]", "data: rows.csv\ndata: rows.csv", "yes: x", "1.0: x", "~: x", "2020-01-01: x",
    "? [a, b]\n: x", "? {a: b}\n: x", "<<: {data: rows.csv}", "- data", "data", "",
    "---\ndata: rows.csv\n---\nx: y", "data: !!python/object:os.system x", "data: !x y",
    "data: *none", "data: rows.csv\n\ttarget: label", "%YAML 9.9\n---\ndata: x",
    "data: |\n rows.csv", "instruction: &b [*b]\ndata: rows.csv",
    "constraints: &c [{text: x, rule: json, schema: &d {a: *d}}]\ndata: rows.csv",
    "labels: !!set {good, bad}\ndata: rows.csv", "name: 2020-99-99\ndata: rows.csv",
    "max_tokens: 0o7\ndata: rows.csv", "max_tokens: 1_0\ndata: rows.csv",
    "stop: !!binary aGk=\ndata: rows.csv", "data: rows.csv\nlabels: !!omap [good: a, bad: b]",
    "[" * 2000, "{a: " * 500, "\x00", "data: rows.csv\x07", "data: \ud800",
    "\ufeffdata: rows.csv\ntarget: label", "!!null x: y", "name: .inf\ndata: rows.csv",
    "labels: {good: 1, bad: 1}\ndata: rows.csv", "sizes: {dev: .nan}\ndata: rows.csv",
    "sizes: {1: 2}\ndata: rows.csv", "data: " + "x" * 5000, "data: 'a\\0b'", 'data: "a\\0b.csv"',
    "data: /dev/null", "data: .", "scorer: /dev/null.py:x\ndata: rows.csv",
])  # fmt: skip


@st.composite
def task_files(draw: st.DrawFn) -> str:
    """Return a task file: most keys as they should be, one perhaps of any kind."""
    if draw(st.integers(0, 6)) == 0:
        return draw(_TEXTS)
    values: dict[Any, Any] = {"data": "rows.csv", "input": "text", "target": "label"}
    for key in draw(st.lists(st.sampled_from(sorted(_KEYS)), max_size=4, unique=True)):
        values[key] = draw(_KEYS[key])
    if draw(st.integers(0, 2)) == 0:
        values[draw(st.sampled_from(sorted(_KEYS)) | _SCALAR.filter(lambda v: v == v))] = draw(_ANY)
    for key in draw(st.sampled_from([(), (), (), ("data",), ("target",), ("input",)])):
        values.pop(key, None)
    return str(
        yaml.safe_dump(
            values, allow_unicode=draw(st.booleans()), default_flow_style=draw(st.booleans())
        )
    )


@few(150)
@given(text=task_files())
@example("data: rows.csv\ntrue: x")
@example('data: "a\\0b.csv"')
@example("data: " + "x" * 5000)
@example('data: rows.csv\ninput: text\ntarget: label\nname: "\\uD83D"')
def test_task_files(text: str) -> None:
    """Whatever a task file says: a table, or one sentence."""
    with folder() as home, pytest.MonkeyPatch.context() as patch:
        oracle = Oracle(
            {i: text for i, (text, _) in enumerate(_ROWS)},
            {i: label for i, (_, label) in enumerate(_ROWS)},
        )
        patch.setattr(assembly, "make_backend", lambda *_: oracle)
        (home / "rows.csv").write_text(_CSV)
        (home / "task.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        run("task files", "--task", str(home / "task.yaml"))
