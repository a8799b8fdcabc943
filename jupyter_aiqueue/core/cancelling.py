"""Cancelling: a job is stopped, or kept from starting."""

from __future__ import annotations

from .errors import BrokerError, BrokerUnreachable
from .events import Kind, make_event, word
from .job import Job, JobRecord, Priority, State, now
from .kept import KeptConnection
from .publisher import publish_control, publish_event
from .recorder import inbox_depth
from .status import Cancel
from .transport import Session


def cancel(connection: KeptConnection, record: JobRecord, *, inbox: str) -> str:
    """Stop a job, or keep it from starting; returns what will happen, as a sentence.

    Args:
        inbox: whose job it is.

    Raises:
        BrokerError.
    """
    if record.state.is_final:
        verb = "has" if record.state in (State.SUCCEEDED, State.FAILED) else "is"
        return f"Job {record.job_id} {verb} {record.state.value} already."
    job = _job_of(record, inbox)
    waiting = record.state in (State.QUEUED, State.RETRYING, State.HELD)

    def send(session: Session) -> bool:
        # Events that nobody has recorded yet may tell of its start, or of its end.
        sure = waiting and _nothing_waits(session, inbox)
        order = Cancel(job_id=record.job_id, timestamp=now(), by=session.broker.username)
        publish_control(session, f"cancel.{word(record.job_id)}", order)
        if sure:
            between = record.state is State.RETRYING
            reason = f"cancelled {'between two attempts' if between else 'before it started'}"
            publish_event(session, make_event(Kind.CANCELLED, job, reason=reason))
        else:
            publish_event(session, make_event(Kind.CANCELLING, job))
        return sure

    if connection.use(send):
        return (
            f"Job {record.job_id} is cancelled; it will not start, and is stopped if it "
            "has just started."
        )
    if waiting:
        return f"The cancel of job {record.job_id} is sent; what became of it is not recorded yet."
    return f"Job {record.job_id} is being stopped by worker {record.worker}."


def _nothing_waits(session: Session, inbox: str) -> bool:
    """Whether all events of an inbox are recorded; False when that cannot be seen."""
    try:
        return inbox_depth(session, inbox)[0] == 0
    except BrokerUnreachable:
        raise
    except BrokerError:
        return False


def _job_of(record: JobRecord, inbox: str) -> Job:
    return Job(
        id=record.job_id,
        config=record.config,
        group=record.group or "train",
        task=record.task,
        priority=record.priority or Priority.NORMAL,
        attempt=max(1, record.attempt),
        max_attempts=record.max_attempts,
        name=record.name,
        inbox=inbox,
        notebook=record.notebook,
        user=record.user,
        submitted_at=record.submitted_at,
        retry_of=record.retry_of,
    )
