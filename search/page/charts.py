"""The charts of the report, as Vega-Lite specifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records.explanation import Explanation

Spec = dict[str, Any]
Point = dict[str, Any]
_GREY, _BLUE, _ORANGE = "#8c8c8c", "#3b7dd8", "#d9822b"
"""Colours that show on light and on dark."""
_CONFIG: Spec = {
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": _GREY,
        "titleColor": _GREY,
        "gridColor": "#8c8c8c33",
        "domainColor": _GREY,
        "tickColor": _GREY,
    },
    "legend": {"labelColor": _GREY, "titleColor": _GREY, "orient": "bottom", "columns": 3},
}
_WIDTH: Spec = {"width": "container", "autosize": {"type": "fit", "contains": "padding"}}


def front_chart(points: Sequence[Point]) -> Spec:
    """Return quality against tokens: the front with its intervals, the others behind it."""
    on_front = {"transform": [{"filter": "datum.front"}]}
    named = {"transform": [{"filter": "datum.kind !== 'other'"}]}
    x = _axis("tokens", "tokens read and written for an input", zero=False)
    y = _axis("quality", "mean dev score", zero=False)
    told = _tooltips("trial", "quality", "tokens", "mutators", "prompt")
    return _spec(
        points,
        [
            {
                "mark": {"type": "circle", "color": _GREY, "opacity": 0.5, "size": 40},
                "encoding": {"x": x, "y": y, "tooltip": told},
            },
            named
            | {
                "mark": {"type": "rule", "color": _BLUE},
                "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            on_front
            | {
                "mark": {"type": "line", "interpolate": "step-after", "color": _BLUE},
                "encoding": {"x": x, "y": y},
            },
            named
            | {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": y,
                    "tooltip": told,
                    "color": _kinds(("front", "start", "best"), (_BLUE, _GREY, _ORANGE)),
                },
            },
        ],
        300,
    )


def history_chart(points: Sequence[Point], field: str, title: str) -> Spec:
    """Return candidates' estimates, and the best of them so far, by evaluations or by time."""
    x, y = _axis(field, title), _axis("quality", "estimated score", zero=False)
    told = _tooltips("trial", "quality", "mutators", field)
    color = {"field": "mutator", "type": "nominal", "title": "mutator"}
    return _spec(
        points,
        [
            {
                "mark": {"type": "circle", "opacity": 0.8, "size": 45},
                "encoding": {"x": x, "y": y, "color": color, "tooltip": told},
            },
            {
                "transform": [{"filter": "isValid(datum.best)"}],
                "mark": {"type": "line", "interpolate": "step-after", "color": _BLUE},
                "encoding": {"x": x, "y": y | {"field": "best"}},
            },
        ],
        240,
    )


def effects_chart(explanation: Explanation, texts: Sequence[str]) -> Spec:
    """Return what the score loses without each part, with intervals."""
    points = [
        {
            "part": f"{i + 1}. {text}",
            "effect": 100 * part.effect.mean,
            "low": 100 * part.effect.low,
            "high": 100 * part.effect.high,
            "kind": "more than noise" if part.effect.clear else "within its noise",
        }
        for i, (part, text) in enumerate(zip(explanation.parts, texts, strict=True))
        if part.effect
    ]
    y: Spec = {"field": "part", "type": "nominal", "sort": None, "title": None}
    y |= {"axis": {"labelLimit": 180}}
    x = _axis("effect", "points lost without it")
    color = _kinds(("more than noise", "within its noise"), (_BLUE, _GREY))
    told = _tooltips("part", "effect", "low", "high")
    return _spec(
        points,
        [
            {
                "mark": {"type": "bar", "height": 12},
                "encoding": {"x": x, "y": y, "color": color, "tooltip": told},
            },
            {
                "mark": {"type": "rule", "color": _ORANGE},
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y},
            },
        ],
        max(60, 24 * len(points)),
    )


def _spec(points: Sequence[Point], layers: list[Spec], height: int) -> Spec:
    config = {"config": _CONFIG, "height": height} | _WIDTH
    return {"data": {"values": list(points)}, "layer": layers} | config


def _axis(field: str, title: str, *, zero: bool = True) -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": zero}}


def _kinds(names: Sequence[str], colors: Sequence[str]) -> Spec:
    scale = {"domain": list(names), "range": list(colors)}
    return {"field": "kind", "type": "nominal", "title": None, "scale": scale}


def _tooltips(*fields: str) -> list[Spec]:
    numbers = {"quality": ".3f", "effect": "+.1f", "low": "+.1f", "high": "+.1f"}
    return [
        {"field": field, "type": "quantitative", "format": numbers[field]}
        if field in numbers
        else {"field": field, "type": "nominal"}
        for field in fields
    ]
