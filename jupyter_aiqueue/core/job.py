"""Jobs: their identity, their states, and what is known of one."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import datetime, timezone
from enum import Enum
from typing import Annotated, Any

import msgspec

from .errors import InvalidJob

#: Crockford's base 32: no i, l, o, u, so that an id can be read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

#: A group, inbox or worker name is one word of a routing key.
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")

#: Bytes: AMQP's own limit for a message id is 255.
_LONGEST_JOB_ID = 200

#: Characters of an id, at least, that name it wherever they are in it.
_SHORTEST_PART = 4

#: Attempts a job gets when its submitter does not say.
DEFAULT_MAX_ATTEMPTS = 3


class State(str, Enum):
    """Where a job is: ``held → queued → running → succeeded / failed / cancelled``.

    Between attempts a job is ``retrying``; out of attempts it is ``dead``. ``failed`` is the
    end of a job that was given a single attempt and failed in it.
    """

    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state is over."""
        return self in _FINAL


_FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.DEAD})


class Priority(str, Enum):
    """One queue each per group, served in this order."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


def now() -> datetime:
    """The current time, UTC, aware."""
    return datetime.now(timezone.utc)


#: A time that somebody else wrote: without its zone it cannot be compared and is refused.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_id_lock = threading.Lock()
_last_id = 0


def new_job_id() -> str:
    """A unique, time-ordered job id: 26 characters, milliseconds first.

    Ids made in one process are strictly increasing, also within one millisecond
    (the layout is the ULID specification's: 48 bits of time, 80 random bits).
    """
    global _last_id
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    with _id_lock:
        value = max(value, _last_id + 1)
        _last_id = value
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def check_word(kind: str, value: str) -> str:
    """Return ``value`` if it can be one word of a routing key, else raise `InvalidJob`."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise InvalidJob(
            "bad-name",
            f"{kind} {value!r} is not usable: 1 to 64 letters, digits, '-' or '_' are.",
        )
    return value


def check_job_id(value: str) -> str:
    """Return ``value`` if it can be a job id, else raise `InvalidJob`."""
    if value and value.isprintable() and len(value.encode()) <= _LONGEST_JOB_ID:
        return value
    raise InvalidJob(
        "wrong-type", f"A job id must be printable and at most {_LONGEST_JOB_ID} bytes long."
    )


def names(part: str, job_id: str) -> bool:
    """Whether people may mean ``job_id`` with ``part``: its beginning or end, or four characters
    or more anywhere in it."""
    if job_id.startswith(part) or job_id.endswith(part):
        return bool(part)
    return len(part) >= _SHORTEST_PART and part in job_id


class Job(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One experiment run, as it travels.

    ``config`` is the message body; everything else rides in properties and headers
    (see `jupyter_aiqueue.core.message`).
    """

    id: str
    config: dict[str, Any]
    group: str
    #: What the worker shall run, by name; None leaves it to the worker's default task.
    task: str | None = None
    priority: Priority = Priority.NORMAL
    #: This execution's number, from 1.
    attempt: int = 1
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    #: Seconds one attempt may take; None leaves it to the worker's task.
    timeout: float | None = None
    #: A label for people.
    name: str | None = None
    #: Whose inbox gets this job's events; None for jobs of plain producers.
    inbox: str | None = None
    #: Absolute path of the notebook it was submitted from, as the kernel saw it.
    notebook: str | None = None
    #: The account that submitted it, when the broker checked it.
    user: str | None = None
    submitted_at: Moment | None = None
    #: The job this one repeats.
    retry_of: str | None = None
    #: The queue of a plain producer that it came through, if it was not one of ours.
    queue: str | None = None
    #: What happened in earlier attempts, one short sentence each.
    history: tuple[str, ...] = ()


class Result(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What one attempt came to. Unknown values are None, never 0."""

    exit_code: int | None = None
    #: Wall-clock seconds.
    duration_s: float | None = None
    #: User + system CPU seconds of the process tree.
    cpu_s: float | None = None
    #: Peak resident memory of the process tree, bytes.
    peak_memory_bytes: int | None = None
    host: str | None = None
    python: str | None = None
    #: Name of the Python or conda environment that the command ran in.
    environment: str | None = None
    #: Commit of the task's working directory; ``-dirty`` is appended to a changed tree.
    git_commit: str | None = None
    run_dir: str | None = None
    log_file: str | None = None


class JobRecord(msgspec.Struct, kw_only=True, omit_defaults=False):
    """What is known of a job from its events: the row that tables and handles show."""

    job_id: str
    state: State = State.QUEUED
    task: str | None = None
    group: str | None = None
    priority: Priority | None = None
    name: str | None = None
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    notebook: str | None = None
    #: Path of the ledger that holds the events, absolute.
    ledger: str | None = None
    user: str | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    #: When the next attempt may start, while ``retrying``.
    next_attempt_at: datetime | None = None
    #: What it waits for, while ``held``.
    hold: str | None = None
    attempt: int = 0
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    #: Seconds one attempt may take, if the submitter said.
    timeout: float | None = None
    worker: str | None = None
    #: 0 to 1, as the experiment reported it; None when it has not.
    progress: float | None = None
    metrics: dict[str, Any] = msgspec.field(default_factory=dict)
    result: Result | None = None
    #: Why it ended or is retried, one sentence.
    reason: str | None = None
    #: A cancel was asked for and has not taken effect yet.
    cancelling: bool = False
    retry_of: str | None = None
    #: Executions beyond the first end event, which are reported but do not count.
    duplicates: int = 0
    #: The last lines of output, bounded.
    log_tail: str | None = None
