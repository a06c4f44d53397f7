"""`report`: the page, written as one file that needs no network and no server."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from ..errors import InputError
from ..options import DEFAULT_STORAGE
from ..records.verdict import verdict
from ..storage.database import Store
from ..storage.opening import latest_study
from ..storage.study import Study
from .content import gather
from .rows import as_json
from .wording import side_by_side, without_rows

if TYPE_CHECKING:
    from ..records.comparison import Comparison
    from .content import Content

_NO_SCRIPT_ROWS = 40
"""Rows that can be read without JavaScript."""
_EXPOSED = "window.vegaEmbed = vegaEmbed;"
"""What the page's own script uses of the library."""


def report(
    storage: str = DEFAULT_STORAGE,
    study: str | None = None,
    *,
    pick: str = "best",
    rows: bool = True,
) -> str:
    """Return a study as a page of HTML: one file, from the database alone.

    Parameters
    ----------
    storage, study
        Where the study is; by default the one started last. It may be in the middle of its search.
    pick
        The prompt that is compared with the start: ``"best"``, ``"knee"``, ``"shortest"`` or a
        trial number.
    rows
        Whether texts of the data may stand on the page: rows, answers, and the demonstrations of
        prompts. What a model wrote into an instruction after reading rows stays.

    Raises
    ------
    InputError
        If there is no such study or prompt, or what draws the charts is not installed.
    """
    store = Store(storage, create=False)
    held = Study(store, study or latest_study(store))
    return _page(gather(held, pick, with_rows=rows), with_rows=rows)


def comparison_page(comparison: Comparison, *, rows: bool = True) -> str:
    """Return studies of the same rows as a page of HTML, one file without a script.

    Parameters
    ----------
    comparison
        What `compare` returned.
    rows
        Whether demonstrations may stand on the page.
    """
    first = comparison.frontiers[0]
    fields = first.config.input_fields
    prompts = [one.best.prompt for one in comparison.frontiers]
    prompts = prompts if rows else [without_rows(prompt) for prompt in prompts]
    pairs = [side_by_side(prompts[0], prompt, fields) for prompt in prompts]
    studies = [
        {"frontier": frontier, "verdict": verdict(frontier), "before": before, "after": after}
        for frontier, (before, after) in zip(comparison.frontiers, pairs, strict=True)
    ]
    return _rendered(
        "compare.html.jinja",
        comparison=comparison,
        studies=studies,
        title=f"{first.task}: {len(studies)} studies",
        verdict=_serving(comparison),
        with_rows=rows,
    )


def _serving(comparison: Comparison) -> str:
    """Return in one sentence whether one prompt serves all."""
    count = len(comparison.frontiers)
    gained = sum(one.best.number != one.start.number for one in comparison.frontiers)
    if not comparison.crossed:
        found = f"{gained} of {count} searches found another prompt than their start"
        return f"{found}; whether one serves all was not measured"
    serving = [comparison.frontiers[i].study for i in comparison.serving_all()]
    if not serving:
        return "no best prompt serves all: each is worse for another model, or no prompt for it"
    whose = " and that of ".join(serving)
    return f"the best prompt of {whose} serves all: no other model is shown to do worse with it"


def _page(content: Content, *, with_rows: bool) -> str:
    changed = [row for row in content.rows if row.change != "same"]
    return _rendered(
        "page.html.jinja",
        content=content,
        with_rows=with_rows,
        few_rows=(changed or content.rows)[:_NO_SCRIPT_ROWS],
        charts=_script_json(content.charts),
        rows=_script_json(as_json(content.rows)),
        script=_trusted(_read("page.js")),
        library=_trusted(_library()),
    )


def _rendered(template: str, **values: Any) -> str:  # noqa: ANN401 (whatever the template shows)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(style=_trusted(_read("page.css")), **values)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    try:
        import vl_convert
    except ImportError:
        raise InputError(
            "the report needs what draws its charts: pip install 'promptfront[report]'"
        ) from None
    return str(vl_convert.javascript_bundle(_EXPOSED))


def _trusted(text: str) -> Markup:
    """Return our own style or script as it is to stand on the page."""
    return Markup(text.replace("</script", "<\\/script"))  # noqa: S704 (no data is in it)


def _script_json(value: Any) -> Markup:  # noqa: ANN401 (any JSON value)
    """Return a value as JSON that no HTML parser reads anything else in."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 (no markup is left in it)
