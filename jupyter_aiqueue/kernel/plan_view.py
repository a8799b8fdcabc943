"""A plan as a table, beside its chart."""

from __future__ import annotations

from typing import Any

from ..core.load import Expected
from ..core.plan import Plan
from ..core.plan_text import load_lines, moment, notes, plan_text, point, title
from ..core.text import span
from .html import esc, page
from .plan_chart import plan_chart
from .table import Cell, Column, table_html
from .words import tr

#: What JupyterLab 4 renders with Vega-Lite 5.
VEGALITE = "application/vnd.vegalite.v5+json"

#: Neither the editor, to which data would be sent, nor the source.
_EMBED = {"actions": {"export": True, "source": False, "compiled": False, "editor": False}}

Bundle = dict[str, Any]


def outputs(plan: Plan) -> list[tuple[Bundle, Bundle]]:
    """The table, and the chart with its text: data and metadata by type.

    They are two, because JupyterLab would show HTML in place of a chart in one.
    """
    table = {"text/plain": plan_text(plan), "text/html": plan_html(plan)}
    if not plan.past and not plan.ahead:
        return [(table, {})]
    chart = {"text/plain": "\n".join(load_lines(plan)), VEGALITE: plan_chart(plan)}
    return [(table, {}), (chart, {VEGALITE: {"embed_options": _EMBED}})]


def plan_html(plan: Plan) -> str:
    """The plan as a table, and how far it can be trusted."""
    columns = (
        Column(tr("Submitted")),
        Column(tr("First starts")),
        Column(tr("Half are done")),
        Column(tr("All are done")),
    )
    rows = [
        (
            Cell(tr(one.label), small=moment(one.at, plan.timestamp)),
            *(_expected(plan, expected) for expected in (one.first, one.half, one.done)),
        )
        for one in plan.submissions
    ]
    said = "".join(f"<div>{esc(note)}</div>" for note in notes(plan))
    missing = f'<div class="aiq-dim">{esc(tr(plan.missing))}</div>' if plan.missing else ""
    return page(
        f'<div class="aiq-title">{esc(title(plan))}</div>',
        missing or table_html(columns, rows),
        f'<div class="aiq-foot">{said}</div>' if said else "",
        label=tr("Plan"),
    )


def _expected(plan: Plan, expected: Expected) -> Cell:
    text = tr(point(plan, expected))
    if expected.low is None or expected.high is None:
        return Cell(html=f'<span class="aiq-dim">{esc(text)}</span>')
    return Cell(text, small=f"{tr('in')} {span(expected.low, expected.high)}")
