"""The mutators of a search: the installed ones and the user's own, less those left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from ..contracts import Usage, usage_of
from ..errors import InputError
from ..plugins import available, closest, load, mutator_from_file
from .wrapped import Wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..contracts import MutationContext, Mutator, Prompt, Task


def load_mutators(
    files: Sequence[str], without: Sequence[str] = (), max_demonstrations: int | None = None
) -> dict[str, Mutator]:
    """Return the mutators of a search, by name.

    Parameters
    ----------
    files
        Mutators in files, each as ``path/to/file.py:Name``, which are added to the installed ones.
    without
        Installed ones to leave out.
    max_demonstrations
        Demonstrations a prompt may show at most, where given.

    Raises
    ------
    InputError
        If a mutator cannot be loaded, or one to be left out is not there.
    """
    installed = sorted(available("promptfront.mutators"))
    for name in without:
        if name not in installed:
            raise InputError(
                f"`without`: there is no mutator {name!r}{closest(name, installed)}; "
                "see `optimize list mutators`"
            )
    mutators: dict[str, Mutator] = {}
    for name in installed:
        if name not in without:
            make = cast("Callable[[], Mutator]", load("promptfront.mutators", name))
            mutators[name] = make()
    mutators |= {file: mutator_from_file(file) for file in files}
    for name, mutator in mutators.items():
        usage: object = usage_of(mutator)
        if not isinstance(usage, Usage):
            raise InputError(f"mutator {name!r}: expected its usage to be a Usage, found {usage!r}")
    return mutators if max_demonstrations is None else _limited(mutators, max_demonstrations)


def suited(
    mutators: Mapping[str, Mutator], task: Task, *, by_reply: bool = False
) -> dict[str, Mutator]:
    """Return the mutators that a task can have, whose replies are scored or not (``by_reply``).

    Those are left out that would be scored on the rows that they learn from, those whose prompts
    need more than their text where answers are written or chosen, those that are about free text
    where answers are labels, and those whose prompts reason where nothing is written. A prompt of
    the user's own has its structure, of which only how the model replies and is read is varied.
    """
    by_text, own = task.answers in ("written", "choice"), task.start.structure.own
    writes = by_reply or task.answers == "written"
    return {
        name: mutator
        for name, mutator in mutators.items()
        if not (task.shared and usage_of(mutator).needs_unshown_rows)
        and not (by_text and usage_of(mutator).needs_likelihood)
        and not (usage_of(mutator).needs_replies and not by_reply)
        and not (usage_of(mutator).reasons and not writes)
        and not (own and mutator.gene == "structure" and not _of_replies(usage_of(mutator)))
    }


def _of_replies(usage: Usage) -> bool:
    """Whether a change is of how the model replies or is read, not of the prompt's form."""
    return usage.rereads or usage.reasons or usage.needs_replies


def reasoning_mutators(mutators: Mapping[str, Mutator]) -> list[str]:
    """Return the names of the mutators that have the model reason before it answers."""
    return [name for name, mutator in mutators.items() if usage_of(mutator).reasons]


def token_readers(mutators: Mapping[str, Mutator]) -> list[str]:
    """Return the names of the mutators that read which words follow a prompt."""
    directions = {name: usage_of(mutator).direction for name, mutator in mutators.items()}
    return [
        name for name, direction in directions.items() if direction and direction.reads_next_tokens
    ]


def _limited(mutators: dict[str, Mutator], most: int) -> dict[str, Mutator]:
    if most < 0:
        raise InputError(f"`max_demonstrations`: expected a number of at least 0, found {most}")
    kept = {name: m for name, m in mutators.items() if most or m.gene != "demonstrations"}
    return {name: Capped(m, most) if m.gene == "demonstrations" else m for name, m in kept.items()}


@dataclass(frozen=True, slots=True)
class Capped(Wrapped):
    """A mutator of demonstrations of whose choice the first ``most`` are shown."""

    most: int

    def mutate(self, prompt: Prompt, context: MutationContext) -> Prompt:
        """Return the prompt with no more demonstrations than allowed."""
        changed = self.mutator.mutate(prompt, context)
        return replace(changed, demonstrations=changed.demonstrations[: self.most])
