"""The load as HTML: a line per group, every number with its source and age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ..core.job import Priority
from ..core.load import UNKNOWN, Expected, GroupLoad, Load, Measured, WorkerLoad
from ..core.text import ages, duration, hits_text, percent, start_text
from .html import esc, page, prose, slot_boxes
from .table import Cell, Column, table_html
from .words import clock, number, rate, size, tr


def load_html(load: Load) -> str:
    """The load as HTML."""
    return page(load_body(load), label=tr("Load"))


def load_body(load: Load, *, footer: bool = True) -> str:
    """The same without its frame, and without its ages if ``footer`` is false."""
    parts = [_broker_line(load)]
    groups = [group for group in load.groups if group.queue is None]
    queues = [group for group in load.groups if group.queue is not None]
    if groups:
        parts.append(_groups(groups))
    if queues:
        parts.append(_queues(queues))
    if load.retrying.value:
        parts.append(
            f'<div{_hint(load.retrying)}><span class="aiq-mark aiq-retrying">'
            f'<i class="aiq-shape">↻</i></span>{number(load.retrying.value)} '
            f"{esc(tr('between attempts'))}</div>"
        )
    parts += [
        f'<div{_hint(group.held)}><span class="aiq-mark aiq-held"><i class="aiq-shape">◦</i></span>'
        f"{number(group.held.value)} {esc(tr('held for a quiet moment'))} ({esc(group.name)})</div>"
        for group in groups
        if group.held.value
    ]
    parts.append(_workers(load.groups))
    parts += [f'<div class="aiq-note">{prose(note)}</div>' for note in load.notes]
    if footer:
        parts.append(_footer(load))
    return "".join(parts)


def _broker_line(load: Load) -> str:
    broker = load.broker
    level, shape, word = {
        "up": ("ok", "●", tr("connected")),
        "down": ("error", "✗", tr("unreachable")),
    }.get(broker.state, ("note", "?", tr("unknown")))
    words = [word]
    if broker.version:
        words.append(f"RabbitMQ {broker.version}")
    if broker.location:
        words.append(broker.location)
    if broker.memory.value is not None:
        words.append(f"{tr('memory')} {percent(broker.memory.value)}")
    if broker.disk_free.value is not None:
        words.append(f"{tr('disk free')} {size(int(broker.disk_free.value))}")
    line = (
        f'<div><span class="aiq-mark aiq-level-{level}"><i class="aiq-shape">{shape}</i>'
        f"{esc(tr('Broker'))}</span> "
        f'<span class="aiq-facts">{"".join(f"<span>{esc(w)}</span>" for w in words)}</span></div>'
    )
    if broker.message:
        line += f"<div>{prose(broker.message)}</div>"
    if broker.alarms not in (None, "none"):
        line += f'<div class="aiq-note">{esc(tr("Alarm"))}: {esc(broker.alarms)}</div>'
    return line


def _groups(groups: Sequence[GroupLoad]) -> str:
    columns = (
        Column(tr("Group")),
        Column(tr("Waiting"), right=True),
        Column(tr("Running"), right=True),
        Column(tr("Slots")),
        Column(tr("Workers"), right=True),
        Column(tr("Dead"), right=True),
        Column(tr("In"), right=True),
        Column(tr("Out"), right=True),
        Column(tr("Would start")),
    )
    rows = [
        (
            Cell(group.name, html=f"<strong>{esc(group.name)}</strong>"),
            _count(group.waiting, small=_priorities(group), hint=_oldest(group)),
            _count(group.running),
            _slots(group),
            _count(group.workers, small=_lost(group)),
            _count(group.dead),
            _rate(_lately(group.submitted_rates, group.arrival_rate)),
            _rate(_lately(group.ended_rates, group.completion_rate)),
            _start(group.start),
        )
        for group in groups
    ]
    return table_html(columns, rows)


def _queues(queues: Sequence[GroupLoad]) -> str:
    columns = (
        Column(tr("Queue")),
        Column(tr("Ready"), right=True),
        Column(tr("Unacknowledged"), right=True),
        Column(tr("Consumers"), right=True),
        Column(tr("In"), right=True),
        Column(tr("Out"), right=True),
    )
    rows = [
        (
            Cell(queue.name, html=f"<code>{esc(queue.name)}</code>"),
            _count(queue.waiting),
            _count(queue.running),
            _count(queue.workers),
            _rate(queue.arrival_rate),
            _rate(queue.completion_rate),
        )
        for queue in queues
    ]
    return table_html(columns, rows)


def _lately(rates: Mapping[int, Measured], averaged: Measured) -> Measured:
    """What events tell of the last minute, or what the management API averages."""
    last = rates.get(60, UNKNOWN)
    return averaged if last.value is None else last


def _count(measured: Measured, small: str = "", hint: str = "") -> Cell:
    if measured.value is None:
        return Cell(html=f'<span class="aiq-dim">{esc(tr("unknown"))}</span>')
    return Cell(number(measured.value), small=small, hint=_source(measured) + hint)


def _rate(measured: Measured) -> Cell:
    if measured.value is None:
        return _count(measured)
    return Cell(rate(measured.value), hint=_source(measured))


def _start(expected: Expected | None) -> Cell:
    """When a job that was submitted now would start."""
    text = start_text(expected)
    if expected is None or expected.low is None:
        return Cell(html=f'<span class="aiq-dim">{esc(tr(text))}</span>')
    return Cell(tr(text), small="", hint=f"{tr('normal priority')}; {hits_text(expected)}")


def _priorities(group: GroupLoad) -> str:
    """How many wait in each priority, where that says more than the sum."""
    if not group.waiting.value:
        return ""
    parts = [
        f"{number(group.waiting_by_priority[p.value].value)} {tr(p.value)}"
        for p in Priority
        if p.value in group.waiting_by_priority and group.waiting_by_priority[p.value].value != 0
    ]
    return " · ".join(parts)


def _oldest(group: GroupLoad) -> str:
    """How long the first of those that wait has been there."""
    if group.oldest.value is None:
        return ""
    return f"; {tr('the oldest waits for')} {duration(group.oldest.value)}"


def _slots(group: GroupLoad) -> Cell:
    slots, free = group.slots.value, group.free.value
    if not slots or free is None:
        return _count(group.slots)
    taken = int(slots - free)
    text = f"{number(free)} {tr('free')} / {number(slots)}"
    return Cell(html=esc(text) + slot_boxes(taken, int(slots)), hint=_source(group.slots))


def _lost(group: GroupLoad) -> str:
    lost = sum(worker.state == "lost" for worker in group.worker_list)
    return f"{lost} {tr('lost')}" if lost else ""


def _source(measured: Measured) -> str:
    age = "" if measured.age_s is None else f", {duration(measured.age_s)}"
    return f"{tr(measured.source or 'unknown')}{age}"


def _hint(measured: Measured) -> str:
    return f' title="{esc(_source(measured))}"'


def _workers(groups: Sequence[GroupLoad]) -> str:
    workers = {worker.worker: worker for group in groups for worker in group.worker_list}
    if not workers:
        return ""
    items = "".join(f"<li>{_worker(worker)}</li>" for _, worker in sorted(workers.items()))
    return f"<details><summary>{esc(tr('What the workers do'))}</summary><ul>{items}</ul></details>"


def _worker(worker: WorkerLoad) -> str:
    words = [f"<strong>{esc(worker.worker)}</strong>"]
    if worker.environment:
        words.append(f'<span class="aiq-dim">{esc(worker.environment)}</span>')
    if worker.state != "active":
        words.append(f"{esc(tr(worker.state))}")
    if worker.state == "lost":
        words.append(f"{esc(tr('silent for'))} {duration(worker.age_s)}")
    running = [
        "".join(
            (
                esc(run.name or run.task or run.job_id),
                f" ({esc(run.user)})" if run.user else "",
                f" {percent(run.progress)}" if run.progress is not None else "",
                f' <span class="aiq-dim">{esc(tr("since"))} {clock(run.since)}</span>',
            )
        )
        for run in worker.running
    ]
    words.append("; ".join(running) if running else esc(tr("idle")))
    return '<span class="aiq-facts">' + "".join(f"<span>{w}</span>" for w in words) + "</span>"


def _footer(load: Load, at: datetime | None = None) -> str:
    """When this was true, and how old the oldest number of each source was then."""
    parts = [f"{tr('as of')} {clock(load.timestamp)}"]
    parts += [
        f"{tr(source)} {duration(age)}"
        for source, age in sorted(ages(load, at or load.timestamp).items())
    ]
    return f'<div class="aiq-foot">{esc(" · ".join(parts))}</div>'
