"""A plan as a chart that JupyterLab draws by itself (Vega-Lite)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ..core.plan import PastLoad, Plan
from ..core.plan_text import load_lines
from .words import tr

#: Middle tones, which can be read on light and on dark: a chart that was drawn in one theme is
#: looked at in the other one.
_TEXT, _LINES = "#7b7b7b", "rgba(128,128,128,0.3)"
WAITING, RUNNING, FREE = "#1e88e5", "#c77d0a", "#2e9b5f"

_NUMBERS = ("waiting", "running", "free")

#: Samples that are further apart have a gap between them.
_APART = timedelta(minutes=8)

_WIDTH, _HEIGHT, _ROW = 640, 180, 26


def plan_chart(plan: Plan) -> dict[str, Any]:
    """The load of the last day, the line ahead, and when all would be done: Vega-Lite."""
    begin, end = _reach(plan)
    shown = "%H:%M" if end - begin < timedelta(hours=40) else "%m-%d %H:%M"
    x = {
        "field": "t",
        "type": "temporal",
        "axis": {"title": None, "format": shown, "labelOverlap": True, "tickCount": 10},
    }
    # Of one layer only: Vega-Lite warns of a conflict where several name a domain, even the same.
    reach = {**x, "scale": {"domain": [_ms(begin), _ms(end)]}}
    parts = [_load(plan, x)]
    if any(one.done.low is not None for one in plan.submissions):
        parts.append(_ends(plan, x))
    for part in parts:
        part["layer"].append(_now(plan, reach))
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": " ".join(load_lines(plan)),
        "background": "transparent",
        "vconcat": parts,
        "config": {
            "view": {"stroke": None},
            "range": {"category": [WAITING, RUNNING, FREE]},
            "axis": {
                "labelColor": _TEXT,
                "titleColor": _TEXT,
                "gridColor": _LINES,
                "domainColor": _LINES,
                "tickColor": _LINES,
            },
            "legend": {
                "labelColor": _TEXT,
                "orient": "top",
                "title": None,
                "symbolType": "stroke",
                "symbolOpacity": 1,
                "symbolStrokeWidth": 2,
            },
            "title": {"color": _TEXT, "fontSize": 11, "fontWeight": "normal", "anchor": "start"},
        },
    }


def _load(plan: Plan, x: dict[str, Any]) -> dict[str, Any]:
    names = [tr("Waiting"), tr("Running"), tr("Free slots")]

    def color(name: str) -> dict[str, Any]:
        return {"datum": name, "type": "nominal"}

    def y(field: str) -> dict[str, Any]:
        axis = {"title": tr("Jobs"), "tickMinStep": 1, "tickCount": 5}
        return {"field": field, "type": "quantitative", "axis": axis}

    layers: list[dict[str, Any]] = []
    if plan.past:
        past = [
            {
                "mark": {"type": "line", "strokeWidth": width},
                "encoding": {
                    "x": x,
                    "y": y(field),
                    "color": color(name),
                },
            }
            for field, name, width in zip(_NUMBERS, names, (2, 1.5, 1.5), strict=True)
        ]
        hints = [
            {"field": "t", "type": "temporal", "format": "%m-%d %H:%M", "title": tr("as of")},
            *(
                {"field": field, "type": "quantitative", "title": name}
                for field, name in zip(_NUMBERS, names, strict=True)
            ),
        ]
        # Nothing to be seen, but something to point at.
        hover = {
            "transform": [{"filter": "isValid(datum.running) || isValid(datum.waiting)"}],
            "mark": {"type": "rule", "opacity": 0, "strokeWidth": 3},
            "encoding": {"x": x, "tooltip": hints},
        }
        layers.append({"data": {"values": _rows(plan.past)}, "layer": [*past, hover]})
    if plan.ahead:
        ahead = [
            {"t": _ms(one.at), "low": one.low, "middle": one.middle, "high": one.high}
            for one in plan.ahead
        ]
        band = {
            "mark": {"type": "area", "opacity": 0.25},
            "encoding": {
                "x": x,
                "y": y("low"),
                "y2": {"field": "high"},
                "color": color(names[0]),
            },
        }
        middle = {
            "mark": {"type": "line", "strokeWidth": 2, "strokeDash": [5, 3]},
            "encoding": {"x": x, "y": y("middle"), "color": color(names[0])},
        }
        layers.append({"data": {"values": ahead}, "layer": [band, middle]})
    heading = f"{tr('Load of the last day, and the line ahead')} ({tr('80 % range')})"
    return {"width": _WIDTH, "height": _HEIGHT, "title": heading, "layer": layers}


def _ends(plan: Plan, x: dict[str, Any]) -> dict[str, Any]:
    """A row for each moment: from the first start to the end, and how sure the end is."""
    rows = []
    for one in plan.submissions:
        if one.done.low is not None:
            seconds = {
                "first": one.first.middle,
                "low": one.done.low,
                "middle": one.done.middle,
                "high": one.done.high,
            }
            times = {
                name: _ms(plan.timestamp + timedelta(seconds=value or 0.0))
                for name, value in seconds.items()
            }
            rows.append({"submitted": tr(one.label), **times})
    y = {
        "field": "submitted",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelLimit": 120},
    }

    def across(start: str, stop: str, **mark: Any) -> dict[str, Any]:
        sides = {"x": {**x, "field": start}, "x2": {"field": stop}, "y": y}
        return {"mark": {"type": "bar", **mark}, "encoding": sides}

    hints = [
        {"field": name, "type": "temporal", "format": "%m-%d %H:%M", "title": f"{tr(label)}{more}"}
        for name, label, more in (
            ("first", "First starts", ""),
            ("low", "All are done", " 10 %"),
            ("middle", "All are done", " 50 %"),
            ("high", "All are done", " 90 %"),
        )
    ]
    tick = {"type": "tick", "thickness": 3, "size": 16, "color": WAITING}
    middle = {"mark": tick, "encoding": {"x": {**x, "field": "middle"}, "y": y}}
    layers = [
        across("first", "middle", height=4, color=RUNNING, opacity=0.7),
        across("low", "high", height=14, color=WAITING, opacity=0.4),
        middle,
    ]
    for layer in layers:
        layer["encoding"]["tooltip"] = hints
    heading = f"{tr('From the first start to the end of all')} ({tr('80 % range')})"
    height = _ROW * len(rows)
    data = {"values": rows}
    return {"data": data, "width": _WIDTH, "height": height, "title": heading, "layer": layers}


def _now(plan: Plan, x: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {"values": [{"t": _ms(plan.timestamp)}]},
        "mark": {"type": "rule", "color": _TEXT, "strokeDash": [2, 2]},
        "encoding": {"x": x},
    }


def _reach(plan: Plan) -> tuple[datetime, datetime]:
    """From the first to the last moment that is shown."""
    begin = max(
        plan.timestamp - timedelta(days=1), min([plan.timestamp, *(p.at for p in plan.past)])
    )
    ends = [plan.timestamp + timedelta(seconds=one.done.high or 0) for one in plan.submissions]
    ends += [*(one.at for one in plan.submissions), *(one.at for one in plan.ahead)]
    # One that may take for ever does not squeeze the rest.
    most = max(one.at for one in plan.submissions) + timedelta(days=2)
    return begin, min(max(ends), most)


def _rows(past: Sequence[PastLoad]) -> list[dict[str, Any]]:
    """The samples, with nothing between those that have a gap between them."""
    rows: list[dict[str, Any]] = []
    before: datetime | None = None
    for sample in past:
        if before is not None and sample.at - before > _APART:
            rows.append({"t": _ms(before + timedelta(seconds=1)), **dict.fromkeys(_NUMBERS)})
        before = sample.at
        values = (sample.waiting, sample.running, sample.free)
        numbers = [None if value is None else round(value, 1) for value in values]
        rows.append({"t": _ms(sample.at), **dict(zip(_NUMBERS, numbers, strict=True))})
    return rows


def _ms(at: datetime) -> int:
    """As Vega has times, which it shows in the zone of who looks."""
    return round(at.timestamp() * 1000)
