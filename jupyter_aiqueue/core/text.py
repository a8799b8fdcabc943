"""Load and jobs as plain text, for terminals and for notebooks without HTML."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from .job import JobRecord, Priority, State, now
from .load import Expected, GroupLoad, Load, Measured

#: A shape for each state, so that colour is never needed to tell them apart.
SHAPES = {
    State.HELD: "◦",
    State.QUEUED: "○",
    State.RUNNING: "▶",
    State.RETRYING: "↻",
    State.SUCCEEDED: "✓",
    State.FAILED: "✗",
    State.CANCELLED: "⊘",
    State.DEAD: "✝",
}

UNKNOWN_TEXT = "unknown"

#: Seconds within which a start is one at once.
_AT_ONCE = 10.0


class Sentences:
    """What a notebook shows as it is printed, not as the fields that it is made of."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002
        printer.text(str(self))


def number(measured: Measured) -> str:
    """A count as text; what is not known says so."""
    return UNKNOWN_TEXT if measured.value is None else f"{measured.value:g}"


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``2 h 05 min``, ``3 d 4 h``."""
    if seconds is None:
        return UNKNOWN_TEXT
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if minutes < 120:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def span(low: float, high: float) -> str:
    """A range of seconds: ``12-25 min``, ``40 s - 3 min``; the unit once where it is the same."""
    first, second = duration(low), duration(high)
    if first == second:
        return second
    number_, _, unit = first.partition(" ")
    if second.partition(" ")[2] == unit:
        return f"{number_}–{second}"
    return f"{first} – {second}"


def start_text(expected: Expected | None) -> str:
    """When a job would start, in a few words."""
    if expected is None:
        return UNKNOWN_TEXT
    if expected.low is None or expected.high is None:
        return expected.missing or UNKNOWN_TEXT
    if expected.at_once and expected.high < _AT_ONCE:
        return "at once"
    return span(expected.low, expected.high)


def hits_text(expected: Expected) -> str:
    """How far a range can be trusted."""
    if not expected.of:
        return "80 % range, not tried yet"
    return f"80 % range; {expected.inside} of the last {expected.of} landed inside"


def percent(part: float) -> str:
    """0.42 as ``42 %``; an unfinished part is never rounded up to 100 %."""
    whole = int(part * 100 + 1e-9)
    return f"{min(100, max(0, whole))} %"


def ago(moment: datetime | None, at: datetime | None = None) -> str:
    """How long since ``moment``."""
    return "" if moment is None else duration(max(0.0, ((at or now()) - moment).total_seconds()))


def clock(moment: datetime | None, at: datetime | None = None) -> str:
    """A moment in the reader's zone: ``10:02`` on the day of ``at``, with the date on others."""
    if moment is None:
        return f"an {UNKNOWN_TEXT} time"
    local, today = moment.astimezone(), (at or now()).astimezone()
    return local.strftime("%H:%M" if local.date() == today.date() else "%Y-%m-%d %H:%M")


def short_id(job_id: str) -> str:
    """The end of an id, which is enough to name a job to the magics and commands."""
    return job_id if len(job_id) <= 8 else job_id[-8:]


def load_text(load: Load) -> str:
    """The load as a table, with the age of its numbers below."""
    broker = load.broker
    lines = [f"Broker: {broker.state}" + (f", {broker.location}" if broker.location else "")]
    if broker.version:
        lines[0] += f", RabbitMQ {broker.version}"
    if broker.message:
        lines.append(broker.message)
    if broker.alarms not in (None, "none"):
        lines.append(f"Alarm: {broker.alarms}")
    room = []
    if broker.memory.value is not None:
        room.append(f"memory {percent(broker.memory.value)} of its limit")
    if broker.disk_free.value is not None:
        room.append(f"{broker.disk_free.value / 1e9:,.1f} GB of disk free")
    if room:
        lines[0] += f"; {', '.join(room)}"
    if load.groups:
        header = (
            "group",
            "waiting",
            "high/normal/low",
            "running",
            "workers",
            "free",
            "dead",
            "would start",
        )
        lines += ["", *table(header, [_group_row(group) for group in load.groups])]
        lines += _starts(load)
        if load.retrying.value:
            lines.append(f"Between attempts: {number(load.retrying)}")
        lines += [
            f"Held for a quiet moment: {number(group.held)} of {group.name}"
            for group in load.groups
            if group.held.value
        ]
        lines += [*_not_at_work(load), "", ages_text(load)]
    lines += [f"Note: {note}" for note in load.notes]
    return "\n".join(lines)


def _group_row(group: GroupLoad) -> tuple[str, ...]:
    by = group.waiting_by_priority
    parts = "/".join(number(by[p.value]) for p in Priority if p.value in by)
    workers = number(group.workers)
    if group.slots.value is not None:
        workers += f" ({number(group.slots)} {'slot' if group.slots.value == 1 else 'slots'})"
    return (
        group.name,
        number(group.waiting),
        parts,
        number(group.running),
        workers,
        number(group.free),
        number(group.dead),
        "" if group.queue is not None else start_text(group.start),
    )


def _starts(load: Load) -> list[str]:
    """What is meant by the last column."""
    if all(group.start is None for group in load.groups):
        return []
    said = ["Would start: a job of normal priority that was submitted now."]
    for group in load.groups:
        if group.start is not None and group.start.low is not None:
            said.append(f"  {group.name}: {hits_text(group.start)}")
    return said


def _not_at_work(load: Load) -> list[str]:
    """Workers that take no jobs, and why."""
    said = []
    for group in load.groups:
        for worker in group.worker_list:
            name = f"Worker {worker.worker} of {group.name}"
            if worker.state == "lost":
                said.append(f"{name} has been silent for {duration(worker.age_s)}.")
            elif worker.state == "draining":
                said.append(f"{name} takes no new jobs (it is draining).")
    return said


def ages(load: Load, at: datetime | None = None) -> dict[str, float]:
    """The age of the oldest number of each source, seconds."""
    late = max(0.0, ((at or now()) - load.timestamp).total_seconds())
    found: dict[str, float] = {}
    for group in load.groups:
        for measured in (
            group.waiting,
            group.running,
            group.workers,
            group.dead,
            group.arrival_rate,
            group.completion_rate,
        ):
            if measured.source is not None:
                age = (measured.age_s or 0.0) + late
                found[measured.source] = max(found.get(measured.source, 0.0), age)
    return found


def ages_text(load: Load, at: datetime | None = None) -> str:
    """``As of: passive declare 0.1 s ago, heartbeats 3.2 s ago``."""
    parts = [f"{source} {duration(age)} ago" for source, age in sorted(ages(load, at).items())]
    return "As of: " + (", ".join(parts) if parts else UNKNOWN_TEXT)


def jobs_text(records: Sequence[JobRecord]) -> str:
    """Jobs as a table."""
    if not records:
        return "No jobs are recorded."
    header = ("", "id", "name", "state", "attempt", "progress", "age", "metrics")
    rows = []
    for record in records:
        progress = "" if record.progress is None else percent(record.progress)
        state = record.state.value + (" (cancelling)" if record.cancelling else "")
        rows.append(
            (
                SHAPES[record.state],
                short_id(record.job_id),
                record.name or record.task or "",
                state,
                f"{attempts(record)}/{record.max_attempts}",
                progress,
                ago(record.submitted_at),
                metrics_text(record),
            )
        )
    return "\n".join(table(header, rows))


def attempts(record: JobRecord) -> int:
    """Attempts that were made: none if the job ended before the first one began."""
    never = record.started_at is None and record.state in (State.CANCELLED, State.DEAD)
    return 0 if never and record.attempt == 1 else record.attempt


def _next(record: JobRecord) -> str | None:
    """When a job between attempts goes on."""
    at = record.next_attempt_at
    if record.state is not State.RETRYING or at is None:
        return None
    left = (at - now()).total_seconds()
    when = f"in {duration(left)}" if left > 0 else "due"
    return f"attempt {record.attempt + 1} at {at.isoformat(timespec='seconds')} ({when})"


def metrics_text(record: JobRecord) -> str:
    """``accuracy 0.97, loss 0.12``."""
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in record.metrics.items()
    )


def job_text(record: JobRecord) -> str:
    """One job in a few lines."""
    state = record.state.value + (" (cancelling)" if record.cancelling else "")
    lines = [
        clean(
            f"{SHAPES[record.state]} {record.name or record.task or 'job'} {record.job_id}: {state}"
        )
    ]

    def add(label: str, value: object) -> None:
        if value not in (None, "", {}):
            lines.append(f"  {label:<10} {clean(str(value))}")

    add("group", f"{record.group}, priority {record.priority and record.priority.value}")
    made = attempts(record)
    add("attempt", f"{made} of {record.max_attempts}" if made else None)
    add("next", _next(record))
    add("waits for", record.hold)
    add("progress", None if record.progress is None else percent(record.progress))
    add("metrics", metrics_text(record))
    add("reason", record.reason)
    add("worker", record.worker)
    if record.result is not None:
        add("exit code", record.result.exit_code)
        if record.result.duration_s is not None:
            add("took", duration(record.result.duration_s))
        if record.result.peak_memory_bytes:
            add("memory", f"{record.result.peak_memory_bytes / 2**20:,.0f} MiB at most")
        add("log", record.result.log_file)
    add("submitted", record.submitted_at and record.submitted_at.isoformat(timespec="seconds"))
    add("config", json.dumps(record.config, ensure_ascii=False))
    add("ledger", record.ledger)
    return "\n".join(lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    cells = [[clean(cell) for cell in row] for row in (header, *rows)]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(header))]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def clean(text: str) -> str:
    """One line without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_line(text: str, limit: int) -> str:
    """``text`` on one line, cut to ``limit`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
