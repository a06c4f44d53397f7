"""promptfront: search for a better, shorter prompt for your model.

    import promptfront

    front = promptfront.optimize(task="sentiment", budget=200, seed=0)
    promptfront.load_prompt("best.json").render(text="…")

Names are imported when they are first used, so that importing promptfront loads no model library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptfront import search

if TYPE_CHECKING:
    from promptfront.search import *  # noqa: F403

    __version__: str

__all__ = ["__version__"]
__all__ += search.__all__


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name == "__version__":
        from importlib.metadata import version

        return version("promptfront")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(search, name)


def __dir__() -> list[str]:
    return __all__
