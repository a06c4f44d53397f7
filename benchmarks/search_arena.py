"""What every optimizer in benchmarks/search.py plays in: the same rows, model, rule and budget.

The budget is in evaluations, each one prompt on one example; one that was made before costs nothing
the second time. Every optimizer decides by the most likely label and is told the score of each
example; nobody sees a test row.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptfront.search.contracts import Example, Prompt, Structure, Task, Unscored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptfront.search.contracts import Text
    from promptfront.search.evaluation.evaluator import Evaluator


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


def load_bench_task(name: str, data_dir: Path, seed: int, sizes: tuple[int, int, int]) -> Task:
    """Return a task with up to ``sizes`` train, dev and test rows.

    Train and dev are drawn from the train rows by the seed.

    Where there are few train rows, dev gets half of them. Test rows are the same for every seed,
    drawn from all but the first, which were looked at while fitted verbalizers were developed.
    """
    spec = TASKS[name]
    rows = {split: _read(data_dir / spec.folder / f"{split}.jsonl") for split in ("train", "test")}
    unseen = rows["test"][_LOOKED_AT:] or rows["test"]
    tested = random.Random(0).sample(unseen, min(sizes[2], len(unseen)))
    train = random.Random(seed).sample(rows["train"], len(rows["train"]))
    dev = min(sizes[1], len(train) // 2)
    labels = tuple(
        rows["train"][0].get("choices") or sorted({row["target"] for row in rows["train"]})
    )
    shown, held, test = (
        tuple(Example((("text", row["input"]),), row["target"]) for row in part)
        for part in (train[dev : dev + sizes[0]], train[:dev], tested)
    )
    start = Prompt(spec.instructions[0], Structure((spec.input_label,), spec.target_label))
    return Task(name, spec.folder, start, ("text",), "target", labels, shown, held, test)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class BudgetSpentError(Exception):
    """The next call would pass the budget; nothing of it was scored."""


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The prompt an optimizer would return at a point of its run."""

    evaluations: int
    seconds: float
    prompt: Prompt
    quality: float


class Arena:
    """Scores and writes for one optimizer on one task, and keeps its accounts.

    Parameters
    ----------
    evaluator
        The scoring engine, with the task.
    instructions
        The instructions everyone starts from; the first is the task's starting instruction.
    evaluations
        The budget.
    seed
        Decides everything random in the optimizer.
    """

    def __init__(
        self, evaluator: Evaluator, instructions: Sequence[str], evaluations: int, seed: int
    ) -> None:
        self.evaluator = evaluator
        self.task = evaluator.task
        self.instructions = tuple(instructions)
        self.evaluations = evaluations
        self.seed = seed
        self.spent = 0
        self.proposer_calls = 0
        self.proposer_seconds = 0.0
        self.incumbents: list[Incumbent] = []
        self.front: list[Prompt] = []
        """What the optimizer leaves to choose from: a Pareto front, or every prompt it held."""
        self._seen: set[tuple[Prompt, Example]] = set()
        self._started = time.perf_counter()

    def score(self, prompts: Sequence[Prompt], examples: Sequence[Example]) -> list[list[float]]:
        """Return each prompt's score of each example.

        Raises
        ------
        BudgetSpentError
            If there is not enough budget left for all of them.
        """
        new = {(p, e) for p in prompts for e in examples} - self._seen
        if self.spent + len(new) > self.evaluations:
            raise BudgetSpentError
        self.spent += len(new)
        self._seen |= new
        self.evaluator.measure(prompts, examples)
        return [list(self.evaluator.evaluate(prompt, examples).values) for prompt in prompts]

    def generate(
        self, prompts: Sequence[Text], *, max_tokens: int, temperature: float = 0.8
    ) -> list[str]:
        """Return the proposer's reply to each prompt."""
        started = time.perf_counter()
        seed = self.seed * 100_003 + self.proposer_calls
        replies = self.evaluator.backend.generate(
            prompts, max_tokens=max_tokens, temperature=temperature, seed=seed
        )
        self.proposer_calls += len(prompts)
        self.proposer_seconds += time.perf_counter() - started
        return ["" if isinstance(reply, Unscored) else reply for reply in replies]

    def prompt(self, instruction: str, demonstrations: Sequence[Example] = ()) -> Prompt:
        """Return an instruction with demonstrations in the layout that every peer uses."""
        return Prompt(instruction, self.task.start.structure, tuple(demonstrations))

    def hold(self, prompt: Prompt, quality: float) -> None:
        """Note the prompt that would now be returned, and what its optimizer thinks it scores."""
        if (
            not self.incumbents
            or self.incumbents[-1].prompt != prompt
            or self.incumbents[-1].quality != quality
        ):
            self.incumbents.append(
                Incumbent(self.spent, time.perf_counter() - self._started, prompt, quality)
            )
