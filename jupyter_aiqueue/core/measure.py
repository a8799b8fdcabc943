"""Measuring the load: passive declares, heartbeats and the management API, joined.

Works, and says so, with only one of the three.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from . import topology
from .broker_statistics import BrokerStatistics, older, stated
from .collect.reader import Listener
from .config import Broker
from .errors import (
    AIQueueError,
    BrokerBlocked,
    BrokerError,
    BrokerUnreachable,
    InvalidJob,
)
from .job import Priority, now
from .load import (
    MANAGEMENT,
    PASSIVE,
    UNKNOWN,
    BrokerLoad,
    GroupLoad,
    Load,
    Measured,
    age,
    aged,
    group_load,
    total,
    worker_load,
)
from .message import Message
from .publisher import read_catalog
from .status import Heartbeat, decode_heartbeat
from .stream import replay
from .topology import Catalog
from .transport import Session, connect

#: A lost worker is shown for this long after its last heartbeat, seconds.
_LOST_SHOWN = 100.0

#: How far back the first look into the heartbeats goes, and the later ones.
_FIRST_LOOK, _LATER_LOOK = "100s", "20s"

#: Seconds after which the catalog is read again: an operator may have added a group.
_CATALOG_INTERVAL = 30.0


def measure(broker: Broker, queues: Sequence[str] = ()) -> Load:
    """Ask once. A broker that is away gives a load that says so; nothing is raised for it.

    Args:
        queues: plain queues to show beside the groups; if given, a broker that was never set
            up for this software is fine, and so is an account that may only use the
            management API (the tag ``management``).
    """
    meter = Meter(broker, queues)
    try:
        with connect(broker, "jupyter_aiqueue status") as session:
            return meter.measure(session)
    except AIQueueError as error:
        return meter.measure_without_amqp(error)
    finally:
        meter.close()


def down(error: AIQueueError, broker: Broker | None = None) -> Load:
    """The load when nothing can be asked."""
    location = broker.location if broker else None
    if isinstance(error, BrokerBlocked):  # it is there, and says so
        blocked = BrokerLoad(
            state="up", location=location, alarms="a memory or disk alarm", message=str(error)
        )
        return Load(timestamp=now(), broker=blocked)
    return Load(
        timestamp=now(), broker=BrokerLoad(state="down", location=location, message=str(error))
    )


class Meter:
    """Measures one broker again and again; remembers what need not be asked every time."""

    def __init__(self, broker: Broker, queues: Sequence[str] = ()) -> None:
        self._broker, self._queues = broker, queues
        self._statistics = BrokerStatistics(broker)
        self._beats: dict[str, Heartbeat] = {}
        self._catalog: Catalog | None = None
        self._catalog_due = 0.0
        self._heard = False
        self._listens = True
        self._told = Listener()

    def close(self) -> None:
        """Close the HTTP connections."""
        self._statistics.close()

    def hear(self, beats: Mapping[str, Heartbeat]) -> None:
        """Use these heartbeats, from now on, instead of looking for them."""
        self._beats, self._listens = dict(beats), False
        self._heard = True

    @property
    def catalog(self) -> Catalog | None:
        """As it was read last."""
        return self._catalog

    def measure(self, session: Session) -> Load:
        """The load now. Raises `BrokerUnreachable` when the connection is lost."""
        if self._listens:
            told = self._told.newest(session)
            if told is not None:
                return self._recounted(session, self._from_here(session, told.load))
        notes: list[str] = []
        groups: list[GroupLoad] = []
        retrying = UNKNOWN
        self._statistics.begin()
        try:
            self._read(session)
        except (BrokerUnreachable, BrokerBlocked):
            raise
        except BrokerError as error:
            self._heard = False
            if self._catalog is not None or not self._queues:
                notes.append(str(error))
        if self._catalog is not None:
            groups = [self._group(session, name) for name in self._catalog.groups]
            delays = self._catalog.retry_delays
            retrying = total((_ready(session, topology.retry_queue(s)) for s in delays), PASSIVE)
        groups += [self._plain_queue(session, name) for name in self._queues]
        if self._statistics.problem:
            notes.append(self._statistics.problem)
        return Load(
            timestamp=now(),
            broker=self._up(session.version),
            groups=tuple(groups),
            retrying=retrying,
            notes=tuple(notes),
        )

    def recount(self, session: Session, load: Load) -> Load:
        """``load``, or what the collector has told since, with the depths of this moment.

        It asks for the depths and for nothing else. Raises `BrokerUnreachable`.
        """
        told = self._told.newest(session) if self._listens else None
        if told is not None:
            load = self._from_here(session, told.load)
        return self._recounted(session, load)

    def _from_here(self, session: Session, told: Load) -> Load:
        """What the collector told, which may have another way to the broker, or no statistics."""
        if told.broker.alarms is None:
            self._statistics.begin()
            broker, problem = self._up(session.version), self._statistics.problem
        else:
            location, version = self._broker.location, session.version
            broker = msgspec.structs.replace(told.broker, location=location, version=version)
            problem = None
        return msgspec.structs.replace(told, broker=broker, notes=(problem,) if problem else ())

    def _recounted(self, session: Session, load: Load) -> Load:
        """The same with the depths of this moment; all else is older by now."""
        at = now()
        late = age(load.timestamp, at)
        groups = [
            self._counted(session, aged(group, late))
            for group in load.groups
            if group.queue is None
        ]
        if self._queues:
            self._statistics.begin()
        groups += [self._plain_queue(session, name) for name in self._queues]
        broker = msgspec.structs.replace(
            load.broker,
            memory=older(load.broker.memory, late),
            disk_free=older(load.broker.disk_free, late),
        )
        return msgspec.structs.replace(
            load,
            timestamp=at,
            broker=broker,
            groups=tuple(groups),
            retrying=older(load.retrying, late),
        )

    def _up(self, version: str | None) -> BrokerLoad:
        """The broker, which answers."""
        return BrokerLoad(
            state="up",
            location=self._broker.location,
            version=version,
            alarms=self._statistics.alarms,
            memory=stated(self._statistics.room.memory),
            disk_free=stated(self._statistics.room.disk_free),
        )

    def _counted(self, session: Session, group: GroupLoad) -> GroupLoad:
        counts = {
            priority.value: _ready(session, topology.work_queue(group.name, priority))
            for priority in Priority
        }
        waiting = total(counts.values(), PASSIVE)
        return msgspec.structs.replace(group, waiting_by_priority=counts, waiting=waiting)

    def measure_without_amqp(self, error: AIQueueError) -> Load:
        """The load of plain queues by the management API alone; ``error`` says why."""
        if not self._queues:
            return down(error, self._broker)
        self._statistics.begin()
        if self._statistics.version is None:
            return down(error, self._broker)
        return Load(
            timestamp=now(),
            broker=self._up(self._statistics.version),
            groups=tuple(self._plain_queue(None, name) for name in self._queues),
            notes=(f"Only the management API could be asked. {error}",),
        )

    def _read(self, session: Session) -> None:
        if time.monotonic() >= self._catalog_due:
            self._catalog = read_catalog(session)
            self._catalog_due = time.monotonic() + _CATALOG_INTERVAL
        if not self._listens:
            return
        if self._statistics.alarms not in (None, "none"):
            # Workers cannot tell of themselves, and to ask is to publish.
            self._heard = False
            return
        since = _LATER_LOOK if self._heard else _FIRST_LOOK
        self._hear(replay(session, topology.STATUS, topology.STATUS_LOG, since=since))
        self._heard = True

    def _hear(self, messages: Iterable[Message]) -> None:
        for message in messages:
            with suppress(InvalidJob):
                beat = decode_heartbeat(message.body)
                self._beats[beat.worker] = beat
        at = now()
        self._beats = {
            name: beat
            for name, beat in self._beats.items()
            if age(beat.timestamp, at) < _LOST_SHOWN
        }

    def _group(self, session: Session, name: str) -> GroupLoad:
        names = [topology.work_queue(name, priority) for priority in Priority]
        load = group_load(
            name,
            {p: _ready(session, queue) for p, queue in zip(Priority, names, strict=True)},
            _ready(session, topology.dead_queue(name)),
            self._beats.values() if self._heard else None,
            now(),
        )
        numbers = [self._statistics.of(queue) for queue in names]
        return msgspec.structs.replace(
            load,
            arrival_rate=total((n.arrivals for n in numbers), MANAGEMENT),
            completion_rate=total((n.completions for n in numbers), MANAGEMENT),
        )

    def _plain_queue(self, session: Session | None, name: str) -> GroupLoad:
        numbers = self._statistics.of(name)
        waiting, consumers = numbers.ready, numbers.consumers
        if session is not None:
            # Fresher, but from 4.3.1 on it wants some permission on the queue.
            with suppress(BrokerError):
                count = session.count(name)
                waiting = Measured(count.ready, PASSIVE, 0.0)
                consumers = Measured(count.consumers, PASSIVE, 0.0)
        at = now()
        ours = tuple(worker_load(b, at) for b in self._beats.values() if name in b.queues)
        ours = tuple(worker for worker in ours if worker.state not in ("stopped", "lost"))
        return GroupLoad(
            name=name,
            queue=name,
            waiting=waiting,
            running=numbers.unacknowledged,
            # Workers of ours pull, so that they are no consumers in the broker's sense.
            workers=consumers
            if consumers.value is None
            else Measured(consumers.value + len(ours), consumers.source, consumers.age_s),
            arrival_rate=numbers.arrivals,
            completion_rate=numbers.completions,
            worker_list=ours,
        )


def _ready(session: Session, queue: str) -> Measured:
    try:
        return Measured(session.count(queue).ready, PASSIVE, 0.0)
    except BrokerUnreachable:
        raise
    except BrokerError:
        return UNKNOWN
