"""What the report says, gathered from a study."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..evaluation.effects import effect
from ..records.trials import Trial
from ..records.verdict import early_word, verdict
from ..secrets import mask
from . import charts
from .commands import export_command, run_command
from .rows import ComparedRow, Confusion, compared, confusion
from .wording import Said, as_text, side_by_side, without_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contracts import Prompt
    from ..records.answered import AnsweredRows
    from ..records.explanation import Explanation
    from ..records.results import Entry, Frontier
    from ..storage.study import Study

_PANELS = 30
"""Prompts that are shown side by side with the start at most."""
_POINTS = 3000
"""Candidates in a chart at most: the latest."""
_MUTATORS = 8
"""Mutators with a colour of their own: those of most candidates."""
_PROMPT = 400
"""Characters of a prompt in a tooltip."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A prompt beside the start, and the evidence for it."""

    name: str
    entry: Entry
    before: tuple[Said, ...]
    after: tuple[Said, ...]
    export: str


@dataclass(frozen=True, slots=True)
class Step:
    """A trial that the shown prompt descends from."""

    trial: int
    mutators: tuple[str, ...]
    quality: float
    gain: float | None


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table of parts: kind, text, tokens, effect, interval, Shapley value."""

    kind: str
    text: str
    tokens: int
    effect: str
    interval: str
    shapley: str
    clear: bool


@dataclass(frozen=True, slots=True)
class Content:
    """All that the page shows; what is missing is not in the database."""

    frontier: Frontier
    shown: Entry
    finished: bool
    verdict: str
    interval: str
    headroom: str
    start: tuple[Said, ...]
    panels: tuple[Panel, ...]
    charts: dict[str, dict[str, Any]]
    rows: tuple[ComparedRow, ...]
    split: str
    confusion: Confusion | None
    explanation: Explanation | None
    parts: tuple[Part, ...]
    lineage: tuple[Step, ...]
    cost: tuple[tuple[str, str], ...]
    about: tuple[tuple[str, str], ...]
    run: str


def gather(held: Study, pick: str, *, with_rows: bool) -> Content:
    """Return what the report of a study shows.

    Parameters
    ----------
    held
        The study.
    pick
        The prompt that is compared with the start.
    with_rows
        Whether texts of the data may stand on the page.
    """
    frontier = held.frontier()
    shown = frontier.pick(pick)
    answered = held.answered(frontier)
    both = answered is not None and shown.number in answered.answers
    start = frontier.start.number
    said = _said(frontier.start.prompt, with_rows)
    explanation = held.explanation(shown.number)
    parts = _parts(explanation, with_rows=with_rows)
    history = _History(held, frontier, with_rows=with_rows)
    return Content(
        frontier=frontier,
        shown=shown,
        finished=frontier.start.test is not None,
        verdict=verdict(frontier),
        interval=_gain_interval(frontier, answered),
        headroom=_without_name(early_word(frontier)),
        start=side_by_side(said, said, held.config.input_fields)[0],
        panels=_panels(held, frontier, shown, with_rows=with_rows),
        charts=history.charts() | _effects_chart(explanation, parts),
        rows=tuple(compared(answered, start, shown.number))
        if answered and both and with_rows
        else (),
        split=answered.split if answered else "",
        confusion=confusion(answered, start, shown.number, frontier.config.labels)
        if answered and both
        else None,
        explanation=explanation,
        parts=parts,
        lineage=_lineage(held, shown),
        cost=history.cost(),
        about=_about(frontier),
        run=run_command(frontier),
    )


def _gain_interval(frontier: Frontier, answered: AnsweredRows | None) -> str:
    """Return the interval of the best prompt's gain as a sentence; nothing where it has none."""
    best, start = frontier.best.number, frontier.start.number
    if best == start or answered is None or answered.split != "test":
        return ""
    values = (answered.answers[number].values for number in (best, start))
    ours, theirs = ([math.nan if one is None else one for one in each] for each in values)
    gain = effect(ours, theirs)
    if gain is None:
        return ""
    low, high = 100 * gain.low, 100 * gain.high
    return f"95 % interval of the gain: {low:+.1f} to {high:+.1f} points, of paired differences"


def _without_name(line: str) -> str:
    """Return a line of the terminal without the word that it begins with there."""
    return line.split(maxsplit=1)[1] if line else ""


def _panels(held: Study, frontier: Frontier, shown: Entry, *, with_rows: bool) -> tuple[Panel, ...]:
    names = {one.number: "front" for one in frontier.front} | {frontier.best.number: "best"}
    entries = {one.number: one for one in (shown, frontier.best, *frontier.front)}
    entries.pop(frontier.start.number, None)
    config, fields = frontier.config, frontier.config.input_fields
    panels = []
    for number, entry in [*entries.items()][:_PANELS]:
        pair = (_said(frontier.start.prompt, with_rows), _said(entry.prompt, with_rows))
        before, after = side_by_side(*pair, fields)
        export = export_command(config, frontier.study, mask(held.store.url), entry)
        panels.append(Panel(names.get(number, "derived"), entry, before, after, export))
    return tuple(panels)


def _said(prompt: Prompt, with_rows: bool) -> Prompt:
    return prompt if with_rows else without_rows(prompt)


def _parts(explanation: Explanation | None, *, with_rows: bool) -> tuple[Part, ...]:
    return tuple(
        Part(
            part.kind,
            part.text if with_rows or part.gene != "demonstrations" else "(left out)",
            part.tokens,
            f"{100 * part.effect.mean:+.1f}" if part.effect else "",
            f"{100 * part.effect.low:+.1f} to {100 * part.effect.high:+.1f}" if part.effect else "",
            f"{100 * part.shapley.mean:+.1f}" if part.shapley else "",
            part.effect is not None and part.effect.clear,
        )
        for part in (explanation.parts if explanation else ())
    )


def _effects_chart(
    explanation: Explanation | None, parts: Sequence[Part]
) -> dict[str, dict[str, Any]]:
    if explanation is None or not parts:
        return {}
    texts = [" ".join(f"{part.kind}: {part.text}".split())[:80] for part in parts]
    return {"effects": charts.effects_chart(explanation, texts)}


def _lineage(held: Study, shown: Entry) -> tuple[Step, ...]:
    """Return the trials from the first ancestor to the prompt, and what each step brought."""
    own = {"trial": shown.number, "mutators": shown.trial.mutators, "quality": shown.quality}
    line = [*reversed(held.lineage(shown)), own]
    qualities = [one["quality"] for one in line]
    gains = [None, *(b - a for a, b in pairwise(qualities))]
    return tuple(
        Step(one["trial"], tuple(one["mutators"]), one["quality"], gain)
        for one, gain in zip(line, gains, strict=True)
    )


def _about(frontier: Frontier) -> tuple[tuple[str, str], ...]:
    config = frontier.config
    sizes = config.sizes
    versions = ", ".join(f"{name} {one}" for name, one in config.versions.items())
    told = {
        "task": f"{config.task}: {config.source}",
        "rows": f"{sizes.train} train, {sizes.dev} dev, {sizes.test} test; hash {config.data_hash}",
        "scorer": config.scorer,
        "answers": config.answers or "",
        "model": f"{config.model} on {config.backend} ({config.scoring}); {config.fingerprint}",
        "proposals by": config.proposer if config.proposer != config.model else "",
        "seed": str(config.seed),
        "study": frontier.study,
        "versions": versions,
    }
    return tuple((name, text) for name, text in told.items() if text)


class _History:
    """The candidates of a study in the order in which they were told."""

    def __init__(self, held: Study, frontier: Frontier, *, with_rows: bool) -> None:
        self._frontier = frontier
        self._with_rows = with_rows
        self._fields = frontier.config.input_fields
        self._times = {trial.number: trial.datetime_complete for trial in held.trials()}
        self._scored = held.scored()
        if all(trial.number != frontier.best.number for trial, _ in self._scored):
            self._scored = [*self._scored, (frontier.best.trial, frontier.best.trial.rows)]
        self._efforts = [one.effort for one in frontier.mutators]
        told = Counter(name for trial, _ in self._scored for name in trial.mutators[:1])
        self._named = {name for name, _ in told.most_common(_MUTATORS)}

    def charts(self) -> dict[str, dict[str, Any]]:
        """Return the front and the history."""
        points = self._points()
        full = [one for one in points if one["complete"]][-_POINTS:]
        return {
            "front": charts.front_chart(full),
            "evaluations": charts.history_chart(
                points[-_POINTS:], "evaluations", "evaluations of candidates"
            ),
            "minutes": charts.history_chart(
                points[-_POINTS:], "minutes", "minutes since the start"
            ),
        }

    def cost(self) -> tuple[tuple[str, str], ...]:
        """Return what the search took, so far as the database says."""
        read = sum(max(0, trial.rows - seen) * trial.tokens for trial, seen in self._scored)
        wrote = sum(max(0, trial.rows - seen) * trial.reply_tokens for trial, seen in self._scored)
        calls = sum(effort.calls for effort in self._efforts)
        tokens = sum(effort.tokens for effort in self._efforts)
        told = (self._times[trial.number] for trial, _ in self._scored)
        times = [time for time in told if time]
        minutes = (max(times) - min(times)).total_seconds() / 60 if times else 0.0
        return (
            ("candidates", f"{self._frontier.trials:,}"),
            ("evaluations", f"{self._frontier.evaluations:,}"),
            ("prompt tokens read for candidates, inputs apart", f"{read:,}"),
            ("tokens written by candidates", f"{wrote:,.0f}"),
            ("calls of the proposer", f"{calls:,}"),
            ("tokens of these calls", f"{tokens:,}"),
            ("minutes from the first candidate to the last", f"{minutes:,.1f}"),
        )

    def _points(self) -> list[dict[str, Any]]:
        front = {entry.number for entry in self._frontier.front}
        named = {self._frontier.start.number: "start", self._frontier.best.number: "best"}
        evaluations, highest, first = 0, float("-inf"), None
        points = []
        for trial, seen in self._scored:
            evaluations += max(0, trial.rows - seen)
            time = self._times[trial.number]
            first = first or time
            minutes = (time - first).total_seconds() / 60 if time and first else 0.0
            point = self._point(trial) | {"evaluations": evaluations, "minutes": round(minutes, 2)}
            if trial.complete and trial.dev_mean is not None:
                highest = max(highest, trial.dev_mean)
                point["best"] = highest
            point["front"] = trial.number in front
            kind = "front" if point["front"] else "other"
            points.append(point | {"kind": named.get(trial.number, kind)})
        return points

    def _point(self, trial: Trial) -> dict[str, Any]:
        name = next(iter(trial.mutators), "recombined" if trial.parents else "given")
        point: dict[str, Any] = {
            "trial": trial.number,
            "quality": trial.dev_mean if trial.complete else trial.estimate,
            "tokens": trial.cost,
            "mutators": ", ".join(trial.mutators) or name,
            "mutator": name if name in self._named or not trial.mutators else "others",
            "complete": trial.complete,
        }
        if trial.interval:
            point |= {"low": trial.interval.low, "high": trial.interval.high}
        if trial.complete and trial.prompt:
            text = as_text(_said(trial.prompt, self._with_rows), self._fields)
            point["prompt"] = text if len(text) <= _PROMPT else text[:_PROMPT] + "…"
        return point
