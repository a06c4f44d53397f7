"""Results as a person reads them: plan, table, verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..records.unscored import listed, too_many
from ..records.verdict import early_word, verdict
from .messages import with_flags
from .mutator_table import mutator_lines
from .streams import clipped, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contracts import Prompt, Task
    from ..plan import Plan
    from ..records.results import Entry, Frontier

_MANY_UNREAD = 0.1
"""The share of replies without a label from which they are told of."""
_NOTEWORTHY = 0.02
"""By how much what is written may differ from the score without a word."""
_WIDTH = 60


def plan_lines(plan: Plan) -> list[str]:
    """Return what a run is about to do and to spend."""
    task = plan.task
    lines = [
        f"study      {plan.study}"
        + (f" (continues: {plan.done} of {plan.budget} candidates done)" if plan.done else ""),
        f"task       {task.name}: {task.source}",
        f"splits     {_splits(task)}",
        f"model      {plan.model} on {plan.backend}"
        + (f", proposals by {plan.proposer}" if plan.proposer != plan.model else ""),
        f"scoring    {plan.scoring}",
        *_answers(task),
        f"start      {_start(task)}, {plan.start_tokens} tokens",
        f"budget     {plan.budget} candidates by {plan.sampler}: "
        f"about {plan.evaluations:,} evaluations and at least {plan.tokens:,} tokens"
        + (", then the test" if task.test else ""),
    ]
    if plan.reasons:
        lost = sum(plan.reasons.values())
        lines.append(
            f"unscored   {lost} of {len(task.dev)} dev rows with the starting prompt: "
            f"{listed(plan.reasons)}"
        )
    return lines + [f"note       {with_flags(note)}" for note in task.notes]


_ANSWERS = {
    "written": "a label is right when the model's reply names it",
    "choice": "a label is right when it is the most likely one",
    "likelihood": "a label is right when it is the most likely one after calibration",
}


def _start(task: Task) -> str:
    """Return the starting prompt in a line: a prompt of the user's own is a file."""
    if task.sources:
        return task.sources[0].path
    return repr(task.start.instruction or "(no instruction)")


def _answers(task: Task) -> list[str]:
    return [f"answers    {task.answers}: {_ANSWERS[task.answers]}"] if task.answers else []


def _splits(task: Task) -> str:
    if task.shared:
        return f"{len(task.dev)} rows are both train and dev, none are held out"
    return f"{len(task.train)} train, {len(task.dev)} dev, {len(task.test)} test"


class FrontRow(NamedTuple):
    """A line of the table, and its prompt; of the head there is none."""

    cells: tuple[str, ...]
    entry: Entry | None = None


def result_lines(frontier: Frontier) -> list[str]:
    """Return the final table and what the evidence supports."""
    rows = [row.cells for row in front_rows(frontier)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    table = [
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
    first = warnings(frontier)
    return [*first, *table, "", *mutator_lines(frontier.mutators), *notes(frontier)]


def warnings(frontier: Frontier) -> list[str]:
    """Return what stands before the table: many rows without a score."""
    many = _unscored(frontier, many=True)
    return [*many, ""] if many else []


def notes(frontier: Frontier) -> list[str]:
    """Return what stands below the tables; the verdict is last."""
    lines = _unscored(frontier, many=False)
    lines += [*_written(frontier), *_label_scores(frontier), *_parts(frontier), *_choice(frontier)]
    early = early_word(frontier)
    return [*lines, *([early] if early else []), verdict(frontier)]


def front_rows(frontier: Frontier) -> list[FrontRow]:
    """Return the table of the start and the front, its head first and the prompt last in each."""
    measured = "test" if frontier.held_out else "cross-fitted"
    head: tuple[str, ...] = ("", "trial", "tokens", "reply", "dev", "confirmation")
    head += (f"{measured} (95 % interval)", "n", "gain", "written", "prompt")
    others = {entry.number: entry for entry in (frontier.best, *frontier.front)}
    others.pop(frontier.start.number, None)
    entries = [frontier.start, *sorted(others.values(), key=lambda entry: entry.cost)]
    rows = [head]
    for entry in entries:
        mark = "start" if entry.number == frontier.start.number else ""
        mark = "best" if entry.number == frontier.best.number else mark
        rows.append(
            (
                mark,
                str(entry.number),
                str(entry.tokens),
                f"{entry.trial.reply_tokens:.1f}",
                f"{entry.quality:.3f}",
                _confirmation(entry),
                *_test(entry),
                _pasted(entry),
                _summary(entry.prompt) + _kept(entry),
            )
        )
    if not any(entry.test and entry.test.written is not None for entry in entries):
        rows = [(*row[:-2], row[-1]) for row in rows]
    if not any(entry.trial.reply_tokens for entry in entries):
        rows = [(*row[:3], *row[4:]) for row in rows]
    return [FrontRow(*pair) for pair in zip(rows, (None, *entries), strict=True)]


def _label_scores(frontier: Frontier) -> list[str]:
    before, after = frontier.start.test, frontier.best.test
    if before is None or after is None or before.macro_f1 is None or after.macro_f1 is None:
        return []
    return [
        f"macro-F1 {before.macro_f1:.3f} -> {after.macro_f1:.3f}, "
        f"Matthews {before.matthews:.3f} -> {after.matthews:.3f} (start -> best)"
    ]


def _written(frontier: Frontier) -> list[str]:
    """Return what the prompts score when they are pasted, and where that is another number."""
    named = {"best": frontier.best} if frontier.best.number != frontier.start.number else {}
    named["start"] = frontier.start
    lines: list[str] = []
    tested = {who: entry.test for who, entry in named.items() if entry.test}
    for who, test in tested.items():
        if test.written is not None and abs(gap := test.written_gap or 0.0) > _NOTEWORTHY:
            lines.append(
                f"pasted, the {who} prompt scores {test.written:.3f} and not "
                f"{test.written + gap:.3f}, by the model's replies to {test.written_n} rows"
            )
        if test.unread > _MANY_UNREAD * test.n:
            lines.append(
                f"{test.unread} of {test.n} replies to the {who} prompt name no label or several "
                "and count as wrong"
            )
    return lines


def _parts(frontier: Frontier) -> list[str]:
    before, after = frontier.start.test, frontier.best.test
    if before is None or after is None:
        return []
    both = [name for name in before.parts if name in after.parts]
    changes = [f"{name} {before.parts[name]:.3f} -> {after.parts[name]:.3f}" for name in both]
    return [f"{', '.join(changes)} (start -> best)"] if changes else []


def _unscored(frontier: Frontier, *, many: bool) -> list[str]:
    """Return what the starting and the best prompt left without a score, many rows or few."""
    named = {frontier.start.number: ("the starting prompt", frontier.start)}
    named.setdefault(frontier.best.number, ("the best prompt", frontier.best))
    lines = []
    for who, entry in named.values():
        rows = frontier.config.sizes.dev
        shown = 0 if frontier.held_out else len(entry.prompt.demonstrations)
        splits = [("dev", rows - shown, entry.trial.reasons)]
        if frontier.held_out and entry.test:
            splits.append(("test", entry.test.n + entry.test.unscored, entry.test.reasons))
        lines += [
            _rest(rows, split, who, reasons)
            for split, rows, reasons in splits
            if reasons and too_many(reasons, rows) == many
        ]
    return lines


def _rest(rows: int, split: str, who: str, reasons: Mapping[str, int]) -> str:
    lost = sum(reasons.values())
    return (
        f"{lost} of {rows} {split} rows could not be scored with {who}: {listed(reasons)}; "
        f"its {split} score is that of the other {rows - lost}"
    )


def _choice(frontier: Frontier) -> list[str]:
    """Return what choosing is worth where the table does not say it: the start was chosen."""
    choice = frontier.choice
    if choice is None or frontier.best.number != frontier.start.number:
        return []
    return [
        f"a prompt chosen on these rows gains {100 * choice.gain:+.1f} points "
        "over the starting prompt "
        f"on {choice.n} rows, cross-fitted (p = {choice.p_value:.2g})"
    ]


def _confirmation(entry: Entry) -> str:
    return f"{entry.confirmation.score:.3f}" if entry.confirmation else ""


def _test(entry: Entry) -> tuple[str, str, str]:
    test = entry.test
    if test is None:
        return "-", "", ""
    gain = "" if entry.gain is None else f"{100 * entry.gain:+.1f} (p={entry.p_value:.2g})"
    return f"{test.score:.3f} ({test.low:.3f}-{test.high:.3f})", str(test.n), gain


def _pasted(entry: Entry) -> str:
    """Return what a prompt scores when its replies are really written, where that is known."""
    written = entry.test.written if entry.test else None
    return "" if written is None else f"{written:.3f}"


def _kept(entry: Entry) -> str:
    share = entry.test.constraints_met if entry.test else None
    return "" if share is None else f", constraints met in {share:.0%} of outputs"


def _summary(prompt: Prompt) -> str:
    structure = prompt.structure
    labels = "/".join((*structure.input_labels, structure.target_label))
    extras = [f"{len(prompt.demonstrations)} demos"] if prompt.demonstrations else []
    extras += [f"{len(prompt.constraints)} constraints"] if prompt.constraints else []
    extras += [structure.layout] if structure.layout != "plain" else []
    extras += ["calibrated"] if structure.calibration != "none" else []
    extras += (
        ["verbalizers " + "/".join(text for _, text in structure.verbalizers)]
        if structure.verbalizers
        else []
    )
    text = " ".join(printable(prompt.instruction).split()) or "(no instruction)"
    text = clipped(text, _WIDTH)
    return ", ".join([f"{text} [{labels}]", *extras])
