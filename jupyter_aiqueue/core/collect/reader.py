"""Reading what the collector tells."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import topology
from ..config import Broker
from ..errors import (
    AmbiguousJob,
    BrokerError,
    BrokerUnreachable,
    InvalidJob,
    NotProvisioned,
    UnknownGroup,
)
from ..job import Job, Priority, State, names, now
from ..load import age
from ..stream import last
from ..transport import Delivery, Session, connect
from .entry import Entry
from .foresight import Foresight, Remaining
from .snapshot import BatchPlace, Lore, Snapshot, unpack_lore, unpack_snapshot

if TYPE_CHECKING:
    from ..plan import Plan

#: Seconds after which a snapshot is too old to be called one: nobody collects any more.
_STALE = 15.0

#: Seconds to wait for the first one; who collects tells every few seconds, and a stream sends
#: what it has at once.
_FIRST, _MORE = 0.5, 0.03


class Found(NamedTuple):
    """A job that is not over, as the collector knows it; None: it knows of none."""

    entry: Entry | None
    foresight: Foresight | None
    #: When it ends, if it runs.
    remaining: Remaining | None = None
    #: Its place among the held ones of its batch, if it is one of them.
    batch: BatchPlace | None = None


class Listener:
    """Hears the collector for as long as a session lasts; for use in its thread."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._arrived: list[Delivery] = []
        self._snapshot: Snapshot | None = None

    def newest(self, session: Session) -> Snapshot | None:
        """What was told last, or None when nobody collects. Raises `BrokerUnreachable`."""
        if session is not self._session:
            self._attach(session)
        elif self._session is not None:
            session.pump()
        if self._arrived:
            newest = self._arrived[-1]
            self._arrived.clear()
            with suppress(InvalidJob):  # of another version
                self._snapshot = unpack_snapshot(newest.message.body)
        told = self._snapshot
        if told is None or (now() - told.timestamp).total_seconds() > _STALE:
            return None
        return told

    def _attach(self, session: Session) -> None:
        self._session, self._snapshot = session, None
        self._arrived.clear()

        def arrived(delivery: Delivery) -> None:
            session.ack(delivery)
            self._arrived.append(delivery)

        try:
            session.consume(
                topology.LOAD_LOG, arrived, prefetch=100, arguments={"x-stream-offset": "last"}
            )
        except BrokerUnreachable:
            raise
        except BrokerError:
            return  # set up by an earlier version, or not for this account
        deadline = time.monotonic() + _patience(session)
        while not self._arrived and time.monotonic() < deadline:
            session.pump(_MORE)
        seen = 0
        while len(self._arrived) > seen:  # the last chunk may hold several
            seen = len(self._arrived)
            session.pump(_MORE)


def find_job(broker: Broker, part: str) -> Found | None:
    """What the collector knows of a job that is not over; None when nobody collects.

    Args:
        part: its id, or a part of it that fits only one.

    Raises:
        AmbiguousJob.
        BrokerError: the broker is away, or refuses.
    """
    with connect(broker, "jupyter_aiqueue why") as session:
        told = read_snapshot(session)
        if told is None:
            return None
        fits = [e for line in told.groups.values() for e in line.entries if names(part, e.job_id)]
        exact = [entry for entry in fits if entry.job_id == part]
        entry = _one_of(exact or fits, part)
        if entry is not None and entry.state is State.HELD:
            return Found(entry, None, batch=told.groups[entry.group].place_in_batch(entry))
        if entry is None or entry.state not in (State.QUEUED, State.RUNNING):
            return Found(entry, None)
        lore = read_lore(session)
    from .foresee import foresee_end, foresee_job  # brings NumPy with it

    late = age(told.timestamp, now())
    found = foresee_job(told, lore, entry.job_id, entry.group)
    ends = foresee_end(told, lore, entry.job_id, entry.group)
    return Found(
        entry,
        None if found is None else found.later(late),
        None if ends is None else ends.later(late),
    )


def _one_of(fits: list[Entry], part: str) -> Entry | None:
    """The only one of jobs that fit a part of an id, or None. Raises `AmbiguousJob`."""
    if len(fits) > 1:
        some = ", ".join(sorted(entry.job_id for entry in fits)[:5])
        raise AmbiguousJob(f"{len(fits)} jobs fit {part!r}: {some}. Give more of the id.")
    return fits[0] if fits else None


def ask_for(
    broker: Broker, *, group: str, task: str | None, config: Mapping[str, Any], priority: Priority
) -> Foresight | None:
    """What would be expected of a job that was submitted now; None when nobody collects.

    Raises:
        BrokerError: the broker is away, or refuses.
    """
    with connect(broker, "jupyter_aiqueue forecast") as session:
        told = read_snapshot(session)
        if told is None:
            return None
        lore = read_lore(session)
    from .foresee import foresee  # brings NumPy with it

    return foresee(told, lore, group=group, task=task, config=config, priority=priority)


def ask_plan(
    broker: Broker, jobs: Sequence[Job], moments: Sequence[tuple[str, datetime]], at: datetime
) -> Plan:
    """When ``jobs``, which are of one group and priority, would be done.

    Args:
        moments: names and times when they might be submitted, ascending.
        at: the time now.

    Raises:
        UnknownGroup: there is no such group.
        BrokerError: the broker is away, or refuses.
    """
    with connect(broker, "jupyter_aiqueue plan") as session:
        told, lore = read_snapshot(session), read_lore(session)
    group = jobs[0].group
    if told is not None and group not in told.groups:
        known = ", ".join(sorted(told.groups))
        raise UnknownGroup(f"There is no worker group {group!r}; there are {known}.")
    from .planning import plan  # brings NumPy with it

    return plan(told, lore, jobs, moments, at=at)


def is_collected(session: Session) -> bool:
    """Whether some worker collects, as far as this account may see. Raises `BrokerUnreachable`."""
    try:
        return session.count(topology.COLLECTOR).consumers > 0
    except BrokerUnreachable:
        raise
    except NotProvisioned:
        return False
    except BrokerError:
        return True


def _patience(session: Session) -> float:
    """Seconds to wait for a first message: hardly any where nobody collects."""
    return _FIRST if is_collected(session) else _MORE


def read_snapshot(session: Session) -> Snapshot | None:
    """The newest snapshot, or None when nobody collects. Raises `BrokerUnreachable`."""
    with suppress(InvalidJob, NotProvisioned):
        message = last(session, topology.LOAD_LOG, patience=_patience(session))
        if message is not None:
            snapshot = unpack_snapshot(message.body)
            if (now() - snapshot.timestamp).total_seconds() <= _STALE:
                return snapshot
    return None


def read_lore(session: Session) -> Lore | None:
    """What was learnt lately, or None. Raises `BrokerUnreachable`."""
    with suppress(InvalidJob, NotProvisioned):
        message = last(session, topology.LORE_LOG, patience=_FIRST)
        if message is not None:
            return unpack_lore(message.body)
    return None
