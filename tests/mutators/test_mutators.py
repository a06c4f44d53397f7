"""What every mutator promises, checked on every built-in one, and what each is for."""

from __future__ import annotations

import importlib
import random
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfront.mutators import demonstrations
from promptfront.mutators.proposer_replies import clean
from promptfront.mutators.sentences import join_sentences, split_sentences
from promptfront.search.contracts import (
    GENES,
    Candidate,
    Constraint,
    Example,
    MutationContext,
    Mutator,
    NextTokens,
    Prompt,
    Structure,
    Task,
    Text,
)
from promptfront.search.plugins import available, load
from promptfront.search.prompts.render import render

NAMES = sorted(
    name
    for name, point in available("promptfront.mutators").items()
    if "promptfront." in point.value
)
_ENGLISH = (
    "Please read the review (all of it). Then decide, carefully, whether it is positive or "
    "negative."
)
_CHINESE = "请阅读评论（全文）。判断情感。"


def make(name: str) -> Mutator:
    """Return a new mutator as the search makes it."""
    return cast("Callable[[], Mutator]", load("promptfront.mutators", name))()


def reply(prompts: Sequence[Text], _: int) -> list[str]:
    """Answer as a small chat model does: chatter, an answer, an echo, and once an instruction."""
    chatter = (
        "Sure! I can help with that.",
        "positive",
        "",
        'Here is the instruction:\n"Tell if a review is positive or negative."',
    )
    return [chatter[i % 4] for i in range(len(prompts))]


def context(task: Task, seed: int) -> MutationContext:
    """Return a context: losses grow with the text, words tell labels apart, the last leads."""
    other = replace(task.start, instruction="Is it positive or negative?")
    front = (Candidate(task.start, 0.5, 9), Candidate(other, 0.6, 12))

    def next_tokens(_: Prompt, rows: Sequence[Example]) -> NextTokens:
        """Return a word that follows the first label's examples alone, one for the others."""
        first = [row.target == task.labels[0] for row in rows]
        noise = [-9.0 - i % 3 for i in range(8)]
        outputs = [(-1.0 if f else -5.0, -1.5, *noise, -5.0 if f else -1.0) for f in first]
        return NextTokens(("awful", "the", *(f"word{c}" for c in "abcdefgh"), "lovely"), outputs)

    def label_bias(prompt: Prompt) -> tuple[float, ...]:
        last = [example.target for example in prompt.demonstrations[-1:]]
        return tuple((label in last) - 1 / len(task.labels) for label in task.labels)

    return MutationContext(
        task,
        front,
        random.Random(seed),
        reply,
        lambda _, rows: [float(len(row.inputs[0][1])) for row in rows],
        label_bias,
        next_tokens=next_tokens,
    )


def make_task(texts: Sequence[str], labels: tuple[str, ...], instruction: str) -> Task:
    """Return a task whose train are the texts, labelled in turn.

    Without labels, each with a text of its own as target.
    """
    train = tuple(
        Example((("text", text),), labels[i % len(labels)] if labels else f"about {text}")
        for i, text in enumerate(texts)
    )
    start = Prompt(instruction, Structure(("Review",), "Sentiment"))
    return Task("t", "here", start, ("text",), "label", labels, train, train, ())


def full_prompt(task: Task) -> Prompt:
    """Return a prompt in which every gene holds something to change."""
    limit = Constraint("length", "At most {limit} words.", 8)
    distinct = tuple({e.inputs: e for e in task.train}.values())
    return replace(
        task.start, demonstrations=distinct[:3], constraints=(limit, Constraint("x", "Be {brief}."))
    )


# Repeated, empty and merely blank texts occur in real pools.
_TEXTS = st.lists(
    st.one_of(st.text(max_size=40), st.sampled_from(["", " ", "a", "A"])), min_size=1, max_size=12
)
_LABELS = st.sampled_from(
    [
        ("negative", "positive"),
        ("a", "b", "c"),
        ("正面", "负面"),
        ("0", "1"),
        ("{x}", "y"),
        ("only",),
        (),
    ]
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    texts=_TEXTS,
    labels=_LABELS,
    instruction=st.sampled_from(["", _ENGLISH, _CHINESE, "{x} {{y}}\n%s"]),
    seed=st.integers(0, 99),
)
def test_every_mutator_keeps_its_promises(
    name: str, texts: list[str], labels: tuple[str, ...], instruction: str, seed: int
) -> None:
    """Only its own gene changes, by its generator alone; demonstrations are train rows."""
    task = make_task(texts, labels, instruction)
    for prompt in (task.start, full_prompt(task)):
        changed = make(name).mutate(prompt, context(task, seed))
        assert changed == make(name).mutate(prompt, context(task, seed))
        assert [
            g for g in GENES if g != make(name).gene and getattr(changed, g) != getattr(prompt, g)
        ] == []
        assert set(changed.demonstrations) <= set(task.train)
        assert len({e.inputs for e in changed.demonstrations}) == len(changed.demonstrations)
        assert len({c.name for c in changed.constraints}) == len(changed.constraints)
        texts_of_labels = [changed.structure.verbalize(label) for label in labels]
        assert len(set(texts_of_labels)) == len(labels)
        assert render(changed, {"text": "{x}"})


@pytest.mark.parametrize("name", NAMES)
def test_every_mutator_finds_something_new(name: str) -> None:
    """On an ordinary prompt each of them has a change to propose."""
    task = make_task(
        [f"review number {i} is rather long" for i in range(40)], ("negative", "positive"), _ENGLISH
    )
    prompt = full_prompt(task)
    assert any(make(name).mutate(prompt, context(task, seed)) != prompt for seed in range(8))


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_no_mutator_needs_a_large_pool(name: str, size: int) -> None:
    """With hardly any rows, or none, there is less to propose, but nothing breaks."""
    for labels in (("negative", "positive"), ()):
        task = make_task(["fine", "poor"][:size], labels, _ENGLISH)
        changed = make(name).mutate(full_prompt(task), context(task, 1))
        assert set(changed.demonstrations) <= set(task.train)


def test_every_class_the_packaging_names_is_a_mutator() -> None:
    """The entry points of pyproject.toml are all there, whatever was installed before."""
    root = Path(__file__).parents[2]
    points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"][
        "promptfront.mutators"
    ]
    for value in points.values():
        module, _, cls = value.partition(":")
        assert getattr(importlib.import_module(module), cls)().gene in GENES


def test_balanced_demonstrations_are_balanced() -> None:
    """Every label is shown equally often."""
    task = make_task([f"text {i}" for i in range(30)], ("a", "b", "c"), "")
    for seed in range(10):
        shown = (
            make("balanced-demonstrations").mutate(task.start, context(task, seed)).demonstrations
        )
        counts = [sum(e.target == label for e in shown) for label in task.labels]
        assert len(set(counts)) == 1
        assert counts[0] >= 1


def test_balanced_demonstrations_of_many_labels_stay_few() -> None:
    """Of fifty labels not all can be shown in one prompt."""
    task = make_task([f"text {i}" for i in range(200)], tuple(f"l{i}" for i in range(50)), "")
    shown = make("balanced-demonstrations").mutate(task.start, context(task, 0)).demonstrations
    assert len({e.target for e in shown}) == len(shown) == 16


def test_diverse_demonstrations_come_from_different_clusters() -> None:
    """Of a train with two kinds of text, both are shown."""
    task = make_task(
        [f"film {i} camera actor" for i in range(20)] + [f"汤{i}很好喝面也好吃" for i in range(20)],
        ("a", "b"),
        "",
    )
    shown = make("diverse-demonstrations").mutate(task.start, context(task, 3)).demonstrations
    assert {True, False} == {"film" in e.inputs[0][1] for e in shown}


def test_hard_demonstrations_are_hard_but_not_the_hardest() -> None:
    """They come from the upper third of losses, without the extremes that are often mislabelled."""
    task = make_task(["x" * n for n in range(1, 17)], ("a", "b"), "")
    lengths = [
        len(e.inputs[0][1])
        for e in make("hard-demonstrations").mutate(task.start, context(task, 0)).demonstrations
    ]
    assert min(lengths) >= 10
    assert max(lengths) <= 15


def test_hard_demonstrations_show_every_label_of_a_biased_prompt() -> None:
    """A prompt that fails on one label alone still gets examples of both."""
    task = make_task(["x" * n for n in range(1, 33)], ("a", "b"), "")
    biased = replace(
        context(task, 0), losses=lambda _, rows: [9.0 * (e.target == "a") for e in rows]
    )
    shown = make("hard-demonstrations").mutate(task.start, biased).demonstrations
    assert {e.target for e in shown} == {"a", "b"}


def test_diverse_demonstrations_embed_a_pool_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedding of a train is kept for as long as the task is the same."""
    calls = list[int]()
    embed = demonstrations._embed

    def counted(train: Sequence[Example]) -> Any:
        calls.append(len(train))
        return embed(train)

    monkeypatch.setattr(demonstrations, "_embed", counted)
    mutator, task = (
        make("diverse-demonstrations"),
        make_task([f"film {i} was long" for i in range(20)], ("a", "b"), ""),
    )
    for seed in range(4):
        mutator.mutate(task.start, context(task, seed))
    other = make_task([f"book {i} was short" for i in range(9)], ("a", "b"), "")
    mutator.mutate(other.start, context(other, 0))
    assert calls == [20, 9]


def test_long_examples_are_not_shown_while_short_ones_exist() -> None:
    """A demonstration is paid for with every prompt, so the short ones are used."""
    task = make_task(
        ["word " * 200 + str(i) for i in range(20)] + [f"short {i}" for i in range(20)],
        ("a", "b"),
        "",
    )
    for seed in range(5):
        for name in ("random-demonstrations", "balanced-demonstrations", "diverse-demonstrations"):
            shown = make(name).mutate(task.start, context(task, seed)).demonstrations
            assert max(len(e.inputs[0][1]) for e in shown) < 20


def test_a_proposal_must_look_like_an_instruction() -> None:
    """Chatter, answers and echoes are passed over; the first reply that fits is taken."""
    task = make_task(
        [f"text {i}" for i in range(9)], ("negative", "positive"), "Classify the review."
    )
    assert (
        make("paraphrase").mutate(task.start, context(task, 0)).instruction
        == "Tell if a review is positive or negative."
    )


def test_without_a_valid_proposal_nothing_changes() -> None:
    """A proposer that only chatters costs no score."""
    task = make_task(
        [f"text {i}" for i in range(9)], ("negative", "positive"), "Classify the review."
    )
    bad = replace(
        context(task, 0),
        propose=lambda prompts, _: ["I'm sorry, I cannot rewrite the review."] * len(prompts),
    )
    for name in ("paraphrase", "induce", "crossover"):
        assert task.start == make(name).mutate(task.start, bad)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ('Sure! Here is the instruction: "Label it."\nHope this helps!', "Label it."),
        ("**Label it.**", "Label it."),
        ("Label the review: good or bad?", "Label the review: good or bad?"),
        ("", ""),
    ],
)
def test_replies_are_cleaned(raw: str, cleaned: str) -> None:
    """Preamble, quotes and postscripts are cut off, and nothing of the instruction."""
    assert cleaned == clean(raw)


def test_sentences_survive_being_split_and_joined() -> None:
    """English keeps its spaces and Chinese gets none."""
    for text in (_CHINESE, "One. Two? Three!", ""):
        assert text == join_sentences(split_sentences(text))


def test_a_demonstration_is_added_of_the_label_shown_least() -> None:
    """Growing a set by one keeps its labels as even as they can be."""
    train = tuple(Example((("text", f"text {i}"),), ("bad", "good")[i % 2]) for i in range(20))
    task = Task(
        "t",
        "here",
        Prompt("Rate.", Structure(("Text",), "Label")),
        ("text",),
        "label",
        ("bad", "good"),
        train,
        (),
        (),
    )
    prompt = replace(task.start, demonstrations=(train[0], train[2], train[1]))
    grown = make("add-demonstration").mutate(prompt, context(task, 0))
    assert ["bad", "bad", "good", "good"] == sorted(
        example.target for example in grown.demonstrations
    )
    assert set(prompt.demonstrations) < set(grown.demonstrations)


def test_demonstrations_are_levelled() -> None:
    """A bias to labels seen most and last is removed in a few measurements, of 2 and 4 labels."""
    for labels in (("a", "b"), ("a", "b", "c", "d")):
        task = make_task([f"text {i}" for i in range(80)], labels, "")
        measured = list[Prompt]()

        def label_bias(
            prompt: Prompt, labels: tuple[str, ...] = labels, measured: list[Prompt] = measured
        ) -> tuple[float, ...]:
            measured.append(prompt)
            shown = prompt.demonstrations
            raw = [
                sum((1 + i) / len(shown) for i, e in enumerate(shown) if e.target == x) / 2
                for x in labels
            ]
            raw[0] += 1.0
            return tuple(value - sum(raw) / len(raw) for value in raw)

        for seed in range(6):
            prompt = replace(task.start, demonstrations=task.train[:12])
            measured.clear()
            found = make("debias-demonstrations").mutate(
                prompt, replace(context(task, seed), label_bias=label_bias)
            )
            assert len(measured) <= 7
            assert max(map(abs, label_bias(found))) <= 0.7 * max(map(abs, label_bias(prompt)))
            untold = replace(context(task, seed), label_bias=lambda _: ())
            assert prompt == make("debias-demonstrations").mutate(prompt, untold)


def test_fitted_verbalizers_tell_labels_apart() -> None:
    """Each label gets the word that follows its own examples, wherever the descent starts."""
    task = make_task([f"review number {i}" for i in range(40)], ("negative", "positive"), _ENGLISH)
    for seed in range(8):
        found = make("fit-verbalizers").mutate(task.start, context(task, seed))
        assert found.structure.verbalizers == (("negative", "awful"), ("positive", "lovely"))


def test_verbalizers_are_not_fitted_to_labels_without_examples() -> None:
    """A label that train has once or never would get a word by luck."""
    task = make_task(["one", "two"], ("negative", "positive"), _ENGLISH)
    assert make("fit-verbalizers").mutate(task.start, context(task, 0)) == task.start


def test_a_chinese_prompt_is_fitted_chinese_words() -> None:
    """Others may tell labels apart as well, but the prompt is to stay Chinese."""
    task = make_task([f"这是第{i}条评论" for i in range(40)], ("消极", "积极"), "判断情感。")
    english = context(task, 0)
    assert make("fit-verbalizers").mutate(task.start, english) == task.start

    def next_tokens(prompt: Prompt, rows: Sequence[Example]) -> NextTokens:
        found = english.next_tokens(prompt, rows)
        return NextTokens(
            (*found.texts, "差", "好"),
            [(*output, output[0] - 1, output[-1] - 1) for output in found.logprobs],
        )

    found = make("fit-verbalizers").mutate(task.start, replace(english, next_tokens=next_tokens))
    assert found.structure.verbalizers == (("消极", "差"), ("积极", "好"))
