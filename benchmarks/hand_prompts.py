"""Three prompts a task that a person would write in a few minutes, for benchmarks/search.py.

Each task has an instruction, the same with definitions of its labels, and that with four examples
besides. They were written from the labels and the train rows, before any of them was scored.
Examples are lines of the task's train file, counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HandPrompts:
    """What a person writes: an instruction, definitions, and the numbers of four train lines."""

    instruction: str
    definitions: str
    examples: tuple[int, int, int, int]


HAND_PROMPTS = {
    "agnews": HandPrompts(
        "Classify the news article into one of four topics: World, Sports, Business or Tech. "
        "Answer with the topic only.",
        """Classify the news article into one of four topics:

- World: politics, governments, elections, diplomacy, war, terrorism, trials, disasters and \
society in any country, the United States included.
- Sports: games, matches, teams, athletes, coaches, transfers, tournaments and the Olympics.
- Business: companies and their earnings, deals and staff, stock markets, oil, currencies, trade \
and the economy.
- Tech: computers, software, the internet, security holes, phones, games and gadgets, and also \
science and space.

An article about a technology company is Business if it is about money, deals or jobs, and Tech \
if it is about products or technology.
Answer with one word: World, Sports, Business or Tech.""",
        (16, 46, 22, 9),
    ),
    "subj": HandPrompts(
        "Decide whether the sentence is subjective or objective. Answer with one word: subjective "
        "or objective.",
        """Each sentence is about a movie. Decide whether it is subjective or objective.

- objective: it tells the plot, as a summary does: what characters do, what happens to them, \
where and when the story is set. It judges nothing, even where the events are dramatic.
- subjective: it is from a review: it says what the writer thinks or feels about the movie, its \
makers or its effect on viewers, often with praise, criticism, irony or comparisons.

Answer with one word: subjective or objective.""",
        (20, 17, 15, 19),
    ),
    "sst5": HandPrompts(
        "Classify the sentiment of the movie review as terrible, bad, okay, good or great. Answer "
        "with one word.",
        """Rate how the writer of this sentence from a movie review feels about the movie:

- terrible: strong dislike, contempt or mockery; nothing good is said.
- bad: mostly negative, disappointed or bored, perhaps with some credit.
- okay: neutral or mixed: good and bad balance, or a fact is stated without a judgement.
- good: mostly positive, pleased or interested, perhaps with some reservation.
- great: strong enthusiasm, high praise without reservation.

Most sentences are not extreme: use terrible and great for strong words only.
Answer with one word: terrible, bad, okay, good or great.""",
        (57, 11, 50, 49),
    ),
    "sports": HandPrompts(
        "Is the sentence about sports plausible? Answer with one word: yes or no.",
        """Decide whether a sentence about an athlete is plausible.

- yes: the athlete plays the sport to which the action and the competition belong.
- no: the action or the competition belongs to another sport than the athlete's.

Think of which sport the athlete plays (soccer, basketball, baseball, American football or ice \
hockey) and which sport the action is from: a penalty box is ice hockey, a touchdown and a screen \
pass are American football, a home run is baseball, a dunk is basketball, a free kick is soccer.
Answer with one word: yes or no.""",
        (1, 13, 23, 6),
    ),
}
