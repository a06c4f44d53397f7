"""What a writer of whole instructions is told, in English and in Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .lexicon import task_is_chinese

if TYPE_CHECKING:
    from ..search.contracts import Answer, Example, Prompt, Task

_FIELD_WORDS = 100
"""Words of a field that a writer is shown ..."""
_FIELD_CHARACTERS = 600
"""... and characters, for scripts without spaces."""
_REPLY_CHARACTERS = 400
"""Characters of an answer that it is shown: its end, where the answer of a reasoning reply is."""


class Words(NamedTuple):
    """Headings and questions of one language."""

    instruction: str
    nothing: str
    answer: str
    right_answer: str
    remark: str
    score: str
    wrong_rows: str
    right_rows: str
    rows: str
    gets_right: str
    reflect: str
    history: str
    ground: str
    merge: str
    form: str


_ENGLISH = Words(
    instruction="Instruction",
    nothing="(none)",
    answer="Answer given",
    right_answer="Right answer",
    remark="Remark",
    score="Score",
    wrong_rows="With this instruction a model answers these inputs wrongly:",
    right_rows="And these rightly:",
    rows="Inputs of a task, each with its right answer:",
    gets_right="Of the two, this one alone gets right:",
    reflect=(
        "Say in one or two sentences what the wrong answers have in common and what the "
        "instruction should have said. Then write a better instruction, with rules that hold for "
        "other inputs too."
    ),
    history=(
        "Say in one sentence what the instructions with high scores have in common. Then write a "
        "new instruction that is different from all of them and will score higher."
    ),
    ground=(
        "Say in two or three sentences what the inputs are and what decides the right answer. Then "
        "write the instruction that a person needs who has to answer new inputs."
    ),
    merge=(
        "Say in one sentence what each instruction does better. Then write one instruction that "
        "does both."
    ),
    # A small model puts the old instruction between the fences unless the form comes last.
    form=(
        "Keep every label that is named and everything in {braces} or [[brackets]]. Do not quote "
        "any input. Put the new instruction, and nothing else, between two lines of ```."
    ),
)
_CHINESE = Words(
    instruction="指令",
    nothing="（无）",
    answer="给出的回答",
    right_answer="正确的回答",
    remark="说明",
    score="得分",
    wrong_rows="使用这条指令时，模型对以下输入回答错误：",
    right_rows="对以下输入回答正确：",
    rows="一个任务的输入，及其正确的回答：",
    gets_right="两者中只有这一条答对的：",
    reflect=(
        "用一两句话说明错误的回答有什么共同点，指令本应说明什么。"
        "然后写一条更好的指令，其中的规则对其他输入也要成立。"
    ),
    history="用一句话说明高分的指令有什么共同点。然后写一条与它们都不同、得分会更高的新指令。",
    ground="用两三句话说明输入是什么，正确的回答由什么决定。然后写出回答新输入的人所需要的指令。",
    merge="用一句话说明每条指令好在哪里。然后写一条兼有两者优点的指令。",
    form=(
        "保留其中的每个标签以及 {花括号} 和 [[方括号]] 中的内容。不要引用任何输入。"
        "只把新的指令放在两行 ``` 之间。"
    ),
)


def words_of(task: Task) -> Words:
    """Return the words in the language of a task."""
    return _CHINESE if task_is_chinese(task) else _ENGLISH


def said_instruction(prompt: Prompt, words: Words) -> str:
    """Return a prompt's instruction as a writer is shown it."""
    return f"{words.instruction}:\n```\n{prompt.instruction or words.nothing}\n```"


def said_example(prompt: Prompt, example: Example, words: Words) -> str:
    """Return an example with its right answer."""
    right = prompt.structure.verbalize(example.target)
    return f"{_inputs(example)}\n{words.right_answer}: {_shortened(right)}"


def said_answer(prompt: Prompt, answer: Answer, words: Words) -> str:
    """Return an example with its answer, the right answer, and what there is to say of it."""
    lines = [_inputs(answer.example)]
    text = f"{answer.rationale}\n{answer.text}".strip()[-_REPLY_CHARACTERS:]
    lines += [f"{words.answer}: {text or words.nothing}"]
    lines += [f"{words.right_answer}: {prompt.structure.verbalize(answer.example.target)}"]
    lines += [f"{words.remark}: {answer.feedback}"] if answer.feedback else []
    return "\n".join(lines)


def _inputs(example: Example) -> str:
    return "\n".join(f"{name}: {_shortened(value)}" for name, value in example.inputs)


def _shortened(text: str) -> str:
    words = text.split()
    short = text if len(words) <= _FIELD_WORDS else " ".join(words[:_FIELD_WORDS])
    return short[:_FIELD_CHARACTERS]
