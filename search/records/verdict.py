"""What the evidence supports, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .results import Entry, Frontier, Headroom

_SIGNIFICANT = 0.05
_UNPAIRED = "the gain is unknown: no row has a score for both prompts"


def headroom_line(headroom: Headroom) -> str:
    """Return in one sentence what the first candidates showed that there is to gain."""
    gain, noise, spread = (
        100 * value for value in (headroom.gain, headroom.noise, headroom.spread)
    )
    leader = f"the best of {headroom.prompts} is {gain:+.1f} points from the start"
    where = f"on {headroom.rows} rows, give or take {noise:.1f}"
    if not headroom.seen:
        return f"headroom   nothing to gain seen: {leader} {where}"
    return f"headroom   prompts differ by about {spread:.1f} points; {leader} {where}"


def early_word(frontier: Frontier) -> str:
    """Return what the first candidates showed; nothing where held-out rows show otherwise."""
    ahead = frontier.headroom
    if ahead is None or (not ahead.seen and _gained(frontier.best)):
        return ""
    return headroom_line(ahead)


def verdict(frontier: Frontier) -> str:
    """Return in one sentence what the held-out rows say of the best prompt."""
    best, start = frontier.best, frontier.start
    if best.number == start.number:
        return f"no significant gain: {_why_start(frontier)}"
    if best.test is None or start.test is None or best.gain is None or best.p_value is None:
        tested = best.test is not None and start.test is not None
        return (
            _UNPAIRED
            if tested
            else "not tested yet: the held-out rows are scored when the search ends"
        )
    points = 100 * best.gain
    where = (
        f"{best.test.n} held-out rows" if frontier.held_out else f"{best.test.n} rows, cross-fitted"
    )
    if not _gained(best):
        return f"no significant gain: {points:+.1f} points on {where} (p = {best.p_value:.2g})"
    return (
        f"gain over the starting prompt: {points:+.1f} points on {where} (p = {best.p_value:.2g}); "
        f"the best prompt is {_lengths(start, best)}"
    )


def _lengths(start: Entry, best: Entry) -> str:
    """Return how much longer a prompt is than the start, and its replies, if by a token."""
    length = _longer(best.tokens - start.tokens) or "of the same length"
    replies = _longer(round(best.trial.reply_tokens - start.trial.reply_tokens))
    return length + (f", its replies {replies}" if replies else "")


def _longer(tokens: int) -> str:
    return f"{abs(tokens)} tokens {'longer' if tokens > 0 else 'shorter'}" if tokens else ""


def _gained(best: Entry) -> bool:
    """Whether held-out rows show a gain beyond chance."""
    if best.gain is None or best.p_value is None:
        return False
    return best.gain > 0 and best.p_value < _SIGNIFICANT


def _why_start(frontier: Frontier) -> str:
    """Return why the starting prompt is the best."""
    if frontier.trials == 1:
        return "no other prompt has been compared with the starting prompt yet"
    refuted = [entry for entry in frontier.front if entry.refuted]
    if not refuted:
        return "nothing better than the starting prompt was found"
    n = max(entry.confirmation.n for entry in refuted if entry.confirmation)
    return (
        "the starting prompt is returned, because the prompts that were better on dev rows "
        f"were worse on {n} confirmation rows"
    )
