"""What a broker's version means for this software: four bands of behaviour.

Sources: https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout,
https://www.rabbitmq.com/docs/quorum-queues, https://www.rabbitmq.com/docs/access-control and
the release notes of 4.0 and 4.3.
"""

from __future__ import annotations

import re

import msgspec

#: Versions that the tests have been run with, for people.
TRIED = ("3.10.8", "4.0.5")

#: What is newer than this was not known when this was written.
_NEWEST_KNOWN = (4, 3)


class Band(msgspec.Struct, frozen=True):
    """Versions that behave alike."""

    #: For people: ``3.10 to 3.11``.
    name: str
    #: What matters in it, one short sentence each.
    matters: tuple[str, ...] = ()
    #: Whether it has what this software needs.
    supported: bool = True
    #: Whether what is said of it is known, and not only likely.
    known: bool = True
    #: Whether `x-consumer-timeout` and the policy ``consumer-timeout`` have an effect.
    queue_timeouts: bool = True


_NODE_TIMEOUT = (
    "The delivery timeout (30 minutes by default) can be set for the whole node only; leases keep "
    "it from taking running jobs away."
)
_QUEUE_TIMEOUT = (
    "The delivery timeout (30 minutes by default) can be raised by a policy; leases keep it from "
    "taking running jobs away."
)
_NO_LIMIT = "Quorum queues deliver a message without limit, unless the policy aiqueue-work is set."
_LIMIT_20 = (
    "Quorum queues give up on a message after 20 deliveries; the policy aiqueue-work raises that "
    "and keeps what is given up as a dead letter."
)
_NO_PRIORITY = "Message priorities of quorum queues are not used: each priority has its own queue."
_UNTRIED = "No version of this kind has been tried; what is said here comes from its documentation."

_CANCELS = (
    "A delivery timeout ends the consumer and not its channel; leases keep it from taking running "
    "jobs away."
)
_LENGTHS = "From 4.3.1 on an account sees the length of a queue only with some permission on it."

#: The first version of each band.
_BANDS = {
    (4, 3): Band("4.3 and newer", (_CANCELS, _LIMIT_20, _LENGTHS, _NO_PRIORITY, _UNTRIED)),
    (4, 0): Band("4.0 to 4.2", (_QUEUE_TIMEOUT, _LIMIT_20, _NO_PRIORITY)),
    (3, 12): Band("3.12 to 3.13", (_QUEUE_TIMEOUT, _NO_LIMIT, _UNTRIED)),
    (3, 10): Band("3.10 to 3.11", (_NODE_TIMEOUT, _NO_LIMIT), queue_timeouts=False),
}

_TOO_OLD = Band(
    "before 3.10",
    ("It lacks the streams that hold heartbeats and cancels: 3.10 or newer is needed.",),
    supported=False,
    queue_timeouts=False,
)


def band(version: str | None) -> Band:
    """The band of a version like ``3.10.8``, as the broker tells it; odd ones are said to be so."""
    number = _number(version)
    if number is None:
        return Band(
            "unknown",
            ("The broker does not tell its version: what it can do is not known.",),
            known=False,
        )
    found = next((_BANDS[first] for first in _BANDS if number >= first), _TOO_OLD)
    if number > _NEWEST_KNOWN:
        newer = f"RabbitMQ {version} is newer than all that is known here (4.3); it may differ."
        return msgspec.structs.replace(found, matters=(newer, *found.matters), known=False)
    return found


def _number(version: str | None) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2])) if match else None
