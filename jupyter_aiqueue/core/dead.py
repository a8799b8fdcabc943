"""Dead letters: jobs that could not be worked, kept until somebody looks."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from . import topology
from .errors import InvalidJob
from .job import Job
from .message import Message, decode_job
from .transport import Delivery, Session

#: Dead letters read at once.
LIMIT = 1000

#: Seconds to wait for letters to be back; somebody else may have taken them for a look.
_RETURN_PATIENCE = 1.0


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message in a dead queue."""

    group: str
    #: A short stable word, for grouping: ``exit-code``, ``malformed-json``, ``worker-lost``, …
    reason: str | None
    #: The sentence behind it.
    why: str | None
    job_id: str | None
    #: None when the message cannot be read as a job.
    job: Job | None
    body: bytes
    dead_at: str | None = None
    worker: str | None = None


def list_dead(session: Session, group: str, *, limit: int = LIMIT) -> list[DeadLetter]:
    """Look at the dead letters of a group without removing them.

    Raises:
        NotProvisioned: there is no such group.
        PermissionRefused: the account may not read the dead queue.
    """
    taken, there = _take(session, group, limit)
    _give_back(session, group, taken, there)
    return [_letter(delivery.message, group) for delivery in taken]


def remove_dead(session: Session, group: str, job_id: str) -> int:
    """Remove the dead letters of one job; returns how many there were."""
    kept: list[Delivery] = []
    taken, there = _take(session, group, LIMIT)
    for delivery in taken:
        if _letter(delivery.message, group).job_id == job_id:
            session.ack(delivery)
        else:
            kept.append(delivery)
    removed = len(taken) - len(kept)
    _give_back(session, group, kept, there - removed)
    return removed


def _take(session: Session, group: str, limit: int) -> tuple[list[Delivery], int]:
    """Take at most ``limit`` letters; also how many there were."""
    queue = topology.dead_queue(group)
    there = session.count(queue).ready
    taken: list[Delivery] = []
    for _ in range(min(limit, there)):
        delivery = session.get(queue)
        if delivery is None:
            break
        taken.append(delivery)
    return taken, there


def _give_back(session: Session, group: str, letters: list[Delivery], there: int) -> None:
    """Put ``letters`` back, so that ``there`` are seen by the next look."""
    for delivery in letters:
        session.give_back(delivery)
    # Back they are a moment later; the next look, which may come at once, has to see them.
    deadline = time.monotonic() + _RETURN_PATIENCE
    queue = topology.dead_queue(group)
    while session.count(queue).ready < there and time.monotonic() < deadline:
        session.pump(0.01)


def _letter(message: Message, group: str) -> DeadLetter:
    job: Job | None
    try:
        job = decode_job(message, group=group)
    except InvalidJob:
        job = None

    def text(name: str) -> str | None:
        value: Any = message.headers.get(name)
        return value if isinstance(value, str) else None

    return DeadLetter(
        group=group,
        reason=text("aiq-reason") or text("x-first-death-reason"),
        why=text("aiq-why"),
        job_id=job.id if job else message.message_id,
        job=job,
        body=message.body,
        dead_at=text("aiq-dead-at"),
        worker=text("aiq-worker"),
    )
