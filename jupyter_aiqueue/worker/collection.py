"""One turn at collecting: what is told of the system becomes snapshots for everybody.

It begins with what the collector before has left (`Lore`), folds events and heartbeats into a
`Picture`, and publishes snapshots. Events are acknowledged when the lore that holds them is kept,
so that none is missed; a message that is held all the time (the *baton*) tells the next collector
that it is its turn. Who has got its own baton back has seen everything that was told before, and
keeps the held jobs from then on (`keeper`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ..core import topology
from ..core.errors import BrokerUnreachable, InvalidJob
from ..core.events import decode_event
from ..core.hold import View
from ..core.job import Priority, now
from ..core.load import EVENTS, PASSIVE, UNKNOWN, GroupLoad, Load, Measured
from ..core.measure import Meter
from ..core.message import APP_ID, Message
from ..core.status import decode_heartbeat
from ..core.stream import last, replay
from ..core.transport import Delivery, Session
from .console import Console
from .keeper import Keeper

if TYPE_CHECKING:
    from ..core.collect.picture import Picture
    from ..core.collect.snapshot import GroupLine, Lore, Snapshot

#: Seconds between two snapshots; between two while nothing changes; between two of the lore.
_SNAPSHOT, _QUIET, _LORE = 1.0, 5.0, 15.0

#: Seconds for which the baton is held: well below any delivery timeout.
_BATON = 25.0

#: Events that are folded and not yet acknowledged, at most.
MOST_HELD = 5000


#: Type of the message that tells whose turn it is.
BATON_TYPE = "baton"


class Baton(msgspec.Struct, frozen=True, omit_defaults=True):
    """What collectors tell each other, in the queue that all of them read."""

    #: Tells the session that sent it from all others.
    session: str
    #: Held jobs that may be in line already though nobody told; None: whoever sent it has not kept.
    in_doubt: list[str] | None = None


def pass_baton(session: Session, baton: Baton) -> None:
    """Put it into the queue that all who stand by read."""
    message = Message(body=msgspec.json.encode(baton), type=BATON_TYPE, app_id=APP_ID)
    session.publish(topology.STATUS, topology.COLLECTOR_KEY, message)


class Collection:
    """One turn at collecting, from the first message to the loss of the connection."""

    def __init__(
        self, session: Session, name: str, worker: str, console: Console, queues: Sequence[str]
    ) -> None:
        # Here, not at the top: it is a worker's business only when it is its turn.
        from ..core.collect.picture import Picture

        self._session, self._name = session, name
        self._worker, self._console = worker, console
        self._meter = Meter(session.broker, queues)
        self._picture: Picture = Picture(_last_lore(session), at=time.time())
        self._held: list[Delivery] = []
        self._batons = 0
        self._told: list[object] | None = None
        moment = time.monotonic()
        self._snapshot_due, self._said_at = moment, float("-inf")
        self._kept_at = moment
        self._groups: dict[str, GroupLoad] = {}
        #: When everything is known that was told before.
        self._keeper: Keeper | None = None
        self._in_doubt: set[str] | None = None
        beats = session.temporary_queue([(topology.STATUS, "worker.*")], max_length=100_000)
        session.consume(beats, self._beat, prefetch=1000)
        for message in replay(session, topology.STATUS, topology.STATUS_LOG, since="100s"):
            self._hear(message)

    def close(self) -> None:
        """Close the HTTP connections."""
        self._meter.close()

    def fold(self, arrived: Sequence[Delivery]) -> None:
        """Take in what has arrived; then whose turn it is, so that nothing is lost by that."""
        batons = []
        for delivery in arrived:
            self._held.append(delivery)
            if delivery.message.type == BATON_TYPE:
                batons.append(delivery.message.body)
            else:
                with suppress(InvalidJob):  # not an event of ours
                    self._picture.event(decode_event(delivery.message.body))
        self._batons += len(batons)
        for body in batons:
            self._take_baton(body)

    def turn(self, *, news: bool) -> None:
        """Do what is due. Args: ``news``: something was folded in."""
        if time.monotonic() >= self._snapshot_due:
            self._snapshot_due = time.monotonic() + _SNAPSHOT
            self._tell()
        elif news and self._keeper is not None:
            # Somebody of a batch may have started; how busy it is, is not known before it is
            # measured again.
            self._keeper.turn(lambda _: View(), now())
        held = len(self._held) - self._batons
        waited = time.monotonic() - self._kept_at
        if waited >= _BATON or (held and (waited >= _LORE or held >= MOST_HELD // 2)):
            self._keep()

    def _take_baton(self, body: bytes) -> None:
        try:
            baton = msgspec.json.decode(body, type=Baton)
        except msgspec.DecodeError:
            return  # of another version
        if baton.session != self._name:
            if baton.in_doubt is not None:
                self._in_doubt = (self._in_doubt or set()).union(baton.in_doubt)
        elif self._keeper is None:
            self._keeper = Keeper(
                self._session,
                self._worker,
                self._console,
                self._picture,
                lambda: [*self._groups],
                self._in_doubt,
                self._leave_word,
            )

    def _leave_word(self, in_doubt: Iterable[str] | None) -> None:
        told = None if in_doubt is None else list(in_doubt)
        pass_baton(self._session, Baton(self._name, told))

    def _beat(self, delivery: Delivery) -> None:
        self._session.ack(delivery)
        self._hear(delivery.message)

    def _hear(self, message: Message) -> None:
        with suppress(InvalidJob):
            self._picture.beat(decode_heartbeat(message.body))

    def _tell(self) -> None:
        """Measure, and publish a snapshot if there is something new in it."""
        from ..core.collect.snapshot import Snapshot

        self._meter.hear(self._picture.beats)
        load = self._meter.measure(self._session)
        at = load.timestamp.timestamp()
        delays = self._meter.catalog.retry_delays if self._meter.catalog else ()
        for group in load.groups:
            for priority in Priority:
                counted = group.waiting_by_priority.get(priority.value)
                if counted is not None and counted.value is not None:
                    self._picture.depth(group.name, priority, int(counted.value), at)
        self._picture.tick(at, delays)
        self._groups = {group.name: group for group in load.groups if group.queue is None}
        self._picture.look(self._groups.values(), at)
        held = self._count_held()  # before the keeper's turn, which may have all come anew
        if self._keeper is not None:
            self._keeper.turn(lambda group: self._view(group, at, delays), load.timestamp)
        essence = _essence(load)
        if essence == self._told and time.monotonic() - self._said_at < _QUIET:
            return
        self._told, self._said_at = essence, time.monotonic()
        lines = {g.name: self._picture.line(g.name, at, delays) for g in load.groups if not g.queue}
        groups = tuple(self._group(g, lines.get(g.name), held, at) for g in load.groups)
        snapshot = Snapshot(
            timestamp=load.timestamp,
            collector=self._worker,
            load=msgspec.structs.replace(load, groups=groups),
            groups=lines,
        )
        self._publish(topology.LOAD_KEY, snapshot)

    def _view(self, name: str, at: float, delays: tuple[int, ...]) -> View:
        """A group as conditions of held jobs see it."""
        group = self._groups.get(name)
        if group is None:
            return View()
        wait = self._picture.wait(name, self._picture.line(name, at, delays), at)
        return View(wait=wait, depth=group.waiting.value, free_slots=group.free.value)

    def _count_held(self) -> Counter[str] | None:
        """How many of each group are held; None while that is not known of all of them."""
        if self._keeper is None or self._session.count(topology.HELD).ready:
            return None
        return self._keeper.by_group()

    def _group(
        self, group: GroupLoad, line: GroupLine | None, held: Counter[str] | None, at: float
    ) -> GroupLoad:
        """What is known beyond what was measured."""
        if line is None:
            return group
        from ..core.collect.tempo import WINDOWS

        retrying, joined = self._picture.waiting(group.name)
        oldest = None if joined is None else max(0.0, at - joined)
        tempo = {window: self._picture.tempo(group.name, window, at) for window in WINDOWS}
        return msgspec.structs.replace(
            group,
            retrying=Measured(retrying, EVENTS, 0.0),
            oldest=_told_by_events(oldest),
            held=UNKNOWN if held is None else Measured(held[group.name], PASSIVE, 0.0),
            submitted_rates={w: _told_by_events(came) for w, (came, _) in tempo.items()},
            ended_rates={w: _told_by_events(went) for w, (_, went) in tempo.items()},
            start=self._picture.start(group.name, line, at),
        )

    def _keep(self) -> None:
        """Keep what was learnt, then have the broker forget the events that told of it."""
        if self._picture.learnt:
            self._publish(topology.LORE_KEY, self._picture.lore())
        self._leave_word(self._in_doubt if self._keeper is None else self._keeper.in_doubt)
        last_one = self._held[-1]
        self._held.clear()
        self._batons, self._kept_at = 0, time.monotonic()
        self._session.ack_up_to(last_one)

    def _publish(self, key: str, value: Snapshot | Lore) -> None:
        from ..core.collect.snapshot import pack

        message = Message(body=pack(value), type=key, app_id=APP_ID)
        self._session.publish(topology.STATUS, key, message, mandatory=True)


def _last_lore(session: Session) -> Lore | None:
    """What the collector before has left; None if there is none, or none that can be read.

    Raises:
        BrokerUnreachable: whether there is some cannot be told now.
    """
    from ..core.collect.snapshot import unpack_lore

    message = last(session, topology.LORE_LOG)
    if message is None:
        # Empty, or slow to answer. (The count may be some seconds behind; lore is older.)
        if session.count(topology.LORE_LOG).ready:
            raise BrokerUnreachable(f"The stream {topology.LORE_LOG} cannot be read now.")
        return None
    with suppress(InvalidJob):  # of another version: it is learnt anew
        return unpack_lore(message.body)
    return None


def _told_by_events(value: float | None) -> Measured:
    return UNKNOWN if value is None else Measured(value, EVENTS, 0.0)


def _essence(load: Load) -> list[object]:
    """What people would see change: not ages, not rates."""
    return [
        (
            group.name,
            [(name, count.value) for name, count in group.waiting_by_priority.items()],
            group.dead.value,
            [(w.worker, w.state, w.slots, w.running) for w in group.worker_list],
        )
        for group in load.groups
    ]
