"""Load: a snapshot of how busy the system is, each number with its source and age."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from .job import Priority
from .status import MISSED_BEFORE_LOST, Heartbeat, Running

#: Names of sources, as shown to people.
PASSIVE = "passive declare"
HEARTBEATS = "heartbeats"
MANAGEMENT = "management API"
EVENTS = "events"


class Measured(msgspec.Struct, frozen=True):
    """A number, where it comes from, and how old it was when the snapshot was taken.

    ``value`` is None when it is not known, never 0. ``age_s`` is in seconds.
    """

    value: float | None = None
    source: str | None = None
    age_s: float | None = None


UNKNOWN = Measured()


class Expected(msgspec.Struct, frozen=True):
    """When something is expected: seconds from the snapshot on, the 10, 50 and 90 % points.

    The range from ``low`` to ``high`` held ``inside`` of the last ``of`` outcomes that were
    expected like this. What cannot be expected is None, and ``missing`` says why.
    """

    low: float | None = None
    middle: float | None = None
    high: float | None = None
    inside: int = 0
    of: int = 0
    #: A slot is free, and nobody waits for it.
    at_once: bool = False
    missing: str | None = None

    def later(self, seconds: float) -> Expected:
        """The same, told so many seconds later."""
        if self.low is None or self.middle is None or self.high is None:
            return self
        low, middle, high = (
            max(0.0, point - seconds) for point in (self.low, self.middle, self.high)
        )
        return msgspec.structs.replace(self, low=low, middle=middle, high=high)


class WorkerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One worker as its last heartbeat told."""

    worker: str
    #: ``active``, ``draining``, ``stopped`` or ``lost`` (silent for three heartbeats).
    state: str
    slots: int
    running: tuple[Running, ...] = ()
    host: str | None = None
    environment: str | None = None
    #: What it can run.
    tasks: tuple[str, ...] = ()
    #: Environments of those tasks that run in another one.
    task_environments: dict[str, str] = {}
    last_seen: datetime | None = None
    age_s: float | None = None

    def environment_of(self, task: str | None) -> str | None:
        """The environment that a task runs in here; None when it is not known."""
        return self.task_environments.get(task or "", self.environment)


class GroupLoad(msgspec.Struct, frozen=True, kw_only=True):
    """One worker group, or one plain queue (then ``queue`` is set)."""

    name: str
    queue: str | None = None
    #: Jobs ready to be taken, by priority, and in sum. Plain queues have the sum only.
    waiting_by_priority: dict[str, Measured] = msgspec.field(default_factory=dict)
    waiting: Measured = UNKNOWN
    #: Jobs that run now (heartbeats), or unacknowledged messages of a plain queue.
    running: Measured = UNKNOWN
    #: Workers that are alive, and their slots.
    workers: Measured = UNKNOWN
    slots: Measured = UNKNOWN
    free: Measured = UNKNOWN
    #: Dead letters kept.
    dead: Measured = UNKNOWN
    #: Messages per second in and acknowledged, as the management API averages them.
    arrival_rate: Measured = UNKNOWN
    completion_rate: Measured = UNKNOWN
    #: Jobs between two attempts, and seconds since the first in any line joined it.
    retrying: Measured = UNKNOWN
    oldest: Measured = UNKNOWN
    #: Jobs that wait for a quiet moment.
    held: Measured = UNKNOWN
    #: Jobs submitted, and attempts ended, per second over the last 60, 600 and 3600 s.
    submitted_rates: dict[int, Measured] = msgspec.field(default_factory=dict)
    ended_rates: dict[int, Measured] = msgspec.field(default_factory=dict)
    #: The start of a job of normal priority that was submitted now; None when nobody says.
    start: Expected | None = None
    worker_list: tuple[WorkerLoad, ...] = ()


class BrokerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The broker itself. ``state``: ``up``, ``down`` or ``unknown``."""

    state: str
    #: Address without credentials.
    location: str | None = None
    version: str | None = None
    #: One sentence for people when something is wrong.
    message: str | None = None
    #: ``none``, or which alarm blocks publishers; None when not known.
    alarms: str | None = None
    #: Of the limit at which publishers are blocked, the share in use (0 to 1), and bytes free on
    #: the disk: of the node that is worst off.
    memory: Measured = UNKNOWN
    disk_free: Measured = UNKNOWN


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The whole snapshot."""

    timestamp: datetime
    broker: BrokerLoad
    groups: tuple[GroupLoad, ...] = ()
    #: Jobs between attempts, all groups together.
    retrying: Measured = UNKNOWN
    #: What could not be asked, one sentence each: shown, so that a gap is not a surprise.
    notes: tuple[str, ...] = ()


def age(moment: datetime, at: datetime) -> float:
    """Seconds from ``moment`` to ``at``, not below 0 (clocks differ a little)."""
    return max(0.0, (at - moment).total_seconds())


def aged(group: GroupLoad, seconds: float) -> GroupLoad:
    """The same numbers, so many seconds later."""

    def older(value: object) -> object:
        if isinstance(value, Measured) and value.age_s is not None:
            return Measured(value.value, value.source, value.age_s + seconds)
        if isinstance(value, dict):
            return {key: older(part) for key, part in value.items()}
        return value

    fields = {name: older(getattr(group, name)) for name in group.__struct_fields__}
    fields["worker_list"] = tuple(
        msgspec.structs.replace(worker, age_s=worker.age_s and worker.age_s + seconds)
        for worker in group.worker_list
    )
    return GroupLoad(**fields)  # type: ignore[arg-type]


def worker_load(beat: Heartbeat, at: datetime) -> WorkerLoad:
    """A worker's load from its newest heartbeat; silent ones are ``lost``."""
    seconds = age(beat.timestamp, at)
    lost = beat.state != "stopped" and seconds > MISSED_BEFORE_LOST * beat.interval
    return WorkerLoad(
        worker=beat.worker,
        state="lost" if lost else beat.state,
        slots=beat.slots,
        running=beat.running,
        host=beat.host,
        environment=beat.environment,
        tasks=beat.tasks,
        task_environments=beat.task_environments,
        last_seen=beat.timestamp,
        age_s=seconds,
    )


def group_load(
    name: str,
    waiting: dict[Priority, Measured],
    dead: Measured,
    beats: Iterable[Heartbeat] | None,
    at: datetime,
) -> GroupLoad:
    """Join queue counts and heartbeats; ``beats`` is None when none could be read."""
    counts = {priority.value: count for priority, count in waiting.items()}
    waiting_sum = total(counts.values(), PASSIVE)
    if beats is None:
        return GroupLoad(name=name, waiting_by_priority=counts, waiting=waiting_sum, dead=dead)
    workers = [
        worker_load(beat, at)
        for beat in sorted(beats, key=lambda beat: beat.worker)
        if name in beat.groups and beat.state != "stopped"
    ]
    alive = [worker for worker in workers if worker.state != "lost"]
    oldest = max((worker.age_s or 0.0 for worker in alive), default=0.0)
    running = sum(sum(run.group == name for run in worker.running) for worker in alive)
    slots = sum(worker.slots for worker in alive)
    # A worker may serve several groups: what runs for another group fills its slots too.
    free = sum(
        max(0, worker.slots - len(worker.running)) for worker in alive if worker.state == "active"
    )

    def measured(value: float) -> Measured:
        return Measured(value, HEARTBEATS, round(oldest, 3))

    return GroupLoad(
        name=name,
        waiting_by_priority=counts,
        waiting=waiting_sum,
        running=measured(running),
        workers=measured(len(alive)),
        slots=measured(slots),
        free=measured(free),
        dead=dead,
        worker_list=tuple(workers),
    )


def total(parts: Iterable[Measured], source: str) -> Measured:
    """The sum of ``parts``, as old as the oldest; unknown when one of them is."""
    parts = list(parts)
    values = [part.value for part in parts if part.value is not None]
    if not parts or len(values) < len(parts):
        return UNKNOWN
    return Measured(sum(values), source, max(part.age_s or 0.0 for part in parts))
