"""Mutators at work: each is held to its contract, and what breaks it fails one candidate alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..contracts import GENES, Constraint, Example, MutationContext, Mutator, Prompt, Structure
from ..errors import InterruptedCallError, StorageError
from ..prompts.own import keeps_form
from ..records.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping


class MutatorFailedError(Exception):
    """A mutator broke its contract."""


@dataclass
class Mutation:
    """A prompt that mutators change one after the other.

    ``applied`` names those that changed it. The first that fails ends it: it stands last, and
    ``error`` says how it failed.
    """

    prompt: Prompt
    applied: tuple[str, ...] = ()
    error: str = ""

    def by(self, name: str, mutators: Mapping[str, Mutator], context: MutationContext) -> bool:
        """Let one more mutator change the prompt; false where it fails.

        A change that makes the prompt too long for any demonstration is none.
        """
        try:
            changed = context.fit(mutate(mutators[name], self.prompt, context))
        except MutatorFailedError as error:
            self.applied, self.error = (*self.applied, name), f"mutator {name!r} {error}"
            return False
        if changed not in (self.prompt, None):
            self.prompt, self.applied = changed, (*self.applied, name)
        return True

    def proposal(self, parents: tuple[int, ...] = ()) -> Trial:
        """Return the candidate that it ended in."""
        if self.error:
            return Trial(None, mutators=self.applied, error=self.error)
        return Trial(self.prompt, parents, self.applied)


def mutate(mutator: Mutator, prompt: Prompt, context: MutationContext) -> Prompt:
    """Return what a mutator makes of a prompt.

    Raises
    ------
    MutatorFailedError
        If it raises, or changes what it must not.
    """
    try:
        changed: object = mutator.mutate(prompt, context)
    except (InterruptedCallError, StorageError):
        # No candidate's fault: no other would fare better.
        raise
    except Exception as error:  # (the one boundary to code that is not ours)
        raise MutatorFailedError(f"raised {type(error).__name__}: {error}") from error
    if not isinstance(changed, Prompt):
        kind = type(changed).__name__
        raise MutatorFailedError(f"must return a Prompt, but returned {kind}")
    if not _well_formed(changed):
        raise MutatorFailedError("returned a Prompt with a gene of the wrong type")
    others = [gene for gene in GENES if gene != mutator.gene]
    foreign = [gene for gene in others if getattr(changed, gene) != getattr(prompt, gene)]
    if foreign:
        what = f"may change {mutator.gene} only, but changed {', '.join(foreign)}"
        raise MutatorFailedError(what)
    # Only what is new is looked up: to hash all of train each time takes longer than most mutators.
    added = set(changed.demonstrations) - set(prompt.demonstrations)
    if added and not {replace(one, rationale="") for one in added} <= set(context.task.train):
        raise MutatorFailedError("took a demonstration that is not in train")
    task = context.task
    # What breaks the user's own prompt is nothing to propose: another mutator is asked.
    return changed if keeps_form(prompt, changed, task.input_fields, task.keep) else prompt


def _well_formed(prompt: Prompt) -> bool:
    return (
        isinstance(prompt.instruction, str)
        and isinstance(prompt.structure, Structure)
        and isinstance(prompt.demonstrations, tuple)
        and all(isinstance(example, Example) for example in prompt.demonstrations)
        and isinstance(prompt.constraints, tuple)
        and all(isinstance(constraint, Constraint) for constraint in prompt.constraints)
    )
