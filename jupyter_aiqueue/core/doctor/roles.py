"""What accounts need: the rights of a notebook, a worker, a monitor and an operator.

Each right follows from something that the code does; docs/operators.md shows the patterns.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator

import msgspec

from .. import topology
from ..job import Priority
from ..topology import Catalog

CONFIGURE, WRITE, READ = "configure", "write", "read"

#: Stands for the queues that a connection makes for itself; the broker names them.
TEMPORARY = "amq.gen"

#: What is published straight into a queue goes through this.
DEFAULT_EXCHANGE = "amq.default"


class Right(msgspec.Struct, frozen=True, order=True):
    """One thing that an account has to be allowed: ``configure``, ``write`` or ``read`` a name."""

    name: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} on {self.name}"


class Patterns(msgspec.Struct, frozen=True):
    """The three patterns of an account's permissions, and the tag that its role needs."""

    configure: str
    write: str
    read: str
    tag: str = ""

    def command(self, user: str, vhost: str) -> str:
        """What sets them; user and virtual host are quoted for a shell."""
        return (
            f"rabbitmqctl set_permissions -p {vhost} {user} "
            f"'{self.configure}' '{self.write}' '{self.read}'"
        )


def notebook(inbox: str) -> list[Right]:
    """What submitting, watching, cancelling and recording need."""
    mine = topology.inbox_queue(inbox)
    return [
        # Jobs and their `submitted` events; cancels; the probe of a reader of heartbeats.
        *(Right(name, WRITE) for name in _SUBMITTED_TO),
        Right(topology.STATUS_LOG, READ),
        Right(topology.CATALOG_LOG, READ),
        # The inbox is made and bound by whoever needs it first.
        *(Right(mine, verb) for verb in (CONFIGURE, WRITE, READ)),
        *(Right(TEMPORARY, verb) for verb in (CONFIGURE, WRITE, READ)),
        Right(topology.EVENTS, READ),
    ]


def letters(groups: tuple[str, ...]) -> list[Right]:
    """What looking at dead letters and sending them back needs beside `notebook`."""
    return [Right(topology.dead_queue(group), READ) for group in groups]


def worker(group: str) -> list[Right]:
    """What a worker of ``group`` needs."""
    lease = topology.lease_queue(f"{_host()}-doctor")
    return [
        *(Right(topology.work_queue(group, priority), READ) for priority in Priority),
        Right(topology.wake_queue(group), READ),
        Right(topology.CATALOG_LOG, READ),
        Right(topology.CONTROL_LOG, READ),
        *(Right(name, WRITE) for name in _WORKED_TO),
        # Its own lease queue is made, bound, read and deleted by itself.
        *(Right(lease, verb) for verb in (CONFIGURE, WRITE, READ)),
        Right(topology.LEASE, READ),
        *(Right(TEMPORARY, verb) for verb in (CONFIGURE, WRITE, READ)),
        Right(topology.CONTROL, READ),
    ]


def foresight() -> list[Right]:
    """What seeing when a job would start needs beside `notebook` or `monitor`."""
    return [Right(topology.LOAD_LOG, READ), Right(topology.LORE_LOG, READ)]


def collector() -> list[Right]:
    """What collecting the load, and releasing held jobs, needs beside `worker`."""
    return [
        Right(topology.COLLECTOR, READ),
        Right(topology.HELD, READ),
        Right(topology.LORE_LOG, READ),
        # Heartbeats, and those of before.
        Right(topology.STATUS, READ),
        Right(topology.STATUS_LOG, READ),
    ]


def monitor() -> list[Right]:
    """What looking at the load needs; single numbers may need the tag ``management``."""
    return [
        Right(topology.STATUS, WRITE),
        Right(topology.STATUS_LOG, READ),
        Right(topology.CATALOG_LOG, READ),
    ]


def operator(catalog: Catalog) -> list[Right]:
    """What `provision` needs, for one queue of each kind; policies need a tag beside it."""
    one = Catalog(groups=catalog.groups[:1], retry_delays=catalog.retry_delays[:1])
    names = [exchange.name for exchange in topology.EXCHANGES]
    names += [queue.name for queue in topology.queues(one)]
    return [Right(name, verb) for name in names for verb in (CONFIGURE, WRITE, READ)]


_SUBMITTED_TO = (topology.JOBS, topology.EVENTS, topology.CONTROL, topology.STATUS)
_WORKED_TO = (
    topology.JOBS,
    topology.EVENTS,
    topology.RETRY,
    topology.LEASE,
    topology.DEAD,
    topology.STATUS,
    topology.CONTROL,
)

#: Patterns for one user's notebooks; the name of an inbox starts with the user's.
NOTEBOOK = Patterns(
    configure=r"^(aiqueue\.inbox\..*|amq\.gen.*)$",
    write=r"^(aiqueue\.(jobs|events|control|status)|aiqueue\.inbox\..*|amq\.gen.*)$",
    read=r"^(aiqueue\.events|aiqueue\.inbox\..*|aiqueue\.(status|catalog|load|lore)\.log"
    r"|aiqueue\.dead\..*|amq\.gen.*)$",
    tag="management",
)

MONITOR = Patterns(
    configure="^$",
    write=r"^aiqueue\.status$",
    read=r"^aiqueue\.(status|catalog|load|lore)\.log$",
    tag="monitoring",
)

OPERATOR = Patterns(
    configure=r"^aiqueue\..*", write=r"^aiqueue\..*", read=r"^aiqueue\..*", tag="policymaker"
)


def worker_patterns(groups: tuple[str, ...]) -> Patterns:
    """Patterns for workers of ``groups``."""
    names = "|".join(map(re.escape, groups))
    return Patterns(
        configure=r"^(aiqueue\.lease\..*|amq\.gen.*)$",
        write=r"^(aiqueue\.(jobs|events|retry|lease|dead|status|control)|aiqueue\.lease\..*"
        r"|amq\.gen.*)$",
        read=rf"^(aiqueue\.({names})\.(high|normal|low)|aiqueue\.wake\.({names})"
        r"|aiqueue\.(lease|control)(\..*)?|aiqueue\.(collector|held|status)"
        r"|aiqueue\.(status|catalog|lore)\.log|amq\.gen.*)$",
    )


def roles(groups: tuple[str, ...]) -> Iterator[tuple[str, Patterns]]:
    """All roles, for people who set up accounts."""
    yield "notebook", NOTEBOOK
    yield "worker", worker_patterns(groups)
    yield "monitor", MONITOR
    yield "operator", OPERATOR


def _host() -> str:
    """As workers name themselves: an operator may allow each host its own queues only."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0])[:40] or "worker"
