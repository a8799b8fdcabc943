"""Jobs that run, or have ended: parts of the reason, and details in sentences."""

from __future__ import annotations

from datetime import datetime

from ..collect.foresight import Remaining
from ..job import JobRecord, State
from ..load import GroupLoad, WorkerLoad
from ..text import clock, duration, metrics_text, percent
from .words import because, sentence
from .workers import late

_VERBS = {
    State.SUCCEEDED: "succeeded at",
    State.FAILED: "failed at",
    State.CANCELLED: "was cancelled at",
    State.DEAD: "is a dead letter since",
}


def running(
    record: JobRecord,
    group: GroupLoad | None,
    at: datetime,
    remaining: Remaining | None = None,
) -> tuple[list[str], list[str]]:
    """A job that runs, as far as is known, and whether its worker is still heard of.

    Args:
        remaining: when it ends, if that is known.
    """
    workers = () if group is None else group.worker_list
    worker = next((w for w in workers if w.worker == record.worker), None)
    progress = _progress(record, worker)
    runs = f"it runs on {record.worker} since {clock(record.started_at, at)}"
    if record.started_at is not None and at > record.started_at:
        runs += f", for {duration((at - record.started_at).total_seconds())} now"
    runs += "" if progress is None else f", {percent(progress)} done"
    runs += f" ({_attempt(record)})"
    if group is None or group.workers.value is None:
        return [runs], ["Whether its worker is still there is unknown: no heartbeats can be read."]
    if worker is None or worker.state == "lost":
        return _lost(record, worker, at), [sentence(runs)]
    if record.cancelling:
        said = f"its cancel is sent, and {record.worker} has not stopped it yet"
        return [said], [sentence(runs)]
    if _is_missing(record, worker):
        said = f"its worker {record.worker} runs it no more, and its end is not recorded yet"
        return [said], [sentence(runs)]
    return [runs, *late([worker], at)], [] if remaining is None else [str(remaining)]


def ended(record: JobRecord, at: datetime) -> tuple[list[str], list[str]]:
    """A job that is over, with what it came to."""
    details = []
    took = record.result.duration_s if record.result is not None else None
    if record.started_at is not None and took is not None:
        details.append(f"It ran on {record.worker} for {duration(took)} ({_attempt(record)}).")
    elif record.started_at is not None:
        # Nobody saw its end: that time is when its worker was taken for gone.
        details.append(
            f"It ran on {record.worker} from {clock(record.started_at, at)} ({_attempt(record)}); "
            "when it stopped is unknown."
        )
    if record.metrics:
        details.append(f"It reported {metrics_text(record)}.")
    if record.state in (State.DEAD, State.FAILED):
        details.append(
            f"`%job_log {record.job_id}` shows its output, `%job_retry {record.job_id}` submits it "
            "again."
        )
    when = clock(record.ended_at, at)
    return [f"it {_VERBS[record.state]} {when}{because(record.reason)}"], details


def _lost(record: JobRecord, worker: WorkerLoad | None, at: datetime) -> list[str]:
    silent = "has not been heard of for minutes"
    if worker is not None:
        silent = f"has been silent since {clock(worker.last_seen, at)}"
    then = f"it goes on as attempt {record.attempt + 1}"
    if record.attempt >= record.max_attempts:
        then = "it becomes a dead letter, for this was its last attempt"
    return [
        f"its worker {record.worker} {silent}",
        f"unless that speaks up, {then} within two minutes or so",
    ]


def _progress(record: JobRecord, worker: WorkerLoad | None) -> float | None:
    """As far as anybody tells: only the kernel that watches it hears of its progress."""
    told = [record.progress] + [
        run.progress
        for run in (() if worker is None else worker.running)
        if run.job_id == record.job_id and run.attempt == record.attempt
    ]
    return max((progress for progress in told if progress is not None), default=None)


def _is_missing(record: JobRecord, worker: WorkerLoad) -> bool:
    """Whether its worker, heard of since it started, does not name it among what it runs."""
    began, seen = record.started_at, worker.last_seen
    runs = {run.job_id for run in worker.running}
    return began is not None and seen is not None and seen > began and record.job_id not in runs


def _attempt(record: JobRecord) -> str:
    return f"attempt {record.attempt} of {record.max_attempts}"
