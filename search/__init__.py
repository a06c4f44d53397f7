"""promptfront.search: search over prompts, and the types a plugin needs.

Names are imported when they are first used: ``optimize --help`` waits for no model library.
"""

from __future__ import annotations

if __name__ == "search":
    raise ImportError(
        "this folder is the package promptfront.search: run `pip install -e .` and import "
        "promptfront.search"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import load_frontier, optimize
    from .comparing import compare
    from .contracts import Example, Prompt, Structure, Task
    from .data.load_task import load_task
    from .errors import BackendError, InputError, PromptfrontError, VerificationError
    from .explaining import explain
    from .export.document import load_prompt
    from .export.verify import verify
    from .gating import gate
    from .options import DataOptions, Limits
    from .page.page import report
    from .records.explanation import Explanation
    from .records.gate import GateResult
    from .records.results import Frontier

_HOMES = {
    "BackendError": "errors",
    "DataOptions": "options",
    "Example": "contracts",
    "Explanation": "records.explanation",
    "Frontier": "records.results",
    "GateResult": "records.gate",
    "InputError": "errors",
    "Limits": "options",
    "Prompt": "contracts",
    "PromptfrontError": "errors",
    "Structure": "contracts",
    "Task": "contracts",
    "VerificationError": "errors",
    "compare": "comparing",
    "explain": "explaining",
    "gate": "gating",
    "load_frontier": "api",
    "load_prompt": "export.document",
    "load_task": "data.load_task",
    "optimize": "api",
    "report": "page.page",
    "verify": "export.verify",
}

__all__ = [
    "BackendError",
    "DataOptions",
    "Example",
    "Explanation",
    "Frontier",
    "GateResult",
    "InputError",
    "Limits",
    "Prompt",
    "PromptfrontError",
    "Structure",
    "Task",
    "VerificationError",
    "compare",
    "explain",
    "gate",
    "load_frontier",
    "load_prompt",
    "load_task",
    "optimize",
    "report",
    "verify",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
