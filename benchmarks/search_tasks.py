"""The tasks of benchmarks/search.py: rows, and the instructions everyone starts from."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from free_tasks import FREE_TASKS
from hand_prompts import HAND_PROMPTS

from promptfront.search.contracts import Example, Prompt, Structure, Task

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BenchTask:
    """A data set: its folder, the words of its prompt, the instructions everyone starts from."""

    folder: str
    input_label: str
    target_label: str
    instructions: tuple[str, ...]


_LOOKED_AT = 300

TASKS = {
    "sst5": BenchTask(
        "sst5",
        "Review",
        "Sentiment",
        (
            "Classify the sentiment of the movie review as terrible, bad, okay, good or great.",
            "Rate the movie review: terrible, bad, okay, good or great.",
            "How does the reviewer feel about the movie? Answer terrible, bad, okay, good or "
            "great.",
            "Read the sentence from a movie review and choose the word that fits its sentiment "
            "best: terrible, bad, okay, good, great.",
            "Assign one of five sentiment labels (terrible, bad, okay, good, great) to the text.",
            "You are a film critic. Judge how positive this sentence is on a scale from terrible "
            "to great.",
            "Decide whether the opinion is terrible, bad, okay, good or great.",
            "Determine the overall sentiment of the review.",
        ),
    ),
    "subj": BenchTask(
        "subj",
        "Sentence",
        "Label",
        (
            "Classify the sentence as subjective or objective.",
            "Is the sentence subjective or objective?",
            "Does this sentence state an opinion (subjective) or a fact (objective)?",
            "Decide whether the text expresses a personal view or describes facts: subjective or "
            "objective.",
            "Label each sentence: subjective for opinions and judgements, objective for plain "
            "descriptions of a plot.",
            "You are an expert in language. Determine if the statement is subjective or objective.",
            "Read the sentence about a movie and say whether it is subjective or objective.",
            "Identify the type of the sentence.",
        ),
    ),
    "agnews": BenchTask(
        "agnews",
        "Article",
        "Topic",
        (
            "Classify the news article as World, Sports, Business or Tech.",
            "What is the topic of the news article: World, Sports, Business or Tech?",
            "Choose the section of the newspaper in which this article appears: World, Sports, "
            "Business or Tech.",
            "Assign the article to one of four categories: World, Sports, Business, Tech.",
            "Read the news and decide which topic describes it best.",
            "You are a news editor. Label each story with World, Sports, Business or Tech.",
            "Determine whether the text is about world affairs, sports, business or technology.",
            "Identify the category of the article.",
        ),
    ),
    "sports": BenchTask(
        "bbh/sports_understanding",
        "Question",
        "Answer",
        (
            "Answer the question with yes or no.",
            "Decide whether the sentence about sports is plausible: yes or no.",
            "Determine whether an artificially constructed sentence relating to sports is "
            "plausible or not.",
            "Does the athlete named in the sentence play the sport the action belongs to? Answer "
            "yes or no.",
            "You are an expert in sports. Say whether the sentence makes sense.",
            "Is the following plausible? Answer yes if the player and the action belong to the "
            "same sport, otherwise no.",
            "Judge each sentence: yes if it could have happened, no if it could not.",
            "Read the question and give the correct answer, yes or no.",
        ),
    ),
    "similarity": BenchTask(
        "instruction_induction/sentence_similarity",
        "Input",
        "Output",
        (
            "Rate how similar in meaning the two sentences are, from 0 - definitely not to 5 - "
            "perfectly.",
            "Do the two sentences mean the same? Answer on the scale 0 - definitely not, 1 - "
            "probably not, 2 - possibly, "
            "3 - probably, 4 - almost perfectly, 5 - perfectly.",
            "Rate the semantic similarity of each pair of sentences.",
            "Compare Sentence 1 with Sentence 2 and say how close their meanings are.",
            "Each input has two sentences. Decide on a scale from 0 to 5 whether they say the same "
            "thing.",
            "You are a linguist. Judge whether the sentences are paraphrases of each other.",
            "Read both sentences and choose the degree to which they are equivalent.",
            "How likely is it that the two sentences have the same meaning?",
        ),
    ),
    "chinese": BenchTask(
        "chnsenticorp",
        "评论",
        "情感",
        (
            "判断评论的情感是正面还是负面。",
            "这条评论是正面的还是负面的？",
            "请阅读下面的评论，判断作者的态度：正面或负面。",
            "对评论进行情感分类，只回答正面或负面。",
            "你是一位情感分析专家。请给出评论的情感标签：正面、负面。",
            "顾客对商品或酒店满意吗？满意回答正面，不满意回答负面。",
            "根据文本内容选择合适的标签：正面或负面。",
            "识别这段文字的情感倾向。",
        ),
    ),
}


def load_bench_task(
    name: str,
    data_dir: Path,
    seed: int,
    sizes: tuple[int, int, int],
    *,
    written: bool = False,
) -> Task:
    """Return a task with up to ``sizes`` train, dev and test rows.

    It starts from plain text and its answer is the likeliest label; where it is ``written`` it
    starts in chat and its answer is what the reply says, as that of free text always is.

    Train and dev are drawn from the train rows by the seed.

    Where there are few train rows, dev gets half of them. Test rows are the same for every seed,
    drawn from all but the first, which were looked at while fitted verbalizers were developed.
    """
    free, spec = FREE_TASKS.get(name), FREE_TASKS.get(name) or TASKS[name]
    rows = {split: _read(data_dir / spec.folder / f"{split}.jsonl") for split in ("train", "test")}
    unseen = rows["test"][_LOOKED_AT:] or rows["test"]
    tested = random.Random(0).sample(unseen, min(sizes[2], len(unseen)))
    train = random.Random(seed).sample(rows["train"], len(rows["train"]))
    dev = min(sizes[1], len(train) // 2)
    choices = rows["train"][0].get("choices") or {row["target"] for row in rows["train"]}
    labels = () if free else tuple(choices if isinstance(choices, list) else sorted(choices))
    shown, held, test = (
        tuple(map(_example, part)) for part in (train[dev : dev + sizes[0]], train[:dev], tested)
    )
    layout: Literal["plain", "chat"] = "chat" if written else "plain"
    task = Task(
        name,
        spec.folder,
        Prompt(spec.instructions[0], Structure((spec.input_label,), spec.target_label, layout)),
        ("text",),
        "target",
        labels,
        shown,
        held,
        test,
    )
    if free:
        return replace(task, scorer=free.scorer, max_tokens=free.max_tokens)
    return replace(task, answers="written" if written else "likelihood")


def instructions(name: str) -> tuple[str, ...]:
    """Return the instructions that everyone starts from."""
    return (FREE_TASKS.get(name) or TASKS[name]).instructions


def hand_prompts(name: str, data_dir: Path, structure: Structure) -> list[Prompt]:
    """Return the prompts that a person wrote for a task, if any, in the layout of its start."""
    if name in FREE_TASKS:
        return [Prompt(text, structure) for text in FREE_TASKS[name].hand]
    if name not in HAND_PROMPTS:
        return []
    hand = HAND_PROMPTS[name]
    lines = _read(data_dir / TASKS[name].folder / "train.jsonl")
    shown = tuple(_example(lines[line]) for line in hand.examples)
    return [
        Prompt(hand.instruction, structure),
        Prompt(hand.definitions, structure),
        Prompt(hand.definitions, structure, shown),
    ]


def _example(row: dict[str, Any]) -> Example:
    return Example((("text", row["input"]),), row["target"], tuple(row.get("references", ())))


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
