"""What a built-in task is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..contracts import Constraint, Example, Task
from ..data.splits import Sizes, split_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contracts import Prompt


def at_most_words(limit: int) -> Constraint:
    """Return the constraint that a reply has at most ``limit`` words."""
    return Constraint("length", "Use at most {limit} words.", limit, "max_words")


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A task whose rows promptfront obtains itself.

    Parameters
    ----------
    name
        The task's name.
    source
        Where the rows come from and their licence, as `optimize list tasks` shows it.
    read
        Returns all rows.
    start
        The prompt a search starts from.
    target_field
        What the answers are called.
    labels, scorer, constraints, max_tokens, stop
        As in `Task`.
    sizes
        Rows of each split at most.
    """

    name: str
    source: str
    read: Callable[[], list[Example]]
    start: Prompt
    target_field: str
    labels: tuple[str, ...] = ()
    scorer: str = "labels"
    constraints: tuple[Constraint, ...] = ()
    max_tokens: int = 128
    stop: tuple[str, ...] = ()
    sizes: Sizes = field(default_factory=Sizes)

    def __call__(self, *, seed: int = 0) -> Task:
        """Return the task, split by the seed.

        Raises
        ------
        InputError
            If the data cannot be obtained.
        """
        examples = [_stripped(example) for example in self.read() if example.target.strip()]
        splits = split_rows(examples, self.sizes, seed, self.name)
        return Task(
            name=self.name,
            source=self.source,
            start=self.start,
            input_fields=tuple(name for name, _ in examples[0].inputs),
            target_field=self.target_field,
            labels=self.labels,
            train=splits.train,
            dev=splits.dev,
            test=splits.test,
            scorer=self.scorer,
            constraints=self.constraints,
            notes=splits.notes,
            max_tokens=self.max_tokens,
            stop=self.stop,
        )


def _stripped(example: Example) -> Example:
    inputs = tuple((name, text.strip()) for name, text in example.inputs)
    return replace(example, inputs=inputs, target=example.target.strip())
