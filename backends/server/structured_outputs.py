"""Forms of replies as vLLM and its server take them (structured outputs)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...search.contracts import Form


def structured_outputs(form: Form) -> dict[str, Any]:
    """Return the parameters of vLLM's structured outputs that hold a reply to a form."""
    if form.kind == "regex":
        return {"regex": form.pattern}
    if form.kind == "choice":
        return {"choice": json.loads(form.pattern)}
    return {"json": json.loads(form.pattern)} if form.pattern else {"json_object": True}
