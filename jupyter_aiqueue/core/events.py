"""Events: what happened to a job, as published and as written to ledgers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import copy
from enum import Enum
from typing import Any

import msgspec

from .errors import InvalidJob
from .job import DEFAULT_MAX_ATTEMPTS, Job, JobRecord, Moment, Priority, Result, State, now
from .series import Series


class Kind(str, Enum):
    """The kinds of events; those in `LIVE` are only for who watches, the rest are recorded."""

    #: Kept until the moment that it waits for; then it is submitted.
    HELD = "held"
    SUBMITTED = "submitted"
    STARTED = "started"
    PROGRESS = "progress"
    LOG = "log"
    #: Given back without losing an attempt (a drain).
    REQUEUED = "requeued"
    RETRYING = "retrying"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"
    #: A second execution of a job that had already ended reported its end.
    DUPLICATE = "duplicate"

    @property
    def is_final(self) -> bool:
        """Whether this kind ends a job."""
        return self in _FINAL

    @property
    def is_live(self) -> bool:
        """Whether this kind is only for who watches; the rest is recorded."""
        return self in LIVE


_FINAL = frozenset({Kind.SUCCEEDED, Kind.FAILED, Kind.CANCELLED, Kind.DEAD})

#: Kinds that no inbox receives and no ledger keeps line by line: the last progress, a bounded
#: series of the metrics and a bounded log tail ride on the event that ends an attempt.
LIVE = frozenset({Kind.PROGRESS, Kind.LOG})

#: First word of the routing key of live events.
LIVE_WORD = "live"

#: Stands in a routing key for "no inbox" (a plain producer's job).
NO_INBOX = "-"


class Event(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One thing that happened to a job. ``id`` is deterministic: a repeat has the same id."""

    event: Kind
    job_id: str
    id: str
    timestamp: Moment
    group: str | None = None
    attempt: int = 0
    #: How often this attempt had been given back by workers that drained.
    turn: int = 0
    task: str | None = None
    priority: Priority | None = None
    name: str | None = None
    inbox: str | None = None
    notebook: str | None = None
    user: str | None = None
    retry_of: str | None = None
    submitted_at: Moment | None = None
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    #: Seconds one attempt may take, if the submitter said.
    timeout: float | None = None
    #: Sent with ``submitted`` and ``started`` only.
    config: dict[str, Any] | None = None
    worker: str | None = None
    progress: float | None = None
    metrics: dict[str, Any] | None = None
    result: Result | None = None
    reason: str | None = None
    next_attempt_at: Moment | None = None
    #: ``log``: the text; on events that end an attempt: the bounded tail.
    log: str | None = None
    #: Position of ``log`` in the whole output, characters.
    log_offset: int | None = None
    #: On events that end an attempt: how its metrics went, in a bounded number of points.
    series: Series | None = None
    #: ``held``: what it waits for, as it was written.
    hold: str | None = None
    #: ``held``, ``submitted``: the batch of which only so many wait in line.
    batch: str | None = None
    #: ``duplicate``: the kind of the end event that did not count.
    of: Kind | None = None


def make_event(kind: Kind, job: Job, *, run: str = "", **fields: Any) -> Event:
    """Build the event ``kind`` of ``job``.

    Args:
        run: the token of one execution on one worker; it tells two runs of the same attempt
            apart (a job that was given back by a drain starts again with the same number).
        fields: further fields of `Event`.
    """
    if kind in (Kind.HELD, Kind.SUBMITTED, Kind.STARTED):
        fields.setdefault("config", job.config)
    attempt = 0 if kind in (Kind.HELD, Kind.SUBMITTED) else job.attempt
    parts = [job.id, str(attempt), kind.value, run]
    if kind in (Kind.CANCELLED, Kind.CANCELLING):
        parts = [job.id, kind.value]  # whoever says it, it is the same thing
    fields.setdefault("timestamp", now())
    return Event(
        event=kind,
        job_id=job.id,
        id=":".join(filter(None, parts)),
        group=job.group,
        attempt=attempt,
        task=job.task,
        priority=job.priority,
        name=job.name,
        inbox=job.inbox,
        notebook=job.notebook,
        user=job.user,
        retry_of=job.retry_of,
        submitted_at=job.submitted_at,
        max_attempts=job.max_attempts,
        timeout=job.timeout,
        **fields,
    )


def routing_key(event: Event) -> str:
    """``<inbox>.<group>.<kind>.<job id>``, each one word; live events have ``live.`` before."""
    inbox, group = event.inbox or NO_INBOX, event.group or NO_INBOX
    key = f"{inbox}.{group}.{event.event.value}.{word(event.job_id)}"
    return f"{LIVE_WORD}.{key}" if event.event in LIVE else key


def job_bindings(job_id: str) -> tuple[str, str]:
    """Binding keys on ``aiqueue.events`` for everything that happens to one job."""
    return f"*.*.*.{word(job_id)}", f"{LIVE_WORD}.*.*.*.{word(job_id)}"


_NOT_IN_WORD = re.compile(r"[^A-Za-z0-9_-]")


def word(job_id: str) -> str:
    """``job_id`` as one word of a routing key (ids of plain producers may hold dots)."""
    return _NOT_IN_WORD.sub("_", job_id)[:100]  # a routing key has 255 bytes at most


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """One line of JSON, without the newline."""
    return _encoder.encode(event)


def decode_event(data: bytes) -> Event:
    """Decode one event; raises `InvalidJob` with reason ``malformed-event``."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJob("malformed-event", f"This is not an event of ours: {error}") from error


def order(event: Event) -> tuple[Any, ...]:
    """Where ``event`` belongs in the history of its job, whenever it arrives; sorts events.

    Attempts and their turns come before clocks, which differ between machines: only within one
    turn does the time decide. The end comes last.
    """
    rank = _ENDS_TURN.get(event.event, 0)
    return event.event.is_final, event.attempt, event.turn, rank, event.timestamp, event.id


_ENDS_TURN = {Kind.REQUEUED: 1, Kind.RETRYING: 2}


def fold(record: JobRecord, events: Iterable[Event]) -> JobRecord:
    """Fold all ``events`` of a job into a new ``record``: the same in whatever order they are."""
    for event in sorted(events, key=order):
        apply(record, event)
    return record


def apply(record: JobRecord, event: Event) -> bool:
    """Fold one more ``event`` into ``record``; return whether the record changed.

    For events as they arrive. One that comes late does no harm (a final state is never left,
    an older attempt never overrides a newer one, a ``submitted`` after ``started`` only fills
    in what is missing), but it may tell less than in its place: see `fold`.
    """
    before = copy(record)
    for field in ("task", "group", "priority", "name", "notebook", "user", "retry_of", "timeout"):
        if getattr(record, field) is None:
            setattr(record, field, getattr(event, field))
    record.submitted_at = record.submitted_at or event.submitted_at
    if event.config is not None and not record.config:
        record.config = event.config
    record.max_attempts = event.max_attempts
    if event.event is Kind.DUPLICATE:
        # A cancel that came too late is no execution.
        record.duplicates += event.of is not Kind.CANCELLED
    elif not record.state.is_final:
        _advance(record, event)
    changed: bool = record != before
    if changed and (record.updated_at is None or event.timestamp > record.updated_at):
        record.updated_at = event.timestamp
    return changed


_NEXT = {
    Kind.HELD: State.HELD,
    Kind.SUBMITTED: State.QUEUED,
    Kind.STARTED: State.RUNNING,
    Kind.PROGRESS: State.RUNNING,
    Kind.REQUEUED: State.QUEUED,
    Kind.RETRYING: State.RETRYING,
    Kind.SUCCEEDED: State.SUCCEEDED,
    Kind.FAILED: State.FAILED,
    Kind.CANCELLED: State.CANCELLED,
    Kind.DEAD: State.DEAD,
}


def _advance(record: JobRecord, event: Event) -> None:
    if event.event is Kind.CANCELLING:
        record.cancelling = True
        return
    if event.event not in _NEXT or (event.attempt < record.attempt and not event.event.is_final):
        return
    if event.event is Kind.HELD and record.updated_at is not None:
        return  # who released it was faster than who told that it is held
    if event.event is Kind.PROGRESS and not (
        event.attempt > record.attempt or record.state is State.RUNNING
    ):
        return  # progress comes on a queue of its own: this one is of an attempt already over
    record.state = _NEXT[event.event]
    if event.attempt > record.attempt or event.event is Kind.STARTED:
        # What is shown beside the number of an attempt is of this attempt.
        record.progress, record.metrics, record.next_attempt_at = None, {}, None
        record.result, record.log_tail = None, None
    record.attempt = max(record.attempt, event.attempt)
    record.worker = event.worker or record.worker
    if event.event is Kind.STARTED:
        record.started_at = event.timestamp
    if event.progress is not None:
        record.progress = event.progress
    if event.metrics is not None:
        record.metrics = {**record.metrics, **event.metrics}
    record.result = event.result or record.result
    record.reason = event.reason
    record.hold = event.hold
    record.next_attempt_at = event.next_attempt_at
    record.log_tail = event.log or record.log_tail
    if event.event.is_final:
        record.ended_at = event.timestamp
        record.cancelling = False
