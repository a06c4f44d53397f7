"""Model folders with chat templates and tokenizers of every form: a table, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.harness import few, folder, run

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTENT = [
    "{{ m['content'] }}",
    "{{ m.content | trim }}",
    "{{ m['content'][0]['text'] }}",
    "{{ m.content + 1 }}",
    "{{ m.contnt }}",
    "{{ m.content | upper }}",
    "{{ m.content | tojson }}",
    "{{ m.content }}{{ m.content }}",
    "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{{ c.text }}{% "
    "endfor %}{% endif %}",
    "{{ m.content.split('</think>')[-1] }}",
    "{{ m.content[:3] }}",
    "{{ m.content | replace('a', 'b') }}",
    "",
    "{{ m }}",
    "{{ m.content | length }}",
    "{{ m.content | nofilter }}",
    "{{ m.content | reverse }}",
    "{{ m.content | escape }}",
    "{{ m.content.strip().lower() }}",
    "{% generation %}{{ m.content }}{% endgeneration %}",
    "{{ m.content | safe }}",
    "{{ m.content }} \n",
]
_BEFORE = [
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}",
    "{{ strftime_now('%d %b %Y') }}",
    "{{ bos_token }}",
    "{{ bos_token + 1 }}",
    "{% set ns = namespace(a=false) %}{% set ns.a = true %}",
    "{{ raise_exception('never') }}",
    "{{ none_such() }}",
    "{% if tools %}{{ tools | tojson }}{% endif %}",
    "{% set x = 1 / 0 %}",
    "{{ messages[9].role }}",
    "{% for i in range(1000000) %}x{% endfor %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% for m in messages[1:] %}{% if m.role == 'system' %}{{ raise_exception('x') }}{% endif %}{% "
    "endfor %}",
    "{% if messages | length > 1 %}{{ raise_exception(messages) }}{% endif %}",
    "{{ ''.__class__.__mro__ }}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{{ date_string }}",
    "{{ '\\ue000' }}",
    "{{ cycler }}",
    "{{ messages | map(attribute='role') | join }}",
    "{{ 'a' * 100000000000 }}",
    "{% set messages = messages[1:] %}",
    "{% set messages = [] %}",
    "{{ messages[0].content }}",
    "{% break %}",
    "{{ now().year }}",
    "{{ documents[0] }}",
    "{{ eos_token }}",
    "{# {{ x }} #}",
    "{{ lipsum(1) }}",
]
_ROLES = [
    "<|turn|>{{ m['role'] }}\n",
    "{{ '<|turn|>' + m.role }}",
    "{% if m.role not in ('user', 'assistant') %}{{ raise_exception('role ' + m.role) }}{% endif "
    "%}",
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% "
    "endif %}",
    "</s>",
    "",
    "{% if loop.last %}",
    "{{ loop.index }}",
    "{% if m.role == 'system' %}{% continue %}{% endif %}",
]
_AFTER = [
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}",
    "",
    "</s>",
    "{{ eos_token }}",
    "<think>\n\n</think>\n",
    "{{ messages[-1].content }}",
    "{% if not add_generation_prompt %}x{% endif %}",
    "{% endif %}",
    "{{",
    "{% for %}",
    " ",
]
_PIECE = st.sampled_from([*_CONTENT, *_BEFORE, *_ROLES, *_AFTER])


@st.composite
def chat_templates(draw: st.DrawFn) -> str:
    """Return a template made of pieces, most often in their places."""
    if draw(st.integers(0, 7)) == 0:
        return "".join(draw(st.lists(_PIECE | st.text(max_size=4), max_size=5)))
    before = draw(st.sampled_from(["", "", *_BEFORE]))
    turn = (
        draw(st.sampled_from(_ROLES))
        + draw(st.sampled_from([_CONTENT[0], *_CONTENT]))
        + draw(st.sampled_from(["<|end|>\n", "", " ", *_ROLES[2:4]]))
    )
    return f"{before}{{% for m in messages %}}{turn}{{% endfor %}}{draw(st.sampled_from(_AFTER))}"


_TOKEN: st.SearchStrategy[Any] = st.sampled_from(
    [
        "<s>",
        "</s>",
        "<pad>",
        "<none>",
        "",
        None,
        "a",
        " ",
        {"content": "<s>", "lstrip": True},
        1,
        [],
        "good",
    ]
)
_TOKENIZER_CONFIG: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(
        [
            "bos_token",
            "eos_token",
            "pad_token",
            "unk_token",
            "mask_token",
            "additional_special_tokens",
            "extra_special_tokens",
            "model_max_length",
            "add_bos_token",
            "add_prefix_space",
            "clean_up_tokenization_spaces",
            "tokenizer_class",
            "chat_template",
            "padding_side",
            "split_special_tokens",
            "added_tokens_decoder",
        ]
    ),
    _TOKEN
    | st.sampled_from(
        [
            -1,
            0,
            5,
            10**30,
            True,
            "PreTrainedTokenizerFast",
            "NoneSuch",
            "LlamaTokenizer",
            ["<x>"],
            {"0": {"content": "<pad>", "special": False}},
            {},
            [{"name": "default", "template": "{{ messages }}"}],
        ]
    ),
    max_size=3,
)
_NOTHING = {"type": "Replace", "pattern": {"Regex": "."}, "content": ""}
_NORMALIZERS = [
    None, {"type": "Lowercase"}, {"type": "NFKC"}, {"type": "NFD"}, {"type": "StripAccents"},
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Prepend", "prepend": "\u2581"},
    {"type": "Replace", "pattern": {"String": "good"}, "content": ""}, _NOTHING,
    {"type": "Replace", "pattern": {"String": "\n"}, "content": " "}, {"type": "None"},
]  # fmt: skip
_PRE_TOKENIZERS = [
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    {"type": "Whitespace"},
    {"type": "Digits", "individual_digits": True},
    None,
    {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
    {"type": "Punctuation", "behavior": "Isolated"},
    {"type": "WhitespaceSplit"},
]
_CONFIG: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(
        [
            "vocab_size",
            "max_position_embeddings",
            "bos_token_id",
            "eos_token_id",
            "pad_token_id",
            "model_type",
            "architectures",
            "torch_dtype",
            "dtype",
            "tie_word_embeddings",
            "rope_scaling",
            "rope_parameters",
            "num_hidden_layers",
            "auto_map",
            "is_encoder_decoder",
            "quantization_config",
            "hidden_size",
        ]
    ),
    st.sampled_from(
        [
            0,
            1,
            2,
            -1,
            5,
            40,
            None,
            "llama",
            "x",
            "bert",
            "vit",
            [],
            {},
            ["XForMaskedLM"],
            True,
            False,
            "float16",
            1.5,
            [2, 3],
        ]
    ),
    max_size=2,
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """Return what is other than in a sound model.

    Its template most often, its tokenizer, its configuration.
    """
    kind = draw(st.sampled_from(["llama"] * 4 + ["gpt2", "opt", "t5", "bert"]))
    model: dict[str, Any] = {
        "kind": kind,
        "template": draw(chat_templates()) if kind in ("llama", "gpt2") else None,
    }
    part = draw(
        st.sampled_from(
            ["none", "none", "tokenizer", "normalizer", "pre_tokenizer", "config", "missing"]
        )
    )
    if part == "tokenizer":
        model["tokenizer_config.json"] = draw(_TOKENIZER_CONFIG)
    elif part == "config":
        model["config.json"] = draw(_CONFIG)
    elif part == "missing":
        model["missing"] = draw(
            st.sampled_from(
                ["tokenizer.json", "tokenizer_config.json", "config.json", "model.safetensors"]
            )
        )
        model["in its place"] = draw(
            st.sampled_from([None, b"", b"{}", b"null", b"[", b"\x00" * 8, b"\xff", b"x" * 100])
        )
    elif part == "normalizer":
        model["tokenizer.json"] = {"normalizer": draw(st.sampled_from(_NORMALIZERS))}
    elif part == "pre_tokenizer":
        model["tokenizer.json"] = {"pre_tokenizer": draw(st.sampled_from(_PRE_TOKENIZERS))}
    return model


def _write(model: dict[str, Any], sound: Path, home: Path) -> None:
    for path in sound.iterdir():
        (home / path.name).write_bytes(path.read_bytes())
    for name in ("tokenizer_config.json", "config.json", "tokenizer.json"):
        if name in model:
            (home / name).write_text(
                json.dumps(json.loads((home / name).read_text()) | model[name])
            )
    if model["template"] is not None:
        (home / "chat_template.jinja").write_text(model["template"])
    if "missing" in model:
        (home / model["missing"]).unlink(missing_ok=True)
        if model["in its place"] is not None:
            (home / model["missing"]).write_bytes(model["in its place"])


def _llama(template: str | None = None, **parts: Any) -> dict[str, Any]:
    return {"kind": "llama", "template": template} | {
        name.replace("__", "."): part for name, part in parts.items()
    }


@few(60)
@example(_llama("{{ bos_token + 1 }}"), ("good", "bad"), "exact-match")
@example(_llama("{% for i in range(1000000) %}x{% endfor %}"), ("good", "bad"), "exact-match")
@example(_llama(tokenizer_config__json={"pad_token": 0}), ("good", "bad"), None)
@example(_llama(tokenizer_config__json={"model_max_length": {}}), ("good", "bad"), None)
@example(
    {"kind": "t5", "template": None, "tokenizer_config.json": {"unk_token": ""}},
    ("good", "好"),
    None,
)
@example(_llama(config__json={"num_hidden_layers": None}), ("good", "bad"), None)
@example(_llama(tokenizer__json={"normalizer": _NOTHING}), ("good", "bad"), None)
@example(_llama(missing="model.safetensors") | {"in its place": b"["}, ("good", "bad"), None)
@given(
    model=models(),
    labels=st.sampled_from(
        [("good", "bad"), ("1", "10"), ("好", "坏"), ("no", "no opinion"), ("🙂", "🙁")]
    ),
    scorer=st.sampled_from([None, "exact-match", "likelihood"]),
)
def test_models(
    tiny: Callable[..., str], model: dict[str, Any], labels: tuple[str, str], scorer: str | None
) -> None:
    """Whatever a model's folder holds: a table, or one sentence."""
    with folder() as home:
        _write(model, Path(tiny(model["kind"])), home)
        rows = [{"text": f"film {i}", "label": labels[i % 2]} for i in range(8)]
        (home / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
        extra = ["--scorer", scorer] if scorer else []
        run("models", "--data", str(home / "data.jsonl"), "--model", str(home), *extra)
