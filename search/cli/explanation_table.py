"""What each part of a prompt is worth, as a person reads it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .streams import clipped, printable

if TYPE_CHECKING:
    from ..records.explanation import (
        Effect,
        Explanation,
        Importance,
        PartEffect,
        RowExplanation,
        Shorter,
    )

_WIDTH = 60
_MOST_MUTATORS = 5
_MOST_EFFECTS = 5
_APART = 0.01
"""By how much the sum of effects may differ from what all parts are worth without a word."""
_ROWS = {"dev": "dev and confirmation rows", "test": "test rows"}


def explanation_lines(explanation: Explanation) -> list[str]:
    """Return the table of parts, and what follows from it."""
    one = explanation
    lines = [
        f"trial {one.trial}, {one.tokens} tokens: {one.score:.3f} on {one.rows} {_ROWS[one.split]}",
        "what the score loses without each part, in points:",
        "",
    ]
    with_shapley = any(part.shapley for part in one.parts)
    head = ("effect", "95 % interval", *(("Shapley",) if with_shapley else ()), "tokens", "part")
    rows = [head, *(_row(part, with_shapley=with_shapley) for part in one.parts)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
    lines += ["  ".join([*map(str.rjust, row, widths), row[-1]]) for row in rows]
    lines.append("")
    if not one.parts:
        lines.append("the prompt has no part that can be left out")
    unclear = sum(part.effect is not None and not part.effect.clear for part in one.parts)
    if unclear:
        lines.append(f"~ no clear effect on these rows: {unclear} of {len(one.parts)} parts")
    lines += _interplay(one)
    lines += _shorter(one.shorter) if one.shorter else []
    lines += _importance(one.importance) if one.importance else []
    return lines + (["", *_words(one.row)] if one.row else [])


def effect_lines(explanation: Explanation | None) -> list[str]:
    """Return the parts that matter most, in a few lines; nothing where nothing was explained."""
    parts = [one for one in explanation.parts if one.effect] if explanation else []
    parts.sort(key=lambda one: -abs(one.effect.mean) if one.effect else 0.0)
    rows = [_row(part, with_shapley=False) for part in parts[:_MOST_EFFECTS]]
    lines = [f"{row[0]:>7} {row[1]:>16}  {row[-1]}" for row in rows]
    return ["points lost without a part of the best prompt:", *lines, ""] if lines else []


def _row(part: PartEffect, *, with_shapley: bool) -> tuple[str, ...]:
    effect, shapley = part.effect, part.shapley
    shown = ("", "cannot be left out") if effect is None else (_points(effect), _interval(effect))
    more = (_points(shapley) if shapley else "",) if with_shapley else ()
    text = " ".join(printable(part.text).split())
    text = clipped(text, _WIDTH)
    return (*shown, *more, f"{part.tokens:+d}", f"{part.kind}: {text}")


def _points(effect: Effect) -> str:
    return f"{'' if effect.clear else '~ '}{100 * effect.mean:+.1f}"


def _interval(effect: Effect) -> str:
    return f"[{100 * effect.low:+.1f}, {100 * effect.high:+.1f}]"


def _interplay(one: Explanation) -> list[str]:
    """Return how the parts act together, where Shapley values tell."""
    if one.bare is None:
        return []
    whole = one.score - one.bare
    alone = math.fsum(part.effect.mean for part in one.parts if part.effect)
    line = f"all parts together are worth {100 * whole:+.1f} points; the effects above sum to"
    line += f" {100 * alone:+.1f}"
    if alone < whole - _APART:
        return [f"{line}: some parts can replace others"]
    return [f"{line}: some parts need others"] if alone > whole + _APART else [line]


def _shorter(shorter: Shorter) -> list[str]:
    parts = len(shorter.without)
    which = f"its {parts} weakest parts" if parts > 1 else "its weakest part"
    gain, sign = shorter.gain, "fewer" if shorter.tokens >= 0 else "more"
    return [
        f"without {which}: {_points(gain).removeprefix('~ ')} points {_interval(gain)}, "
        f"{abs(shorter.tokens)} tokens {sign}: trial {shorter.trial} "
        f"(`optimize export --pick {shorter.trial}`)",
        "chosen on these rows, so its score is a little too high",
    ]


def _importance(importance: Importance) -> list[str]:
    """Return what the scores of the search went with: that is no effect of any of it."""
    shares = {
        "genes": importance.genes,
        "mutators": dict([*importance.mutators.items()][:_MOST_MUTATORS]),
    }
    told = [
        f"{kind} {', '.join(f'{name} {100 * share:.0f} %' for name, share in of.items())}"
        for kind, of in shares.items()
        if of
    ]
    about = f"share of the variance in {importance.trials} candidates' scores"
    return [f"search     {about} (fANOVA; no causal effects): {'; '.join(told)}"] if told else []


def _words(row: RowExplanation) -> list[str]:
    answers = f"answer {row.answer!r}, the right one is {row.target!r}"
    lines = [f"row {row.row}: {answers}; the words that matter most:", ""]
    words = sorted(row.words, key=lambda word: -abs(word.effect or 0.0))
    for word in words[:10]:
        effect = "" if word.effect is None else f"{100 * word.effect:+.1f}"
        changed = f" -> {word.answer!r}" if word.answer != row.answer else ""
        lines.append(f"{effect:>7}  {word.field}: {word.text!r}{changed}")
    return lines
