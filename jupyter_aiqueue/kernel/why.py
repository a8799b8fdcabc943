"""Why a job is where it is: sentences from what is known, and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ..core.job import JobRecord, Priority, State, now
from ..core.load import GroupLoad, Load, WorkerLoad
from ..core.text import duration, percent
from .words import clock

if TYPE_CHECKING:
    from ..core.collect.foresight import Foresight


def explain(
    record: JobRecord,
    load: Load | None = None,
    at: datetime | None = None,
    foresight: Foresight | None = None,
) -> list[str]:
    """Why ``record`` is in its state, a sentence each.

    Args:
        load: how busy the system is; needed for jobs that have not ended.
        at: the time now.
        foresight: what is expected of it, if somebody knows.
    """
    name = record.name or record.task or "Job"
    head = f"{name} {record.job_id} is {record.state.value}"
    at = at or now()
    if record.state.is_final:
        return [f"{head}.", *_end(record)]
    said = _waiting(head, record) if record.state is not State.RUNNING else _running(head, record)
    if record.cancelling:
        said.append("Its cancel is sent and has not taken effect yet.")
    if load is None or load.broker.state != "up":
        why = load.broker.message if load is not None else None
        return [*said, "How busy the system is, is unknown" + (f": {why}" if why else ".")]
    group = next((g for g in load.groups if g.name == record.group and g.queue is None), None)
    if group is None:
        return [*said, f"The broker has no group {record.group!r} now."]
    if record.state is State.RUNNING:
        return [*said, *_worker_of(record, group)]
    if record.state is State.QUEUED:
        said += foresight.sentences if foresight is not None else _line(record, group)
    return [*said, *_workers(group)]


def _end(record: JobRecord) -> list[str]:
    said = []
    if record.reason:
        said.append(_sentence(record.reason))
    if record.started_at is not None:
        attempt = f"attempt {record.attempt} of {record.max_attempts}"
        said.append(f"It ran on worker {record.worker} {_times(record)} ({attempt}).")
    if record.state in (State.DEAD, State.FAILED):
        said.append(
            f"`%job_log {record.job_id}` shows its output, `%job_retry {record.job_id}` submits "
            "it again."
        )
    return said


def _times(record: JobRecord) -> str:
    started, ended = clock(record.started_at), clock(record.ended_at)
    if record.result is not None and record.result.duration_s is not None:
        return f"from {started} to {ended}"
    # Nobody saw its end: that time is when its worker was taken for gone.
    return f"from {started}; when it stopped is unknown, its end was noticed at {ended}"


def _waiting(head: str, record: JobRecord) -> list[str]:
    if record.state is State.RETRYING:
        attempt = f"attempt {record.attempt} of {record.max_attempts}"
        next_at = clock(record.next_attempt_at)
        said = [f"{head}: {attempt} did not succeed, the next may start at {next_at}."]
        return [*said, _sentence(record.reason)] if record.reason else said
    priority = f" with priority {record.priority.value}" if record.priority else ""
    if record.state is State.HELD:
        said = [f"{head} for group {record.group}{priority} since {clock(record.submitted_at)}."]
        if record.hold:
            said.append(f"It waits for: {record.hold}.")
        return [*said, f"`%job_release {record.job_id}` puts it in line now."]
    said = [f"{head} in group {record.group}{priority} since {clock(record.submitted_at)}."]
    if record.attempt:
        said.append(
            f"It was given back after attempt {record.attempt} began"
            + (f": {_sentence(record.reason)}" if record.reason else ".")
        )
    return said


def _running(head: str, record: JobRecord) -> list[str]:
    progress = "" if record.progress is None else f", {percent(record.progress)} done"
    attempt = f"attempt {record.attempt} of {record.max_attempts}"
    since = clock(record.started_at)
    return [f"{head} on worker {record.worker} since {since}{progress} ({attempt})."]


def _worker_of(record: JobRecord, group: GroupLoad) -> list[str]:
    worker = next((w for w in group.worker_list if w.worker == record.worker), None)
    if worker is None or worker.state == "lost":
        silent = "" if worker is None else f" for {duration(worker.age_s)}"
        return [
            f"Worker {record.worker} has not been heard of{silent}: it may be gone or cut off.",
            "Unless it speaks up, the job goes on as its next attempt, within two minutes or so.",
        ]
    return []


def _line(record: JobRecord, group: GroupLoad) -> list[str]:
    """What is ahead of it. The broker does not tell the place of one message in a queue."""
    own = record.priority or Priority.NORMAL
    higher, same = 0, 0
    for priority in Priority:
        measured = group.waiting_by_priority.get(priority.value)
        if measured is None or measured.value is None:
            return ["How many jobs are ahead of it is unknown."]
        if priority is own:
            same = max(0, int(measured.value) - 1)
            break
        higher += int(measured.value)
    if not higher and not same:
        return ["No other job is ahead of it."]
    parts = []
    if higher:
        parts.append(f"{_jobs(higher)} of higher priority")
    if same:
        parts.append(f"at most {_jobs(same)} of its own, later ones included")
    return [f"Ahead of it: {' and '.join(parts)}."]


def _workers(group: GroupLoad) -> list[str]:
    if group.workers.value is None:
        return [f"Which workers serve group {group.name} is unknown: no heartbeats can be read."]
    alive = [worker for worker in group.worker_list if worker.state != "lost"]
    lost = [worker.worker for worker in group.worker_list if worker.state == "lost"]
    said = [f"Worker {name} has fallen silent." for name in lost]
    if not alive:
        said.append(f"No worker serves group {group.name}: nothing in it starts until one does.")
        return [*said, f"`jupyter aiqueue worker --group {group.name}` is one."]
    free = int(group.free.value or 0)
    if free:
        said.append(f"{free} of {int(group.slots.value or 0)} slots free: it should start soon.")
    else:
        said.append("No slot is free.")
    return said + [sentence for worker in alive for sentence in _doing(worker)]


def _doing(worker: WorkerLoad) -> list[str]:
    said = [
        f"Worker {worker.worker} runs {run.name or run.task or run.job_id}"
        + (f" of {run.user}" if run.user else "")
        + f" since {clock(run.since)}"
        + ("." if run.progress is None else f", {percent(run.progress)} done.")
        for run in worker.running
    ]
    if worker.state == "draining":
        said.append(f"Worker {worker.worker} takes no new jobs (it is draining).")
    return said


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
