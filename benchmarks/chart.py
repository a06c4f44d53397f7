"""The chart of README: what each optimizer's prompt scores on held-out rows, from kept records.

    python benchmarks/chart.py            # writes docs/quality.svg

It draws the records of benchmarks/search.py that stand in `predictions/`, each with Wilson's
95 % interval over its test rows and with the tokens of its prompt. Needs `pip install
vl-convert-python`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import vl_convert

from promptfront.search.evaluation.statistics import wilson_interval

HERE = Path(__file__).parent
RECORDS = HERE / "predictions" / "qwen2.5-coder-1.5b-instruct"
CHART = HERE.parent / "docs" / "quality.svg"
TASKS = {"subj": "Subj", "sst5": "SST-5", "agnews": "AG News", "sports": "sports"}
NAMES = {
    "start": "start",
    "hand": "best of 3 by hand",
    "capo": "CAPO",
    "promptfront": "promptfront",
}
_INK, _BLUE, _GREY = "#333333", "#3b7dd8", "#9a9a9a"


def main() -> None:
    """Write the chart."""
    points = [point for task in TASKS for point in _points(task)]
    CHART.write_text(vl_convert.vegalite_to_svg(_chart(points)), encoding="utf-8")
    print(json.dumps(points))


def _points(task: str) -> list[dict[str, Any]]:
    records = {
        name: json.loads((RECORDS / f"{task}-{name}-0.json").read_text("utf-8"))
        for name in ("hand", "capo", "promptfront")
    }
    scored = {"start": records["promptfront"]["start"]}
    scored |= {name: record["held"]["1.0"] for name, record in records.items()}
    points = []
    for name, one in scored.items():
        right, rows = one["right"].count("1"), len(one["right"])
        low, high = wilson_interval(right, rows)
        percent = {"accuracy": right / rows, "low": low, "high": high}
        points.append(
            {"task": f"{TASKS[task]}, {rows} rows", "prompt": NAMES[name]}
            | {key: round(100 * value, 1) for key, value in percent.items()}
            | {"tokens": f"{one['tokens']} tokens"}
        )
    return points


def _chart(points: list[dict[str, Any]]) -> dict[str, Any]:
    y = {"field": "prompt", "type": "nominal", "sort": list(NAMES.values()), "title": None}
    x = {"field": "accuracy", "type": "quantitative", "scale": {"zero": False}, "title": "% right"}
    ours = {"condition": {"test": f"datum.prompt === '{NAMES['promptfront']}'", "value": _BLUE}}
    color = ours | {"value": _GREY}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 10,
        "data": {"values": points},
        "facet": {
            "column": {
                "field": "task",
                "title": None,
                "sort": [point["task"] for point in points],
                "header": {"labelColor": _INK, "labelFontSize": 13, "labelFontWeight": "bold"},
            }
        },
        "spec": {
            "width": 165,
            "height": {"step": 34},
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.6},
                    "encoding": {
                        "y": y,
                        "x": x | {"field": "low"},
                        "x2": {"field": "high"},
                        "color": color,
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                    "encoding": {"y": y, "x": x, "color": color},
                },
                {
                    "mark": {"type": "text", "dy": -11, "fontSize": 10, "color": _INK},
                    "encoding": {"y": y, "x": x, "text": {"field": "tokens"}},
                },
            ],
        },
        "config": {
            "view": {"stroke": None},
            "axis": {"labelColor": _INK, "titleColor": _INK, "labelFontSize": 12},
            "font": "Helvetica, Arial, sans-serif",
        },
    }


if __name__ == "__main__":
    main()
