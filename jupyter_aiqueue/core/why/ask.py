"""Asking ledgers, broker and collector about one job, and joining what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone

import msgspec

from ..collect.entry import Entry
from ..collect.reader import Found, find_job
from ..config import Broker
from ..environment import environment_name
from ..errors import BrokerError, JobNotFound
from ..job import JobRecord, State
from ..load import Load
from ..measure import down, measure
from .explain import Known, Why, explain


def ask(
    find: Callable[[], Broker],
    part: str,
    record: JobRecord | None,
    records: Iterable[JobRecord],
) -> Why:
    """Why a job is where it is.

    Args:
        find: tells the broker; asked unless the job has ended.
        part: its id, or a part of it.
        record: what is recorded of it here; None looks whether it is somebody else's.
        records: jobs that are recorded here, to learn where its task has succeeded.

    Raises:
        JobNotFound: nobody knows it.
        AmbiguousJob.
        NoBroker, ConfigError.
    """
    if record is not None and record.state.is_final:
        return explain(record, Known(succeeded_in=_succeeded_in(record, records)))
    broker = find()
    load = measure(broker)
    found, away = None, False
    if load.broker.state == "up":
        try:
            found = find_job(broker, record.job_id if record is not None else part)
        except BrokerError as error:
            load, away = down(error, broker), True
    entry = None if found is None else found.entry
    own = record is not None
    if record is None:
        if entry is None:
            raise JobNotFound(_nobody(part, load, found))
        record = _record(entry)
    record = _as_running(_newer(record, entry), load)
    known = Known(
        load=load,
        foresight=None if found is None else found.foresight,
        remaining=None if found is None else found.remaining,
        batch=None if found is None else found.batch,
        collected=None if away or load.broker.state != "up" else found is not None,
        succeeded_in=_succeeded_in(record, records),
        here=environment_name(),
        account=broker.username,
        own=own,
    )
    return explain(record, known)


def _nobody(part: str, load: Load, found: Found | None) -> str:
    said = (
        f"No job with the id {part!r}, or with this as a part of its id, is recorded here; "
        "`%jobs --all` or `jupyter aiqueue jobs` lists the known ones. "
    )
    if load.broker.state != "up":
        return f"{said}Whether it is somebody else's cannot be seen: {load.broker.message}"
    if found is None:
        return f"{said}Whether it is somebody else's cannot be seen: no worker collects the load."
    return (
        f"{said}None that waits or runs now, of whomever, fits either. `%dead_jobs` lists dead "
        "letters."
    )


def _record(entry: Entry) -> JobRecord:
    """Somebody else's job, as far as its events tell everybody."""
    return JobRecord(
        job_id=entry.job_id,
        state=entry.state,
        task=entry.task,
        group=entry.group,
        priority=entry.priority,
        name=entry.name,
        user=entry.user,
        submitted_at=_moment(entry.submitted),
        started_at=_moment(entry.since) if entry.state is State.RUNNING else None,
        updated_at=_moment(entry.since),
        next_attempt_at=_moment(entry.due),
        hold=entry.hold,
        attempt=_attempt(entry),
        max_attempts=entry.max_attempts,
        worker=entry.worker,
    )


def _newer(record: JobRecord, entry: Entry | None) -> JobRecord:
    """``record``, or what the collector has heard since: a recorder may be behind, or away."""
    if entry is None or entry.state is record.state:
        return record
    since = _moment(entry.since)
    if (record.state, entry.state) == (State.RETRYING, State.QUEUED):
        return record  # its wait is over, of which no event tells: its record tells why it waited
    if since is None or (record.updated_at is not None and since <= record.updated_at):
        return record
    other = _record(entry)
    return msgspec.structs.replace(
        record,
        state=other.state,
        attempt=other.attempt,
        worker=other.worker or record.worker,
        started_at=other.started_at or record.started_at,
        updated_at=since,
        next_attempt_at=other.next_attempt_at,
        hold=other.hold,
        progress=None,
        reason=None,
    )


def _as_running(record: JobRecord, load: Load) -> JobRecord:
    """``record``, or as the worker tells that runs it: its start may not be recorded yet."""
    for group in load.groups:
        for worker in group.worker_list:
            for run in worker.running:
                if run.job_id != record.job_id or worker.state == "lost":
                    continue
                if record.state is State.RUNNING and record.worker == worker.worker:
                    return record
                return msgspec.structs.replace(
                    record,
                    state=State.RUNNING,
                    worker=worker.worker,
                    started_at=run.since,
                    progress=run.progress,
                    attempt=run.attempt,
                )
    return record


def _attempt(entry: Entry) -> int:
    """The attempt that was made last; an entry tells that of the next one while it waits."""
    if entry.state is State.RUNNING:
        return entry.attempt
    return entry.attempt - 1


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _succeeded_in(record: JobRecord, records: Iterable[JobRecord]) -> frozenset[str]:
    """Environments in which jobs like this one have succeeded."""
    return frozenset(
        other.result.environment
        for other in records
        if other.state is State.SUCCEEDED
        and (other.task, other.group) == (record.task, record.group)
        and other.result is not None
        and other.result.environment is not None
    )
