"""The tasks of benchmarks/search.py whose answers are written freely: sums, and a change of voice.

Each has eight instructions that everyone starts from and three prompts that a person would write in
a few minutes, before any of them was scored: an instruction, one that asks for steps and a last
line, and that with worked examples.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FreeTask:
    """A data set: its folder, its scorer, the words of its prompt, and what people write for it."""

    folder: str
    scorer: str
    input_label: str
    target_label: str
    instructions: tuple[str, ...]
    hand: tuple[str, str, str]
    max_tokens: int = 256


_SUMS = (
    "Solve the problem. Give the number last.",
    "Solve the math word problem and end with the answer.",
    "Work out the answer to the question. The last thing you write is the number.",
    "Read the problem carefully and calculate the answer.",
    "You are a math teacher. Solve the problem and state the final number.",
    "Calculate step by step, then give the result.",
    "Answer the question with a number.",
    "Find the number that is asked for.",
)
_STEPS = (
    "Think step by step, one short line for each step. End with a line 'Answer:' and the number "
    "alone."
)
_SIMPLE_SUMS = f"""{_STEPS}

Problem: A baker had 24 rolls. He sold 9 and baked 3 trays of 6. How many rolls has he?
24 - 9 = 15
3 * 6 = 18
15 + 18 = 33
Answer: 33

Problem: Five friends share 45 cards equally. Each loses 2. How many has each?
45 / 5 = 9
9 - 2 = 7
Answer: 7"""
_LONG_SUMS = f"""{_STEPS}

Problem: A shirt costs $20, a coat three times as much. With a discount of 10% on the coat, what \
do two shirts and a coat cost?
Coat: 20 * 3 = 60
Discount: 60 * 0.1 = 6
Coat with discount: 60 - 6 = 54
Two shirts: 2 * 20 = 40
Together: 54 + 40 = 94
Answer: 94

Problem: Ann reads 12 pages a day, Ben half as many. After how many days have they read 126 pages \
together?
Ben: 12 / 2 = 6
A day: 12 + 6 = 18
Days: 126 / 18 = 7
Answer: 7"""

FREE_TASKS = {
    "asdiv": FreeTask(
        "pypi/asdiv",
        "number",
        "Problem",
        "Answer",
        _SUMS,
        ("Solve the problem and give the number alone.", _STEPS, _SIMPLE_SUMS),
    ),
    "gsm8k": FreeTask(
        "gsm8k",
        "number",
        "Problem",
        "Answer",
        _SUMS,
        ("Solve the problem and give the number alone.", _STEPS, _LONG_SUMS),
    ),
    "passive": FreeTask(
        "instruction_induction/active_to_passive",
        "exact-match",
        "Sentence",
        "Passive",
        (
            "Write the sentence in passive form.",
            "Turn the active sentence into the passive voice.",
            "Rewrite the sentence so that its object becomes the subject.",
            "Change the voice of the sentence from active to passive.",
            "Give the passive version of the sentence.",
            "Say the same in the passive voice.",
            "You are an English teacher. Put the sentence into the passive.",
            "Rewrite the sentence.",
        ),
        (
            "Put the sentence into the passive voice. Write the new sentence only.",
            "Put the sentence into the passive voice: the object becomes the subject, the verb "
            'stays in its tense, and the old subject follows "by". Keep all other words. First '
            "name subject, verb and object in one line. End with a line 'Passive:' and the new "
            "sentence alone.",
            "Put the sentence into the passive voice: the object becomes the subject, the verb "
            'stays in its tense, and the old subject follows "by". Keep all other words, and write '
            "the new sentence only.\n\n"
            "Sentence: The dog chased the cat.\nPassive: The cat was chased by the dog.\n\n"
            "Sentence: The pilots greet the mayor.\nPassive: The mayor is greeted by the pilots.",
        ),
        max_tokens=96,
    ),
}
