"""The names of everything this software keeps on a broker, and its arguments.

| exchange           | type    | what goes through                                            |
|--------------------|---------|--------------------------------------------------------------|
| `aiqueue.jobs`     | topic   | jobs, key ``<group>.<priority>`` (or ``queue.<name>``)       |
| `aiqueue.events`   | topic   | events, key ``[live.]<inbox>.<group>.<kind>.<job id>``       |
| `aiqueue.retry`    | headers | jobs between attempts, header ``aiq-delay``                  |
| `aiqueue.lease`    | headers | running jobs, header ``aiq-lease``: the worker's name        |
| `aiqueue.dead`     | topic   | jobs that cannot be worked, key ``<group>.<priority>``       |
| `aiqueue.status`   | topic   | heartbeats of workers, the catalog, the collector's snapshots |
| `aiqueue.control`  | topic   | what workers are told and ask, key ``<kind>.<job id>``       |

Durable queues are quorum queues (source: https://www.rabbitmq.com/docs/quorum-queues); the
``*.log`` queues are streams, because their readers must be able to look back. Only
what belongs to a queue's nature is an argument; tunables are policies (`provision`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import ConfigError
from .events import LIVE_WORD, NO_INBOX
from .job import Priority, check_word

JOBS = "aiqueue.jobs"
EVENTS = "aiqueue.events"
RETRY = "aiqueue.retry"
LEASE = "aiqueue.lease"
DEAD = "aiqueue.dead"
STATUS = "aiqueue.status"
CONTROL = "aiqueue.control"

#: Stream of recent heartbeats; a late reader sees who was alive a moment ago.
STATUS_LOG = "aiqueue.status.log"
#: Stream whose last message is the `Catalog`.
CATALOG_LOG = "aiqueue.catalog.log"
#: Stream of cancels, of releases, and of ends that were told without holding the job's message,
#: so that a worker that was away learns of them.
CONTROL_LOG = "aiqueue.control.log"

#: Jobs that wait for a quiet moment; the collector releases them.
HELD = "aiqueue.held"
#: Their key on `JOBS`.
HELD_KEY = "held"

#: What the collector is told of: every event that is recorded. One worker's process consumes it,
#: the next one when that is gone.
COLLECTOR = "aiqueue.collector"
#: Stream whose last message is the collector's newest `core.collect.snapshot.Snapshot`.
LOAD_LOG = "aiqueue.load.log"
#: Stream whose last message is its newest `core.collect.snapshot.Lore`.
LORE_LOG = "aiqueue.lore.log"

#: Keys on `STATUS` of what goes into these streams, and of the collectors' word to themselves.
LOAD_KEY, LORE_KEY, COLLECTOR_KEY = "load", "lore", "collector"

#: Key of the catalog on `STATUS`; heartbeats have ``worker.<name>``.
CATALOG_KEY = "catalog"

#: Header of a message that is leased: the name of the worker that holds it.
LEASED_BY = "aiq-lease"

DEFAULT_GROUPS = ("train", "infer", "preprocess")
#: Seconds before the second, third, … attempt.
DEFAULT_RETRY_DELAYS = (10, 60, 300)

#: A dead letter is looked at many times; each look counts as a delivery, and RabbitMQ 4 drops
#: a quorum queue's message after 20 (https://www.rabbitmq.com/docs/quorum-queues). Not -1: that
#: means "drop at the first" on 3.10.
_LOOK_LIMIT = 1_000_000_000


class Exchange(msgspec.Struct, frozen=True):
    """An exchange to declare; all are durable."""

    name: str
    type: str


class Queue(msgspec.Struct, frozen=True):
    """A durable queue to declare, with its bindings."""

    name: str
    arguments: dict[str, Any]
    #: (exchange, routing key, arguments)
    bindings: tuple[tuple[str, str, dict[str, Any]], ...] = ()


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """What `provision` set up, published for everybody: ``groups`` and retry delays (s)."""

    version: int = 1
    groups: tuple[str, ...] = DEFAULT_GROUPS
    retry_delays: tuple[int, ...] = DEFAULT_RETRY_DELAYS

    def __post_init__(self) -> None:
        if not self.groups or not self.retry_delays:
            raise ConfigError("At least one group and one retry delay are needed.")
        for group in self.groups:
            check_word("group", group)
            if group in _RESERVED:
                raise ConfigError(f"A group cannot be called {group!r}: the name is taken.")
        if any(delay < 1 for delay in self.retry_delays):
            raise ConfigError(f"Retry delays are whole seconds from 1: {self.retry_delays}.")


_RESERVED = {"queue", "dead", "retry", "inbox", "lease", "wake", "status", "catalog", "control"}
_RESERVED |= {"collector", "load", "lore", "held"}

#: Events that wait for a collector, at most: nobody's job hangs on them.
_MOST_COLLECTED = 50_000


def work_queue(group: str, priority: Priority) -> str:
    """Where jobs of a group and priority wait."""
    return f"aiqueue.{group}.{priority.value}"


def retry_queue(delay: int) -> str:
    """Where jobs wait ``delay`` seconds for their next attempt."""
    return f"aiqueue.retry.{delay}"


def lease_queue(worker: str) -> str:
    """Where the messages of the jobs that a worker runs are kept."""
    return f"aiqueue.lease.{worker}"


def dead_queue(group: str) -> str:
    """Where jobs of a group that cannot be worked are kept."""
    return f"aiqueue.dead.{group}"


def inbox_queue(inbox: str) -> str:
    """Where the events of one Jupyter user wait to be recorded."""
    return f"aiqueue.inbox.{inbox}"


def wake_queue(group: str) -> str:
    """Short-lived hints that a job has arrived, one for one idle worker of the group."""
    return f"aiqueue.wake.{group}"


EXCHANGES = (
    Exchange(JOBS, "topic"),
    Exchange(EVENTS, "topic"),
    Exchange(RETRY, "headers"),
    Exchange(LEASE, "headers"),
    Exchange(DEAD, "topic"),
    Exchange(STATUS, "topic"),
    Exchange(CONTROL, "topic"),
)

_QUORUM = {"x-queue-type": "quorum"}

#: Expired messages return to their work queues. Without a routing key here: a job returns under
#: its own one.
_BACK_TO_WORK = {
    "x-dead-letter-exchange": JOBS,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-delivery-limit": _LOOK_LIMIT,
}


def queues(catalog: Catalog) -> list[Queue]:
    """Every durable queue of the topology, except inboxes."""
    found: list[Queue] = []
    for group in catalog.groups:
        for priority in Priority:
            key = f"{group}.{priority.value}"
            found.append(Queue(work_queue(group, priority), _QUORUM, ((JOBS, key, {}),)))
        found.append(
            Queue(
                dead_queue(group),
                {**_QUORUM, "x-delivery-limit": _LOOK_LIMIT},
                ((DEAD, f"{group}.*", {}),),
            )
        )
        found.append(
            Queue(
                wake_queue(group),
                # Hints only: a worker that missed one looks by itself every few seconds.
                {"x-queue-type": "classic", "x-message-ttl": 5000, "x-max-length": 100},
                ((EVENTS, f"*.{group}.submitted.*", {}),),
            )
        )
    for delay in catalog.retry_delays:
        found.append(
            Queue(
                retry_queue(delay),
                {
                    **_QUORUM,
                    "x-message-ttl": delay * 1000,
                    **_BACK_TO_WORK,
                },
                ((RETRY, "", {"x-match": "all", "aiq-delay": str(delay)}),),
            )
        )
    found.append(
        Queue(
            HELD,
            {**_QUORUM, "x-single-active-consumer": True, "x-delivery-limit": _LOOK_LIMIT},
            ((JOBS, HELD_KEY, {}),),
        )
    )
    found.append(
        Queue(
            COLLECTOR,
            {
                **_QUORUM,
                "x-single-active-consumer": True,
                "x-delivery-limit": _LOOK_LIMIT,
                "x-max-length": _MOST_COLLECTED,
            },
            ((EVENTS, "*.*.*.*", {}), (STATUS, COLLECTOR_KEY, {})),
        )
    )
    found += [
        _stream(LOAD_LOG, STATUS, [LOAD_KEY], max_age=None, size=20_000_000),
        _stream(LORE_LOG, STATUS, [LORE_KEY], max_age=None, size=50_000_000),
        _stream(STATUS_LOG, STATUS, ["worker.*"], max_age="2m", size=20_000_000),
        _stream(CATALOG_LOG, STATUS, [CATALOG_KEY], max_age=None, size=2_000_000),
        _stream(
            CONTROL_LOG,
            CONTROL,
            ["cancel.*", "over.*", "release.*"],
            max_age="30D",
            size=50_000_000,
        ),
    ]
    return found


def _stream(name: str, exchange: str, keys: list[str], *, max_age: str | None, size: int) -> Queue:
    """A small stream. Retention works on whole segments, so segments are small too."""
    arguments: dict[str, Any] = {
        "x-queue-type": "stream",
        "x-max-length-bytes": size,
        "x-stream-max-segment-size-bytes": size // 10,
    }
    if max_age:
        arguments["x-max-age"] = max_age
    if max_age is not None:
        # Readers find the end by a probe of their own; the catalog is read by `stream.last`.
        keys = [*keys, f"probe.{name}"]
    return Queue(name, arguments, tuple((exchange, key, {}) for key in keys))


def lease(worker: str) -> Queue:
    """The lease queue of a worker, which declares it itself.

    How long a lease lasts is said by each message (``expiration``), so that a worker may come
    back with another setting. It does not expire itself: a queue that expires is deleted with
    what is in it, without dead-lettering (https://www.rabbitmq.com/docs/ttl).
    """
    return Queue(
        lease_queue(worker),
        {**_QUORUM, **_BACK_TO_WORK},
        ((LEASE, "", {"x-match": "all", LEASED_BY: worker}),),
    )


def inbox(name: str) -> Queue:
    """The inbox called ``name``: durable, with one active consumer at a time (the recorder)."""
    if check_word("inbox", name) in (LIVE_WORD, NO_INBOX):
        raise ConfigError(f"An inbox cannot be called {name!r}: the name is taken.")
    return Queue(
        inbox_queue(name),
        {**_QUORUM, "x-single-active-consumer": True, "x-delivery-limit": _LOOK_LIMIT},
        ((EVENTS, f"{name}.#", {}),),
    )
