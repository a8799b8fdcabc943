"""Messages that a worker sends on: a job for its next attempt, and dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from ..core import topology
from ..core.job import Job, now
from ..core.message import APP_ID, UNSURE, Message, encode_job

#: Header: how often this attempt was given back by workers that drained.
GIVEN_BACK = "aiq-given-back"

#: Headers of a dead letter.
REASON = "aiq-reason"
WHY = "aiq-why"

#: Bytes of other people's headers that travel on. A message whose header does not fit into a
#: frame ends the connection, and would end it again for the next worker.
MOST_FOREIGN = 32_768

#: Headers by which the broker routes a copy to more queues: who sent the message on would send
#: those too, and the broker refuses a message in which they are no lists.
_ROUTING = ("CC", "BCC")

#: Bytes: AMQP's own limit of a property.
_LONGEST_PROPERTY = 255

_LONGEST_WHY = 1000

#: Of our own headers: the history is written anew, and nobody holds a dead job.
_NOT_IN_LETTERS = ("aiq-history", topology.LEASED_BY)


def copy_of(
    message: Message, job: Job, *, delay: int | None = None, given_back: int = 0
) -> Message:
    """``message`` as it goes on for ``job``: same body, new headers of ours.

    Args:
        delay: seconds to wait; chooses the queue of the exchange ``aiqueue.retry``.
    """
    # The body stays as it came: a config is not ours to rewrite.
    copy = encode_job(msgspec.structs.replace(job, config={}))
    copy.body = message.body
    copy.correlation_id = _fitting(message.correlation_id)
    copy.app_id = _fitting(message.app_id) or APP_ID
    copy.headers = {**_foreign(message.headers), **copy.headers}
    if delay is not None:
        copy.headers["aiq-delay"] = str(delay)
    if given_back:
        copy.headers[GIVEN_BACK] = given_back
    if UNSURE in message.headers and job.attempt == 1:
        copy.headers[UNSURE] = 1
    return copy


def dead_letter(
    message: Message,
    *,
    reason: str,
    why: str,
    worker: str | None,
    history: Iterable[str] = (),
    queue: str | None = None,
) -> Message:
    """``message`` with what a person needs to judge it.

    Args:
        reason: a short stable word, for grouping.
        why: one sentence.
        worker: who ran it, or refused it; None when that is not known.
        queue: the plain producer's queue that it belongs to.
    """
    ours = {
        key: value
        for key, value in message.headers.items()
        if isinstance(key, str) and key.startswith("aiq-") and key not in _NOT_IN_LETTERS
    }
    headers = {**_foreign(message.headers), **_bounded(ours)}
    entries = list(history)
    if entries:
        headers["aiq-history"] = json.dumps(entries)
    if queue is not None:
        headers["aiq-queue"] = queue
    headers |= {
        REASON: reason,
        WHY: why[:_LONGEST_WHY],
        "aiq-dead-at": now().isoformat(),
    }
    if worker is not None:
        headers["aiq-worker"] = worker
    return Message(
        body=message.body,
        headers=headers,
        message_id=_fitting(message.message_id),
        type=_fitting(message.type),
        app_id=_fitting(message.app_id) or APP_ID,
        correlation_id=_fitting(message.correlation_id),
        content_type=_fitting(message.content_type),
        timestamp=message.timestamp,
    )


def reduced_letter(message: Message, *, reason: str, why: str, worker: str) -> Message:
    """Like `dead_letter` with as little as can be: for a message whose letter was not taken."""
    return Message(
        body=message.body,
        headers={
            REASON: reason,
            WHY: why[:_LONGEST_WHY],
            "aiq-dead-at": now().isoformat(),
            "aiq-worker": worker,
        },
        message_id=_property(_fitting(message.message_id)),
        type=_property(_fitting(message.type)),
        app_id=APP_ID,
    )


def given_back(message: Message) -> int:
    """How often this attempt was given back before."""
    value = message.headers.get(GIVEN_BACK)
    # True is a number to Python, and to nobody who reads the events that tell of it.
    return value if type(value) is int and 0 < value < 1_000_000 else 0


def header_size(message: Message) -> int:
    """About how many bytes the headers take."""
    return sum(len(key) + _size(value) for key, value in message.headers.items())


def _foreign(headers: dict[str, Any]) -> dict[str, Any]:
    """Headers that are neither ours nor the broker's (``x-``: it would count on with them)."""
    return _bounded(
        {
            key: value
            for key, value in headers.items()
            # A key that is no text is not one that could be written again.
            if isinstance(key, str) and not key.startswith(("aiq-", "x-")) and key not in _ROUTING
        }
    )


def _bounded(headers: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    left = MOST_FOREIGN
    for key, value in headers.items():
        # Nested tables may hold what the client library can read but not write.
        plain = value if isinstance(value, (str, int, float, bool)) else str(value)
        if isinstance(plain, int) and not -(2**63) <= plain < 2**63:
            plain = str(plain)
        left -= len(key) + _size(plain)
        if left < 0:
            break
        kept[key] = plain
    return kept


def _fitting(value: str | None) -> str | None:
    """``value`` if it fits into a property: what was no UTF-8 is longer now than it came."""
    if value is not None and len(value.encode("utf-8", "replace")) <= _LONGEST_PROPERTY:
        return value
    return None


def _property(value: str | None) -> str | None:
    """``value`` if nothing about it can be why a message is refused."""
    return value if (value or "").isprintable() else None


def _size(value: Any) -> int:
    return len(value.encode("utf-8", "replace")) if isinstance(value, str) else len(str(value))
