"""Lists of jobs: what `%jobs` returns, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.job import JobRecord
from ..core.text import duration, jobs_text, percent, short_id
from .html import bar, esc, mark, page, prose
from .job_card import cancelling, config_items, lasted
from .table import Cell, Column, table_html
from .words import clock, metric, tr


class Jobs(list[JobRecord]):
    """Records of jobs, newest first; a list that shows itself as a table.

    Args:
        total: how many there are; more than these when only some were asked for.
    """

    def __init__(self, records: Iterable[JobRecord] = (), total: int | None = None) -> None:
        super().__init__(records)
        self.total = len(self) if total is None else total

    def __repr__(self) -> str:
        return "\n".join([jobs_text(self), self._more()]).rstrip()

    def _repr_html_(self) -> str:
        if not self:
            return page(f'<div class="aiq-dim">{esc(tr("No jobs yet."))}</div>', label=tr("Jobs"))
        columns = (
            Column(tr("State")),
            Column(tr("Job")),
            Column(tr("Config"), wraps=True),
            Column(tr("Progress"), wraps=True),
            Column(tr("Submitted")),
        )
        table = table_html(columns, [_job_row(record) for record in self])
        foot = f'<div class="aiq-foot">{prose(self._more())}</div>' if self._more() else ""
        return page(table, foot, label=tr("Jobs"))

    def _more(self) -> str:
        if self.total <= len(self):
            return ""
        return f"{len(self)} of {self.total} jobs; `%jobs -n 0` shows all."


def _job_row(record: JobRecord) -> tuple[Cell, ...]:
    progress = ""
    if record.progress is not None:
        progress = (
            f'<div class="aiq-progress aiq-{record.state.value}">{bar(record.progress)}'
            f"<span>{percent(record.progress)}</span></div>"
        )
    seconds = lasted(record)
    attempt = f"{tr('attempt')} {record.attempt}/{record.max_attempts}"
    metrics = _unbroken(f"{key} {metric(value)}" for key, value in record.metrics.items())
    return (
        Cell(
            html=mark(record.state, cancelling(record)),
            small=attempt if record.attempt > 1 else "",
            hint=record.reason or "",
        ),
        Cell(
            html=f"<strong>{esc(record.name or record.task or tr('job'))}</strong>",
            small=short_id(record.job_id),
            hint=record.job_id,
        ),
        Cell(html=f"<code>{_unbroken(config_items(record))}</code>"),
        Cell(html=f"{progress}<div>{metrics}</div>"),
        Cell(
            clock(record.submitted_at),
            small="" if seconds is None else f"{tr('duration')} {duration(seconds)}",
            hint=f"{tr('worker')} {record.worker}" if record.worker else "",
        ),
    )


def _unbroken(items: Iterable[str]) -> str:
    """Items with line breaks between them only."""
    return " ".join(f"<span>{esc(item)}</span>" for item in items)
