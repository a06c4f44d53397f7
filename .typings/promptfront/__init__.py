"""promptfront: search for a better, shorter prompt for your model.

    import promptfront

    front = promptfront.optimize(task="sentiment", budget=200, seed=0)
    promptfront.load_prompt("best.json").render(text="…")

Names are imported when they are first used, so that importing promptfront loads no model library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptfront.search import (
        BackendError,
        DataOptions,
        Example,
        Frontier,
        InputError,
        Limits,
        Prompt,
        PromptfrontError,
        Structure,
        Task,
        VerificationError,
        load_frontier,
        load_prompt,
        load_task,
        optimize,
        verify,
    )

    __version__: str

__all__ = [
    "BackendError",
    "DataOptions",
    "Example",
    "Frontier",
    "InputError",
    "Limits",
    "Prompt",
    "PromptfrontError",
    "Structure",
    "Task",
    "VerificationError",
    "__version__",
    "load_frontier",
    "load_prompt",
    "load_task",
    "optimize",
    "verify",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("promptfront")
    from promptfront import search

    return getattr(search, name)


def __dir__() -> list[str]:
    return __all__
